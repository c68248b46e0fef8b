from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from countonme.scope.models import device_scoped_models
from devices import maintenance
from devices.models import PairingCode, Phone, RecoveryKey
from entries.models import FoodEntry, FoodEntryQuerySet
from products.models import Portion, Product
from tests.helpers.api import Api, new_phone, twin
from tests.helpers.phones import (
    another_phone,
    device_of,
    get_code,
    get_key,
    id_of,
    sign_out,
    status,
)

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def purge(*args: str) -> str:
    out = StringIO()
    call_command("purge_deleted", *args, stdout=out)
    return out.getvalue()


def rows(phone: Api) -> dict[str, int]:
    assert phone.device is not None
    counts = {
        model.__name__: model.all_objects.for_device(phone.device).count()
        for model in device_scoped_models()
    }
    return {name: count for name, count in counts.items() if count}


def delete_long_ago(phone: Api, path: str) -> None:
    with time_machine.travel(LONG_AGO, tick=False):
        assert phone.delete(path).status_code == 204


def test_it_works(phone: Api) -> None:
    product = phone.product()
    delete_long_ago(phone, f"/v1/products/{product['id']}")
    assert "Rows removed: 1 portions, 1 products." in purge("--older-than", "30d")
    assert rows(phone) == {}


def test_it_keeps_what_was_deleted_within_the_age(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    assert "Rows removed: none." in purge("--older-than", "30d")
    assert rows(phone)["Product"] == 1


def test_it_never_touches_live_rows(phone: Api) -> None:
    product = phone.product()
    phone.entry(product_id=product["id"], grams=10)
    purge("--older-than", "0d")
    assert rows(phone) == {"Product": 1, "Portion": 1, "FoodEntry": 1}


def test_it_leaves_products_and_portions_that_an_entry_names(phone: Api) -> None:
    product = phone.product()
    portion = phone.portion(product)
    phone.entry(product_id=product["id"], portion_id=portion["id"])
    delete_long_ago(phone, f"/v1/products/{product['id']}")
    purge("--older-than", "30d")
    assert rows(phone) == {"Product": 1, "Portion": 1, "FoodEntry": 1}
    assert Portion.all_objects.across_devices().get().pk.hex == portion["id"].replace("-", "")


def test_it_removes_them_once_the_entry_is_purged(phone: Api) -> None:
    product = phone.product()
    entry = phone.entry(product_id=product["id"], grams=10)
    delete_long_ago(phone, f"/v1/products/{product['id']}")
    delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    purge("--older-than", "30d")
    assert rows(phone) == {}


def test_it_removes_all_that_erased_devices_owned_at_once(phone: Api, other: Api) -> None:
    for one in (phone, other):
        product = one.product()
        one.entry(product_id=product["id"], grams=10)
        one.goal(), one.weight(), one.water()
        one.recipe(one.product(), {product["id"]: 100})
    phone.delete("/v1/auth/device")
    purge("--older-than", "30d")
    assert rows(phone) == {}
    one_each = {model.__name__: 1 for model in device_scoped_models()}
    assert rows(other) == one_each | {"Product": 2, "Portion": 3}


def test_it_leaves_what_is_in_a_recipe_until_that_is_purged(phone: Api) -> None:
    rice, dish = phone.product(name="Rice"), phone.product(name="Dish")
    cup = phone.portion(rice)
    item = {"ingredient_id": rice["id"], "portion_id": cup["id"]}
    phone.put(f"/v1/products/{dish['id']}/recipe", {"servings": 1, "items": [item]})
    delete_long_ago(phone, f"/v1/products/{rice['id']}")
    purge("--older-than", "30d")
    assert rows(phone) == {"Product": 2, "Portion": 3, "RecipeItem": 1}
    delete_long_ago(phone, f"/v1/products/{dish['id']}")
    purge("--older-than", "30d")
    assert rows(phone) == {}


def test_it_removes_goals_weights_and_water(phone: Api) -> None:
    delete_long_ago(phone, f"/v1/goals/{phone.goal()['id']}")
    delete_long_ago(phone, f"/v1/body-weights/{phone.weight()['id']}")
    delete_long_ago(phone, f"/v1/water-entries/{phone.water()['id']}")
    phone.goal()
    purge("--older-than", "30d")
    assert rows(phone) == {"Goal": 1}


def test_a_dry_run_counts_and_removes_nothing(phone: Api) -> None:
    product = phone.product()
    entry = phone.entry(product_id=product["id"], grams=10)
    delete_long_ago(phone, f"/v1/products/{product['id']}")
    delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    printed = purge("--older-than", "30d", "--dry-run")
    assert "Rows would be removed: 1 products, 1 portions, 1 food_entries." in printed
    assert rows(phone) == {"Product": 1, "Portion": 1, "FoodEntry": 1}


def test_it_works_in_batches(phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)
    for _ in range(5):
        entry = phone.entry()
        delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    printed = purge("--older-than", "30d")
    assert printed.splitlines()[:3] == ["rows: 2", "rows: 2", "rows: 1"]
    assert "Rows removed: 5 food_entries." in printed


def test_devices_with_the_same_ids_are_purged_each_by_its_own(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 3)
    products = [phone.product() for _ in range(4)]
    entries = [phone.entry(product_id=product["id"], grams=10) for product in products]
    another = twin(phone)
    for product in products:
        delete_long_ago(phone, f"/v1/products/{product['id']}")
        delete_long_ago(another, f"/v1/products/{product['id']}")
    for entry in entries:
        delete_long_ago(another, f"/v1/food-entries/{entry['id']}")
    printed = purge("--older-than", "30d", "--dry-run")
    # The phone's portions go; its products, which its entries name, stay.
    removed = "4 food_entries, 8 portions, 4 products"
    assert "Rows would be removed: 4 products, 8 portions, 4 food_entries." in printed
    assert f"Rows removed: {removed}." in purge("--older-than", "30d")
    assert rows(another) == {}
    assert rows(phone) == {"Product": 4, "FoodEntry": 4}


def test_it_remembers_how_far_tombstones_are_gone(phone: Api) -> None:
    entry = phone.entry()
    delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    assert phone.device is not None
    gone = FoodEntry.all_objects.for_device(phone.device).get().revision
    purge("--older-than", "30d")
    phone.device.refresh_from_db()
    assert phone.device.purged_revision == gone


@pytest.mark.parametrize("age", ["30", "d", "-1d", "30 d", "1y", "٣d", "999999d"])
def test_it_refuses_what_is_no_age(age: str) -> None:
    with pytest.raises(CommandError, match=r"is no age|expected one argument"):
        purge("--older-than", age)


def test_the_age_is_required() -> None:
    with pytest.raises(CommandError, match="--older-than"):
        purge()


def test_a_row_restored_meanwhile_stays(phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = phone.entry()
    delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    original = FoodEntryQuerySet.lock_devices

    def restored_before_the_lock(rows: Any) -> None:
        FoodEntry._base_manager.get(pk=entry["id"]).restore()
        original(rows)

    monkeypatch.setattr(FoodEntryQuerySet, "lock_devices", restored_before_the_lock)
    purge("--older-than", "1d")
    assert phone.get(f"/v1/food-entries/{entry['id']}").status_code == 200


def test_products_come_after_what_names_them() -> None:
    order = device_scoped_models()
    assert order.index(Product) < order.index(Portion) < order.index(FoodEntry)


def test_a_terminal_shows_a_bar_instead_of_lines(phone: Api) -> None:
    entry = phone.entry()
    delete_long_ago(phone, f"/v1/food-entries/{entry['id']}")
    terminal = StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]  # a terminal to look at
    call_command("purge_deleted", "--older-than", "30d", stdout=terminal)
    assert "100%" in terminal.getvalue()
    assert "rows: 1" not in terminal.getvalue()


class TestPhones:
    """Phones that signed out 90 days ago, expired codes and expired keys are forgotten."""

    @pytest.fixture
    def phone(self, db: None) -> Api:
        with time_machine.travel(NOW - timedelta(days=365), tick=False):
            return new_phone()

    def purge(self, *args: str, at: datetime = NOW) -> str:
        with time_machine.travel(at, tick=False):
            return purge("--older-than", "1d", *args)

    def signed_out(self, phone: Api, ago: timedelta) -> Api:
        """Return another phone of the device, which signed out so long ago."""
        with time_machine.travel(NOW - ago, tick=False):
            second = another_phone(phone)
            sign_out(second)
        return second

    def test_it_works(self, phone: Api) -> None:
        self.signed_out(phone, timedelta(days=91))
        assert self.purge().endswith("Rows removed: 1 phones.\n")
        assert [row.id for row in Phone.objects.all()] == [id_of(phone)]

    @pytest.mark.parametrize(
        ("ago", "is_kept"),
        [
            (timedelta(days=90), True),
            (timedelta(days=90, microseconds=1), False),
        ],
    )
    def test_they_are_remembered_for_90_days(
        self, phone: Api, ago: timedelta, is_kept: bool
    ) -> None:
        second = self.signed_out(phone, ago)
        self.purge()
        assert Phone.objects.filter(id=id_of(second)).exists() == is_kept

    def test_their_age_is_not_the_commands(self, phone: Api) -> None:
        self.signed_out(phone, timedelta(days=89))
        with time_machine.travel(NOW, tick=False):
            assert "Rows removed: none." in purge("--older-than", "0d")

    def test_they_go_in_batches(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(maintenance, "BATCH", 2)
        for _ in range(5):
            self.signed_out(phone, timedelta(days=91))
        assert "Rows removed: 5 phones." in self.purge()

    @pytest.mark.django_db(transaction=True)
    def test_one_that_somebody_has_locked_is_left_for_the_next_time(self, phone: Api) -> None:
        locked, free = (self.signed_out(phone, timedelta(days=91)) for _ in range(2))
        other = connection.copy()
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                cursor.execute("SELECT FROM phones WHERE id = %s FOR UPDATE", [id_of(locked)])
            assert "Rows removed: 1 phones." in self.purge()
        finally:
            other.close()
        assert not Phone.objects.filter(id=id_of(free)).exists()
        assert "Rows removed: 1 phones." in self.purge()

    def test_a_phone_that_is_signed_in_stays(self, phone: Api) -> None:
        assert "Rows removed: none." in self.purge()
        assert status(phone) == 200

    def test_the_last_phone_may_go(self, phone: Api) -> None:
        with time_machine.travel(NOW - timedelta(days=91), tick=False):
            device_of(phone).sign_out_all()
        self.purge()
        assert not Phone.objects.exists()
        assert device_of(phone).erased_at is None

    def test_a_dry_run_counts_and_forgets_nobody(self, phone: Api) -> None:
        self.signed_out(phone, timedelta(days=91))
        assert "Rows would be removed: 1 phones." in self.purge("--dry-run")
        assert Phone.objects.count() == 2

    def test_expired_codes_go(self, phone: Api, other: Api) -> None:
        for each, ago in ((phone, timedelta(minutes=10)), (other, timedelta(minutes=11))):
            with time_machine.travel(NOW - ago, tick=False):
                get_code(each)
        self.purge()
        assert [row.device for row in PairingCode.objects.all()] == [phone.device]

    def test_expired_keys_go_and_the_present_one_stays(self, phone: Api) -> None:
        for ago in (timedelta(days=7, seconds=1), timedelta(days=7), timedelta(0)):
            with time_machine.travel(NOW - ago, tick=False):
                get_key(phone)
        keys = list(RecoveryKey.objects.order_by("created_at"))
        # The first was replaced by the second, and the second by the third.
        assert [key.expires_at for key in keys] == [NOW, NOW + timedelta(days=7), None]
        self.purge(at=NOW + timedelta(microseconds=1))
        assert list(RecoveryKey.objects.order_by("created_at")) == keys[1:]
