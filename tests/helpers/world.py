"""Fills a database with rows of every kind, for tests of migrations."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from axes.models import AccessAttempt
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from catalog.models import Food, Report
from countonme.scope.models import device_scoped_models
from devices import maintenance
from devices.models import Device, MaintenanceRun
from goals import demo
from tests.helpers.api import Api, new_phone
from tests.helpers.catalog import record, run_import
from tests.helpers.phones import another_phone, get_code, get_key, pair, sign_out
from tests.helpers.samples import sample

TODAY = date(2025, 2, 5)


class World(NamedTuple):
    """The phones of a filled database.

    Attributes:
        working: their tokens are accepted. The last is another phone of the first one's device.
        rotating: it has rotated its token, but the answer was lost.
        refused: their tokens are refused.
        joining: it has joined the first one's device, and not used its token.
        moving: it goes as soon as `joining` has used its token.
        code: a pairing code of the first one's device.
        key: a recovery key of that device.
    """

    working: list[Api]
    rotating: Api
    refused: list[Api]
    joining: Api
    moving: Api
    code: str
    key: str


def fill() -> World:
    """Write live and deleted rows of each of our models, and the rows that operators cause."""
    busy = Api(*demo.create_phone(TODAY, days=3))
    kinds = {kind: new_phone() for kind in ("rotating", "purged", "erased", "blocked", "revoked")}
    for phone in kinds.values():
        _eat(phone)
    for _ in maintenance.purge(timezone.now()):
        pass
    _eat(busy)
    for phone in (busy, *kinds.values()):
        _own_every_kind(_device(phone))

    tablet, moving, signed_out = (another_phone(busy, name="Tablet") for _ in range(3))
    joining = pair(get_code(moving, move=True), name="New phone")
    sign_out(signed_out)
    code, key = get_code(busy), get_key(busy)
    get_key(busy)

    kinds["rotating"].post("/v1/auth/rotate")
    _device(kinds["erased"]).erase()
    _device(kinds["revoked"]).sign_out_all()
    _operate(_device(kinds["blocked"]))
    caches["shared"].set("registrations", 1)
    _fill_catalog(User.objects.get(username="root"))
    MaintenanceRun.note("check_integrity", "Every rule holds.")

    for model in (LogEntry, Session, User, AccessAttempt, *_own_models()):
        assert model._base_manager.exists(), f"no {model._meta.label}"
    for scoped in device_scoped_models():
        deleted = scoped.all_objects.across_devices().exclude(deleted_at=None)
        assert deleted.exists(), f"no deleted {scoped._meta.label}"
    refused = [signed_out, *(kinds[kind] for kind in ("erased", "blocked", "revoked"))]
    working = [busy, kinds["purged"], tablet]
    return World(working, kinds["rotating"], refused, joining, moving, code, key)


def _eat(phone: Api) -> None:
    """Log, update and delete over HTTP, in every way that leaves rows."""
    product = phone.product(name="Crème brûlée", barcode="4006381333931", protein_100g=0.1)
    portion = phone.portion(product, name="½ cup", grams=62.5, is_default=True)
    to_delete = phone.product(name="Gone")
    phone.entry(product_id=product["id"], grams=33.33)
    phone.entry(product_id=to_delete["id"], grams=1)
    phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=0.5)
    entry = phone.entry(eaten_at="2025-02-05T12:00:00.123456+02:00", protein=0.01)
    recipe = f"/v1/products/{phone.product(name='Trifle')['id']}/recipe"
    item = {"ingredient_id": product["id"], "grams": 200}
    for items in ([item, item], [item]):
        phone.put(recipe, {"servings": 4, "items": items})
    phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 300, "barcode": None})
    phone.delete(f"/v1/portions/{phone.portion(product)['id']}")
    phone.delete(f"/v1/products/{to_delete['id']}")
    phone.delete(f"/v1/food-entries/{entry['id']}")


def _own_every_kind(device: Device) -> None:
    """Give the device a deleted and a live row of each model that it has none of."""
    for model in device_scoped_models():
        if not model.all_objects.for_device(device).exists():
            sample(model, device).delete()
            sample(model, device)


def _operate(device: Device) -> None:
    """Act as operators do: sign in, block a device, and fail to sign in."""
    operator = User.objects.create_user("moderator", password="a password", is_staff=True)
    operator.groups.add(Group.objects.get(name="Moderator"))
    User.objects.create_superuser("root", password="another password")
    client = Client()
    client.post("/admin/login/", {"username": "moderator", "password": "a password"})
    action = {"action": "block", "_selected_action": [str(device.pk)]}
    client.post("/admin/devices/device/", action | {"confirmed": "yes", "reason": "spam"})
    Client().post("/admin/login/", {"username": "root", "password": "wrong"})
    device.refresh_from_db()
    assert device.blocked_reason == "spam"


def _fill_catalog(operator: User) -> None:
    """Import, correct and report a food."""
    run_import(record(is_generic=True, portions=[("1 cup", 140)]))
    food = Food.objects.get()
    food.correct({"kcal_100g": 170}, "the pack says so", operator.pk)
    Report.objects.create(food=food, reason=Report.Reason.WRONG_VALUES)


def _own_models() -> list[type]:
    return [model for app in settings.OWN_APPS for model in apps.get_app_config(app).get_models()]


def _device(phone: Api) -> Device:
    assert phone.device is not None
    return Device.objects.get(pk=phone.device.pk)
