"""Whoever writes while a phone pulls: a pull misses nothing that a later one does not bring."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from io import StringIO
from random import Random
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from devices.models import Device
from entries.models import FoodEntry
from goals.models import BodyWeight, WaterEntry
from goals.serializers import BY_HAND
from products.models import Product
from sync.tests.replica import (
    LISTS,
    Replica,
    calculated_goal,
    created,
    deleted,
    entry,
    live,
    portion,
    product,
    push,
    updated,
)
from tests.helpers.api import Api
from tests.helpers.threads import as_thread

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 3.0
DONE = {200, 201, 204, 404, 409}

INSERT_WATER = """
INSERT INTO water_entries (id, device_id, revision, created_at, date, ml)
SELECT gen_random_uuid(), %s, 0, now(), date '2025-02-01' + n, 250 FROM generate_series(1, 3) AS n
"""


def rest_products(phone: Api, device: Device, random: Random) -> None:
    answer = phone.post("/v1/products", {"name": "REST", "kcal_100g": 1})
    assert answer.status_code in DONE, answer.content
    path = f"/v1/products/{answer.json()['id']}"
    assert phone.patch(path, {"kcal_100g": random.randrange(1000)}).status_code in DONE
    if random.random() < 0.5:
        assert phone.delete(path).status_code in DONE


def rest_entries(phone: Api, device: Device, random: Random) -> None:
    soup = {"name": "Soup", "kcal": 1, "date": "2025-02-05", "meal_type": "lunch"}
    answer = phone.post("/v1/food-entries", soup)
    assert answer.status_code in DONE, answer.content
    if answer.status_code == 201 and random.random() < 0.5:
        assert phone.delete(f"/v1/food-entries/{answer.json()['id']}").status_code in DONE


def rest_goals(phone: Api, device: Device, random: Random) -> None:
    answer = phone.post("/v1/goals/manual", BY_HAND)
    assert answer.status_code in DONE, answer.content
    path = f"/v1/goals/{answer.json()['id']}"
    assert phone.patch(path, {"water_ml": random.randrange(1000)}).status_code in DONE


def pushes(phone: Api, device: Device, random: Random) -> None:
    replica = Replica(phone)
    replica.pull()
    rice = product(name="pushed")
    eaten = entry(rice, date="2025-03-01")
    changes = created(
        products=[rice], portions=[portion(rice)], food_entries=[eaten], goals=[calculated_goal()]
    )
    assert push(phone, replica.after, changes).status_code in DONE
    replica.pull()
    if rice["id"] in replica.rows["products"]:
        kind = random.choice([updated, deleted])
        changes = kind(products=[rice | {"name": "again"}], food_entries=[eaten | {"grams": 5}])
        assert push(phone, replica.after, changes).status_code in DONE


def operators(phone: Api, device: Device, random: Random) -> None:
    with device.locked():
        rows = Product.all_objects.for_device(device).order_by("?")[:2]
        for row in rows:
            if row.deleted_at is None:
                row.delete()
            else:
                row.restore()


def operators_in_bulk(phone: Api, device: Device, random: Random) -> None:
    rows = WaterEntry.objects.across_devices().filter(device=device)
    rows.filter(ml=250).update(ml=random.randrange(1, 249))
    rows.filter(ml__lt=100).delete()


def models(phone: Api, device: Device, random: Random) -> None:
    day = date(2025, 1, 1) + timedelta(random.randrange(5))
    with device.locked():
        BodyWeight.objects.for_device(device).filter(date=day).delete()
        BodyWeight.add(device.pk, date=day, weight_kg=random.randrange(1, 500))


def purges(phone: Api, device: Device, random: Random) -> None:
    with transaction.atomic():
        device.lock()
        old = timezone.now() - timedelta(days=40)
        FoodEntry.objects.for_device(device).filter(name="Soup", kcal=2).update(deleted_at=old)
        FoodEntry.objects.for_device(device).filter(name="Soup", kcal=1).update(kcal=2)
    call_command("purge_deleted", "--older-than", "30d", stdout=StringIO())


def straight_sql(phone: Api, device: Device, random: Random) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(INSERT_WATER, [device.pk])
        # Commits late, so that a revision of its time would be an old one.
        cursor.execute("SELECT pg_sleep(0.02)")
        cursor.execute("UPDATE products SET kcal_100g = 5 WHERE device_id = %s", [device.pk])


WRITERS: list[Callable[[Api, Device, Random], None]] = [
    rest_products,
    rest_entries,
    rest_goals,
    pushes,
    operators,
    operators_in_bulk,
    models,
    purges,
    straight_sql,
]


def test_a_copy_made_of_deltas_ends_equal(phone: Api, settings: Any) -> None:
    settings.DEVICE_THROTTLE = "1000000/min"
    assert phone.device
    device_id, replica, pulls = phone.device.pk, Replica(phone), 0
    written = Counter[str]()
    half, deadline = time.monotonic() + SECONDS / 2, time.monotonic() + SECONDS

    def write(number: int) -> None:
        random, writer = Random(number), WRITERS[number]  # noqa: S311  # by seed
        try:
            # What replaces a copy would also mend one that missed something.
            while time.monotonic() < (half if writer is purges else deadline):
                writer(as_thread(phone), Device.objects.get(pk=device_id), random)
                written[writer.__name__] += 1
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(WRITERS)) as pool:
        writers = [pool.submit(write, number) for number in range(len(WRITERS))]
        while not all(writer.done() for writer in writers):
            replica.pull()
            pulls += 1
    for writer in writers:
        writer.result()
    replica.pull()
    assert replica.rows == live(phone)
    assert all(written[writer.__name__] for writer in WRITERS), written
    assert pulls > 5
    for table, path in LISTS.items():
        listed = phone.get(f"{path}?limit=200").json()
        assert {row["id"] for row in listed} <= replica.rows[table].keys()
        for row in listed:
            assert replica.rows[table][row["id"]].items() <= row.items()
