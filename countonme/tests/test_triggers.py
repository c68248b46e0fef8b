"""What the database itself keeps, whoever writes: revisions, devices and hard deletes, by SQL."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from countonme.scope.models import DeviceScoped
from devices.models import Device
from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api
from tests.helpers.samples import MODELS, linked_sample, sample, scoped_keys
from tests.helpers.sql import (
    INSERT_PRODUCTS,
    insert_products,
    next_transaction,
    params_of_products,
    sql,
)

Model = type[DeviceScoped]

# Where real transactions matter; elsewhere `next_transaction()` will do.
in_transactions = pytest.mark.django_db(transaction=True)


def on(model: Model, query: str, *params: Any) -> None:
    """Run a statement on `this`, the table of a model."""
    sql(query.replace("this", model._meta.db_table, 1), *params)


@contextmanager
def refused(why: str) -> Iterator[None]:
    """Expect the database to refuse."""
    with pytest.raises(IntegrityError, match=why), transaction.atomic():
        yield


def revision(device: Device) -> int:
    return Device.objects.values_list("revision", flat=True).get(pk=device.pk)


def purged(device: Device) -> int:
    return Device.objects.values_list("purged_revision", flat=True).get(pk=device.pk)


def stamps(model: Model, device: Device) -> list[int]:
    """Return the revisions of a device's rows, in order."""
    rows = model._base_manager.filter(device=device)
    return sorted(rows.values_list("revision", flat=True))


def updates_of_devices() -> int:
    """Return how often this connection has updated rows of the devices table, of late."""
    query = "SELECT n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'devices'"
    return int(sql(query)[0][0])


@pytest.fixture
def device(phone: Api) -> Device:
    assert phone.device is not None
    return phone.device


@pytest.fixture
def stranger(other: Api) -> Device:
    assert other.device is not None
    return other.device


@in_transactions
def test_it_works(device: Device) -> None:
    insert_products(1, device)
    assert revision(device) == 2
    assert stamps(Product, device) == [2]


@pytest.mark.parametrize("model", MODELS)
class TestEveryTable:
    def test_an_insert_raises_the_revision_and_stamps_the_row(
        self, model: Model, device: Device
    ) -> None:
        row = sample(model, device)
        assert revision(device) > 1
        assert stamps(model, device) == [revision(device)]
        row.refresh_from_db()
        assert row.revision == revision(device)

    def test_an_update_does_too(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        next_transaction()
        before = revision(device)
        on(model, "UPDATE this SET updated_at = now() WHERE id = %s", row.pk)
        assert revision(device) == before + 1
        assert stamps(model, device) == [before + 1]

    def test_an_update_that_changes_nothing_does_not(self, model: Model, device: Device) -> None:
        sample(model, device)
        next_transaction()
        before = revision(device)
        on(model, "UPDATE this SET updated_at = updated_at, device_id = device_id")
        assert (revision(device), stamps(model, device)) == (before, [before])

    def test_saving_an_unchanged_row_does_not(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        row.refresh_from_db()
        next_transaction()
        before = revision(device)
        row.save()
        assert (revision(device), stamps(model, device)) == (before, [before])

    def test_a_hard_delete_is_remembered(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        next_transaction()
        on(model, "UPDATE this SET deleted_at = now() WHERE id = %s", row.pk)
        before = revision(device)
        on(model, "DELETE FROM this WHERE id = %s", row.pk)
        assert (purged(device), revision(device)) == (before, before + 1)


@pytest.mark.parametrize("model", MODELS)
class TestEveryTableRefuses:
    def test_to_move_a_row_to_another_device(
        self, model: Model, device: Device, stranger: Device
    ) -> None:
        sample(model, device)
        with refused("a row never moves to another device"):
            on(model, "UPDATE this SET device_id = %s", stranger.pk)

    def test_a_row_of_a_device_that_does_not_exist(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        row.pk, row.device_id = uuid.uuid4(), uuid.uuid4()
        with refused("does not exist or is erased"):
            row.save(force_insert=True)

    def test_to_write_to_an_erased_device(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        device.erase()
        with refused("does not exist or is erased"):
            on(model, "UPDATE this SET deleted_at = now()")
        row.pk = uuid.uuid4()
        with refused("does not exist or is erased"):
            row.save(force_insert=True)

    def test_to_name_a_row_of_another_device(
        self, model: Model, device: Device, stranger: Device
    ) -> None:
        row, foreign = linked_sample(model, device), linked_sample(model, stranger)
        keys = [key.attname for key in scoped_keys(model)]
        for named in [[key] for key in keys] + ([keys] if keys else []):
            values = {key: getattr(foreign, key) for key in named}
            assert None not in values.values()
            with refused("violates foreign key constraint"):
                assignments = ", ".join(f"{key} = %s" for key in named)
                on(model, f"UPDATE this SET {assignments} WHERE id = %s", *values.values(), row.pk)
            twin = copy(row)
            for key, value in values.items():
                setattr(twin, key, value)
            twin.pk = uuid.uuid4()
            with refused("violates foreign key constraint"):
                twin.save(force_insert=True)

    def test_to_hard_delete_a_live_row(self, model: Model, device: Device) -> None:
        row = sample(model, device)
        with refused("a live row is deleted softly first"):
            on(model, "DELETE FROM this WHERE id = %s", row.pk)
        assert model._base_manager.filter(pk=row.pk).exists()


@in_transactions
class TestRevision:
    def test_a_transaction_raises_it_once(self, device: Device) -> None:
        with transaction.atomic():
            product = sample(Product, device)
            sql("UPDATE products SET kcal_100g = 1")
            insert_products(3, device)
            sample(FoodEntry, device)
            sql("UPDATE products SET deleted_at = now() WHERE id = %s", product.pk)
        assert revision(device) == 2
        assert set(stamps(Product, device) + stamps(FoodEntry, device)) == {2}

    def test_every_transaction_raises_it(self, device: Device) -> None:
        for _ in range(3):
            insert_products(2, device)
        assert revision(device) == 4
        assert stamps(Product, device) == [2, 2, 3, 3, 4, 4]

    def test_many_rows_update_the_device_once(self, device: Device) -> None:
        with transaction.atomic():
            before = updates_of_devices()
            insert_products(1000, device)
            sql("UPDATE products SET kcal_100g = 1")
            assert updates_of_devices() == before + 1

    def test_rows_of_two_devices_in_turn_raise_each_once(
        self, device: Device, stranger: Device
    ) -> None:
        insert_products(1, stranger)
        with transaction.atomic():
            before = updates_of_devices()
            insert_products(100, device, stranger)
            assert updates_of_devices() == before + 2
        assert (revision(device), revision(stranger)) == (2, 3)
        assert set(stamps(Product, device)) == {2}
        assert set(stamps(Product, stranger)) == {2, 3}

    def test_only_the_rows_that_change_are_stamped(self, device: Device) -> None:
        insert_products(3, device)
        sql("UPDATE products SET kcal_100g = 1 WHERE name = 'Rice 1'")
        sql("UPDATE products SET kcal_100g = 1")
        assert revision(device) == 4
        assert stamps(Product, device) == [3, 4, 4]

    def test_another_device_is_left_alone(self, device: Device, stranger: Device) -> None:
        insert_products(1, stranger)
        before = Device.objects.values().get(pk=device.pk)
        sql("UPDATE products SET kcal_100g = 1")
        assert Device.objects.values().get(pk=device.pk) == before

    def test_no_writer_chooses_it(self, device: Device) -> None:
        row = sample(Product, device)
        sql("UPDATE products SET revision = 999")
        assert stamps(Product, device) == [3]
        row.pk, row.revision = uuid.uuid4(), 999
        row.save(force_insert=True)
        assert stamps(Product, device) == [3, 4]

    def test_a_transaction_that_is_rolled_back_leaves_it(self, device: Device) -> None:
        with transaction.atomic():
            insert_products(1, device)
            transaction.set_rollback(True)
        assert revision(device) == 1
        insert_products(1, device)
        assert revision(device) == 2

    def test_a_savepoint_that_is_rolled_back_leaves_it(self, device: Device) -> None:
        with transaction.atomic():
            savepoint = transaction.savepoint()
            insert_products(1, device)
            transaction.savepoint_rollback(savepoint)
        assert revision(device) == 1

    def test_after_such_a_savepoint_rows_are_stamped_anew(self, device: Device) -> None:
        with transaction.atomic():
            savepoint = transaction.savepoint()
            insert_products(1, device)
            transaction.savepoint_rollback(savepoint)
            insert_products(2, device)
        assert (revision(device), stamps(Product, device)) == (2, [2, 2])

    def test_savepoints_raise_it_once_together(self, device: Device) -> None:
        with transaction.atomic():
            insert_products(1, device)
            savepoint = transaction.savepoint()
            insert_products(1, device)
            transaction.savepoint_rollback(savepoint)
            with transaction.atomic():
                insert_products(1, device)
        assert (revision(device), stamps(Product, device)) == (2, [2, 2])

    def test_a_refused_row_leaves_it(self, device: Device) -> None:
        with refused("products_kcal_in_range"):
            insert_products(1, device, kcal=1001)
        assert revision(device) == 1

    def test_a_restored_backup_may_know_the_transactions_id(self, device: Device) -> None:
        with transaction.atomic():
            sql(
                "UPDATE devices SET revised_in = pg_current_xact_id()::text::bigint, "
                "revised_at = now() - interval '1 day'"
            )
            insert_products(1, device)
        assert (revision(device), stamps(Product, device)) == (2, [2])

    def test_the_devices_row_keeps_room_for_it(self) -> None:
        ((options,),) = sql("SELECT reloptions FROM pg_class WHERE oid = 'devices'::regclass")
        assert "fillfactor=50" in options
        indexed = sql(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
            "AND attnum = ANY (indkey) WHERE indrelid = 'devices'::regclass"
        )
        written = {"revision", "revised_at", "revised_in", "last_seen_at", "purged_revision"}
        assert not written & {name for (name,) in indexed}


class TestForeignKeys:
    """No row of one device refers to another's, by any route."""

    def test_a_portion_has_a_product_of_its_device(self, device: Device, stranger: Device) -> None:
        portion, foreign = sample(Portion, device), sample(Product, stranger)
        with refused("portions_product_id_fk"):
            sql("UPDATE portions SET product_id = %s", foreign.pk)
        portion.pk, portion.product_id = uuid.uuid4(), foreign.pk
        with refused("portions_product_id_fk"):
            portion.save(force_insert=True)

    @pytest.mark.parametrize("by", ["INSERT", "UPDATE"])
    @pytest.mark.parametrize("of", ["another device", "another product", "no product"])
    def test_an_entry_has_a_portion_of_its_own_product(
        self, device: Device, stranger: Device, by: str, of: str
    ) -> None:
        entry, product = sample(FoodEntry, device), sample(Product, device)
        portion = sample(Portion, stranger if of == "another device" else device)
        values = {
            "product_id": None if of == "no product" else product.pk,
            "portion_id": portion.pk,
            "grams": 1,
            "quantity": 1,
        }
        constraint = "amount_is_whole" if of == "no product" else "food_entries_portion_id_fk"
        with refused(constraint):
            self.write(entry, by, values)

    @pytest.mark.parametrize("by", ["INSERT", "UPDATE"])
    def test_an_entry_may_name_a_portion_of_its_product(self, device: Device, by: str) -> None:
        entry, portion = sample(FoodEntry, device), sample(Portion, device)
        amount = {"grams": 1, "quantity": 1}
        self.write(entry, by, {"product_id": portion.product_id, "portion_id": portion.pk} | amount)

    @pytest.mark.parametrize("by", ["INSERT", "UPDATE"])
    def test_an_entry_has_a_product_of_its_device(
        self, device: Device, stranger: Device, by: str
    ) -> None:
        entry, foreign = sample(FoodEntry, device), sample(Product, stranger)
        with refused("food_entries_product_id_fk"):
            self.write(entry, by, {"product_id": foreign.pk, "grams": 1})

    def write(self, entry: FoodEntry, by: str, values: dict[str, Any]) -> None:
        if by == "UPDATE":
            FoodEntry._base_manager.filter(pk=entry.pk).update(**values)
            return
        for name, value in values.items():
            setattr(entry, name, value)
        entry.pk = uuid.uuid4()
        entry.save(force_insert=True)

    def test_a_product_that_is_named_stays(self, device: Device) -> None:
        portion = sample(Portion, device)
        sql("UPDATE products SET deleted_at = now()")
        with refused("portions_product_id_fk"):
            sql("DELETE FROM products WHERE id = %s", portion.product_id)

    def test_a_device_that_owns_a_row_stays(self, device: Device) -> None:
        insert_products(1, device)
        with refused("products_device_id_fk"):
            sql("DELETE FROM devices WHERE id = %s", device.pk)


class TestHardDelete:
    def delete(self, *names: str) -> None:
        sql("DELETE FROM products WHERE name = ANY (%s)", list(names))

    @pytest.fixture
    def deleted(self, device: Device) -> None:
        """`Rice 1`, deleted at revision 3, and `Rice 2` at 4; `Rice 3` lives."""
        insert_products(3, device)
        for number in (1, 2):
            next_transaction()
            sql("UPDATE products SET deleted_at = now() WHERE name = %s", f"Rice {number}")
        next_transaction()

    def test_it_remembers_the_latest(self, device: Device, deleted: None) -> None:
        self.delete("Rice 1", "Rice 2")
        assert (purged(device), revision(device)) == (4, 5)

    def test_it_never_goes_back(self, device: Device, deleted: None) -> None:
        self.delete("Rice 2")
        self.delete("Rice 1")
        assert (purged(device), revision(device)) == (4, 6)

    def test_among_live_rows_nothing_goes(self, device: Device, deleted: None) -> None:
        with refused("a live row is deleted softly first"):
            self.delete("Rice 1", "Rice 3")
        assert Product._base_manager.count() == 3
        assert (purged(device), revision(device)) == (0, 4)

    def test_without_a_row_nothing_is_raised(self, device: Device, deleted: None) -> None:
        self.delete("Rice 9")
        assert (purged(device), revision(device)) == (0, 4)

    def test_each_device_remembers_its_own(
        self, device: Device, stranger: Device, deleted: None
    ) -> None:
        insert_products(1, stranger)
        next_transaction()
        sql("UPDATE products SET deleted_at = now() WHERE device_id = %s", stranger.pk)
        sql("DELETE FROM products WHERE deleted_at IS NOT NULL")
        assert (purged(device), revision(device)) == (4, 5)
        assert (purged(stranger), revision(stranger)) == (3, 4)

    def test_later_rows_of_the_transaction_stand_above_it(
        self, device: Device, deleted: None
    ) -> None:
        insert_products(1, device)
        self.delete("Rice 2")
        insert_products(1, device)
        assert purged(device) == 4
        assert max(stamps(Product, device)) == revision(device)

    def test_of_an_erased_device_live_rows_go_and_nothing_is_noted(
        self, device: Device, deleted: None
    ) -> None:
        device.erase()
        self.delete("Rice 1", "Rice 2", "Rice 3")
        assert Product._base_manager.count() == 0
        assert (purged(device), revision(device)) == (0, 1)

    def test_an_erased_device_does_not_free_anothers_live_rows(
        self, device: Device, stranger: Device
    ) -> None:
        insert_products(2, device, stranger)
        device.erase()
        with refused("a live row is deleted softly first"):
            sql("DELETE FROM products")


@in_transactions
class TestConcurrency:
    @contextmanager
    def other_connection(self) -> Iterator[Any]:
        """Give a cursor of a second connection, in a transaction."""
        other = connection.copy()
        try:
            other.set_autocommit(False)
            with other.cursor() as cursor:
                yield cursor
        finally:
            other.close()

    def wait_until_blocked(self, backend: int) -> None:
        deadline = time.monotonic() + 5
        while not sql("SELECT 1 WHERE cardinality(pg_blocking_pids(%s)) > 0", backend):
            assert time.monotonic() < deadline, "the second writer does not wait"

    def test_writers_of_one_device_are_serial(self, device: Device) -> None:
        backends: list[int] = []
        started = threading.Event()

        def second() -> int:
            try:
                backends.append(sql("SELECT pg_backend_pid()")[0][0])
                started.set()
                insert_products(2, device)
                return revision(device)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as thread:
            with transaction.atomic():
                insert_products(1, device)
                first = revision(device)
                later = thread.submit(second)
                assert started.wait(5)
                self.wait_until_blocked(backends[0])
            assert (first, later.result(5)) == (2, 3)
        assert stamps(Product, device) == [2, 3, 3]

    def test_after_a_rollback_the_waiting_one_takes_its_place(self, device: Device) -> None:
        backends: list[int] = []
        started = threading.Event()

        def second() -> None:
            try:
                backends.append(sql("SELECT pg_backend_pid()")[0][0])
                started.set()
                insert_products(1, device)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as thread:
            with transaction.atomic():
                insert_products(1, device)
                later = thread.submit(second)
                assert started.wait(5)
                self.wait_until_blocked(backends[0])
                transaction.set_rollback(True)
            later.result(5)
        assert (revision(device), stamps(Product, device)) == (2, [2])

    def test_what_is_not_committed_raises_nothing_for_others(self, device: Device) -> None:
        with self.other_connection() as writer:
            writer.execute(INSERT_PRODUCTS, params_of_products(1, device))
            assert revision(device) == 1
            writer.execute("COMMIT")
        assert revision(device) == 2

    def test_writers_of_two_devices_do_not_wait_for_each_other(
        self, device: Device, stranger: Device
    ) -> None:
        with self.other_connection() as writer:
            writer.execute(INSERT_PRODUCTS, params_of_products(1, stranger))
            with transaction.atomic():
                sql("SET LOCAL lock_timeout = '300ms'")
                insert_products(1, device)
        assert revision(device) == 2

    def test_many_writers_of_one_device_miss_no_revision(self, device: Device) -> None:
        def write(_: int) -> None:
            try:
                insert_products(2, device)
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(12)))
        assert revision(device) == 13
        assert stamps(Product, device) == sorted([*range(2, 14)] * 2)

    def test_calls_of_one_phone_are_serial(self, phone: Api, device: Device) -> None:
        def call(number: int) -> int:
            try:
                return int(
                    Api(token=phone.token)
                    .post("/v1/products", {"name": f"Rice {number}", "kcal_100g": 130})
                    .status_code
                )
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(call, range(8))) == {201}
        assert revision(device) == 9
        assert stamps(Product, device) == stamps(Portion, device) == list(range(2, 10))
