"""Device scope: a query that does not say whose rows it means does not run."""

from __future__ import annotations

import copy
import operator
import pickle
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import (
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    sql,
)
from django.forms import modelform_factory
from django.shortcuts import get_list_or_404, get_object_or_404
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from countonme.operators.base import ScopedForm
from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.models import device_scoped_models
from devices.models import Device
from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api, new_phone
from tests.helpers.samples import MODELS, SAMPLES, Model, required, sample
from tests.helpers.shared import shared

SOME_ID = uuid.UUID("0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f")


def within(rows: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call an asynchronous method from here, or iterate where it gives its rows one by one."""

    async def call() -> Any:
        result = getattr(rows, name)(*args, **kwargs)
        return [row async for row in result] if hasattr(result, "__aiter__") else await result

    return async_to_sync(call)()


# What runs a query, on a queryset or a manager.
READS: dict[str, Callable[[Any], Any]] = {
    "all": lambda rows: list(rows.all()),
    "filter": lambda rows: list(rows.filter(pk=SOME_ID)),
    "exclude": lambda rows: list(rows.exclude(pk=SOME_ID)),
    "filter by a device": lambda rows: list(rows.filter(device=SOME_ID)),
    "an empty list of ids": lambda rows: list(rows.filter(pk__in=[])),
    "len": lambda rows: len(rows.all()),
    "bool": lambda rows: bool(rows.all()),
    "repr": lambda rows: repr(rows.all()),
    "in": lambda rows: object() in rows.all(),
    "str of the query": lambda rows: str(rows.all().query),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "contains": lambda rows: rows.contains(rows.model(pk=SOME_ID)),
    "aggregate": lambda rows: rows.aggregate(Max("created_at")),
    "aggregate of a slice": lambda rows: rows.all()[:3].aggregate(Count("pk")),
    "annotate": lambda rows: list(rows.annotate(x=F("pk"))),
    "distinct": lambda rows: list(rows.distinct()),
    "distinct on": lambda rows: list(rows.distinct("device")),
    "distinct count": lambda rows: rows.distinct().count(),
    "get": lambda rows: rows.get(pk=SOME_ID),
    "first": lambda rows: rows.first(),
    "last": lambda rows: rows.last(),
    "latest": lambda rows: rows.latest("created_at"),
    "earliest": lambda rows: rows.earliest("created_at"),
    "in_bulk": lambda rows: rows.in_bulk(),
    "in_bulk of ids": lambda rows: rows.in_bulk([SOME_ID]),
    "index": lambda rows: rows.all()[0],
    "slice": lambda rows: list(rows.all()[:1]),
    "slice with a step": lambda rows: rows.all()[:4:2],
    "values": lambda rows: list(rows.values("pk")),
    "values_list": lambda rows: list(rows.values_list("pk", flat=True)),
    "only": lambda rows: list(rows.only("pk")),
    "defer": lambda rows: list(rows.defer("created_at")),
    "iterator": lambda rows: list(rows.iterator()),
    "iterator in chunks": lambda rows: list(rows.iterator(chunk_size=1)),
    "dates": lambda rows: list(rows.dates("created_at", "day")),
    "datetimes": lambda rows: list(rows.datetimes("created_at", "hour")),
    "explain": lambda rows: rows.explain(),
    "select_for_update": lambda rows: list(rows.select_for_update()),
    "select_related": lambda rows: list(rows.select_related("device")),
    "union": lambda rows: list(rows.union(rows.all())),
    "intersection": lambda rows: list(rows.intersection(rows.all())),
    "difference": lambda rows: list(rows.difference(rows.all())),
    "or": lambda rows: list(rows.all() | rows.all()),
    "and": lambda rows: list(rows.all() & rows.all()),
    "xor": lambda rows: list(rows.all() ^ rows.all()),
    "or after nothing": lambda rows: list(rows.none() | rows.all()),
    "union after nothing": lambda rows: list(rows.none().union(rows.all())),
    "raw": lambda rows: list(rows.raw("SELECT 1 AS id")),
    "extra": lambda rows: list(rows.extra(where=["true"])),
    "alias": lambda rows: list(rows.alias(x=F("pk")).filter(x=SOME_ID)),
    "copy": lambda rows: list(copy.deepcopy(rows.all())),
    "reverse": lambda rows: list(rows.order_by("pk").reverse()),
    "pickle": lambda rows: pickle.dumps(rows.all()),
    "using": lambda rows: list(rows.using("default")),
    "complex_filter": lambda rows: list(rows.complex_filter(Q(pk=SOME_ID))),
    "a condition on a relation": lambda rows: list(
        rows.annotate(owned=FilteredRelation("device", condition=Q(device=SOME_ID)))
    ),
    "sql_with_params": lambda rows: rows.all().query.sql_with_params(),
    "get_object_or_404": lambda rows: get_object_or_404(rows, pk=SOME_ID),
    "get_list_or_404": lambda rows: get_list_or_404(rows),
    "serialize": lambda rows: serializers.serialize("json", rows.all()),
    "subquery": lambda rows: list(Device.objects.filter(pk__in=rows.values("device"))),
    "Subquery": lambda rows: list(
        Device.objects.annotate(x=Subquery(rows.values("created_at")[:1]))
    ),
    "Exists": lambda rows: list(Device.objects.filter(Exists(rows.filter(device=OuterRef("pk"))))),
    "get_or_create": lambda rows: rows.get_or_create(pk=SOME_ID),
    "update_or_create": lambda rows: rows.update_or_create(pk=SOME_ID),
    "async for": lambda rows: within(rows, "all"),
    "aiterator": lambda rows: within(rows, "aiterator"),
    "acount": lambda rows: within(rows, "acount"),
    "aexists": lambda rows: within(rows, "aexists"),
    "acontains": lambda rows: within(rows, "acontains", rows.model(pk=SOME_ID)),
    "aaggregate": lambda rows: within(rows, "aaggregate", Max("created_at")),
    "aget": lambda rows: within(rows, "aget"),
    "afirst": lambda rows: within(rows, "afirst"),
    "alast": lambda rows: within(rows, "alast"),
    "alatest": lambda rows: within(rows, "alatest", "created_at"),
    "aearliest": lambda rows: within(rows, "aearliest", "created_at"),
    "ain_bulk": lambda rows: within(rows, "ain_bulk"),
    "aexplain": lambda rows: within(rows, "aexplain"),
    "aget_or_create": lambda rows: within(rows, "aget_or_create"),
    "aupdate_or_create": lambda rows: within(rows, "aupdate_or_create"),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "update": lambda rows: rows.update(updated_at=timezone.now()),
    "update of a filter": lambda rows: rows.filter(pk=SOME_ID).update(updated_at=None),
    "bulk_update": lambda rows: rows.bulk_update([rows.model(pk=SOME_ID)], ["updated_at"]),
    "delete": lambda rows: rows.all().delete(),
    "hard_delete": lambda rows: rows.all().hard_delete(),
    "raw delete": lambda rows: rows.all()._raw_delete("default"),
    "update by fields": lambda rows: rows.all()._update([]),
    "a query of another class": lambda rows: rows.all().query.chain(sql.Query),
    "aupdate": lambda rows: within(rows, "aupdate", updated_at=timezone.now()),
    "adelete": lambda rows: within(rows.all(), "adelete"),
    "abulk_update": lambda rows: within(
        rows, "abulk_update", [rows.model(pk=SOME_ID)], ["updated_at"]
    ),
}
EITHER = {**READS, **WRITES}
JOINS: dict[str, Callable[[Any, str], Any]] = {
    "filter": lambda rows, path: rows.filter(**{f"{path}__pk": SOME_ID}),
    "filter by a row": lambda rows, path: rows.filter(**{path: SOME_ID}),
    "exclude": lambda rows, path: rows.exclude(**{f"{path}__pk": SOME_ID}),
    "values": lambda rows, path: rows.values(f"{path}__created_at"),
    "order_by": lambda rows, path: rows.order_by(f"{path}__created_at"),
    "annotate": lambda rows, path: rows.annotate(x=F(f"{path}__created_at")),
    "count": lambda rows, path: rows.annotate(x=Count(path)),
    "aggregate": lambda rows, path: rows.aggregate(x=Max(f"{path}__created_at")),
    "a condition on a relation": lambda rows, path: rows.annotate(
        owned=FilteredRelation(path, condition=Q(pk=SOME_ID))
    ).filter(owned__pk=SOME_ID),
    "a reference from within": lambda rows, path: rows.filter(
        Exists(Device.objects.filter(pk=OuterRef(f"{path}__pk")))
    ),
}
COMBINATORS = ["union", "intersection", "difference"]


def device_of(phone: Api) -> Device:
    assert phone.device is not None
    return phone.device


def owner() -> uuid.UUID:
    """Make a device that owns a row of every model."""
    device = device_of(new_phone())
    for model in device_scoped_models():
        sample(model, device)
    return device.pk


@pytest.fixture(scope="class")
def owners(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[uuid.UUID]]:
    with shared(django_db_blocker, lambda: [owner(), owner()]) as made:
        yield made


@pytest.fixture
def mine(owners: list[uuid.UUID], db: None) -> Device:
    """A device that owns a row of every model."""
    return Device.objects.get(pk=owners[0])


@pytest.fixture
def theirs(owners: list[uuid.UUID], db: None) -> Device:
    """Another one."""
    return Device.objects.get(pk=owners[1])


def test_it_works(mine: Device, theirs: Device) -> None:
    assert {product.device for product in Product.objects.for_device(mine)} == {mine}


def test_the_models_stand_after_those_that_they_name() -> None:
    ordered = device_scoped_models()
    assert {"products", "portions", "food_entries"} <= {m._meta.db_table for m in ordered}
    places = [ordered.index(model) for model in (Product, Portion, FoodEntry)]
    assert places == sorted(places)
    assert len(set(ordered)) == len(ordered)


@pytest.mark.parametrize("name", EITHER)
def test_nothing_runs_without_a_device(name: str, db: None) -> None:
    for model in device_scoped_models():
        for rows in (model.objects, model.all_objects, model.objects.filter(deleted_at=None)):
            refused = pytest.raises(UnscopedQuery, match=model.__name__)
            with CaptureQueriesContext(connection) as queries, refused:
                EITHER[name](rows)
            assert not [query for query in queries if model._meta.db_table in query["sql"]]


@pytest.mark.parametrize("model", MODELS)
class TestWithoutADevice:
    def test_an_empty_queryset_runs(self, model: Model, db: None) -> None:
        assert list(model.objects.none()) == []
        assert model.objects.none().count() == 0

    def test_a_manager_has_no_delete(self, model: Model) -> None:
        for name in ("delete", "hard_delete"):
            assert not hasattr(model.objects, name)
            assert not hasattr(model.all_objects, name)

    def test_the_default_manager_is_the_one_that_refuses(self, model: Model) -> None:
        assert model._default_manager is model.objects

    def test_the_base_manager_is_plain(self, model: Model, mine: Device, theirs: Device) -> None:
        assert model._base_manager.count() >= 2

    def test_dumping_data_says_what_it_needs(self, model: Model, db: None) -> None:
        with pytest.raises(CommandError, match="--all"):
            call_command("dumpdata", model._meta.label)

    @pytest.mark.parametrize("scoped", [False, True])
    def test_an_upsert_never_reaches_another_devices_row(
        self, model: Model, mine: Device, theirs: Device, scoped: bool
    ) -> None:
        twin = model.objects.for_device(theirs)[0]
        twin.device, twin.created_at = mine, timezone.now()
        rows = model.objects.for_device(mine) if scoped else model.objects
        refused = pytest.raises((UnscopedQuery, IntegrityError))
        with refused, transaction.atomic():
            rows.bulk_create(
                [twin], update_conflicts=True, unique_fields=["id"], update_fields=["created_at"]
            )
        with refused, transaction.atomic():
            rows.bulk_create([twin], None, False, True, ["created_at"], ["id"])


@pytest.mark.parametrize("model", MODELS)
class TestWithADevice:
    @pytest.mark.parametrize("given", ["instance", "id"])
    def test_its_rows_are_seen_and_no_others(
        self, model: Model, mine: Device, theirs: Device, given: str
    ) -> None:
        rows = model.objects.for_device(mine if given == "instance" else mine.pk)
        assert {row.device_id for row in rows} == {mine.pk}
        assert rows.device_id == mine.pk

    @pytest.mark.parametrize(
        "read",
        [
            "all",
            "exclude",
            "annotate",
            "only",
            "defer",
            "iterator",
            "iterator in chunks",
            "slice",
            "slice with a step",
            "select_for_update",
            "select_related",
            "union",
            "or",
            "copy",
            "reverse",
        ],
    )
    def test_every_way_to_read_gives_its_rows(
        self, model: Model, mine: Device, theirs: Device, read: str
    ) -> None:
        found = READS[read](model.objects.for_device(mine))
        assert {row.device_id for row in found} == {mine.pk}

    def test_counting_counts_its_rows(self, model: Model, mine: Device, theirs: Device) -> None:
        sample(model, theirs)
        rows = model.objects.for_device(mine)
        count = len(rows)
        assert rows.count() == count
        assert rows.all()[:100].count() == count
        assert rows.aggregate(n=Count("pk")) == {"n": count}
        assert len(rows.in_bulk()) == count
        assert len(rows.values("pk")) == count

    def test_a_row_of_another_device_is_not_found(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        row = model.objects.for_device(theirs)[0]
        rows = model.objects.for_device(mine)
        assert not rows.filter(pk=row.pk).exists()
        assert rows.in_bulk([row.pk]) == {}
        assert not rows.contains(row)
        with pytest.raises(model.DoesNotExist):
            rows.get(pk=row.pk)

    def test_a_second_device_leaves_no_row(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        assert not model.objects.for_device(mine).for_device(theirs).exists()
        assert not model.objects.for_device(mine).filter(device=theirs).exists()

    @pytest.mark.parametrize("combine", [operator.or_, operator.xor])
    @pytest.mark.parametrize("sliced", ["neither", "own", "other"])
    def test_it_is_not_widened_by_rows_without_a_device(
        self, model: Model, mine: Device, theirs: Device, sliced: str, combine: Any
    ) -> None:
        own, every = model.objects.for_device(mine), model.objects.all()
        if sliced == "own":
            own = own[:1]
        elif sliced == "other":
            every = every[:1]
        with pytest.raises(UnscopedQuery):
            list(combine(own, every))

    @pytest.mark.parametrize("combine", [operator.or_, operator.and_, operator.xor])
    @pytest.mark.parametrize("sliced", [False, True])
    def test_a_slice_is_not_combined(
        self, model: Model, mine: Device, theirs: Device, sliced: bool, combine: Any
    ) -> None:
        rows = model.objects.for_device(mine)
        with pytest.raises(UnscopedQuery):
            list(combine(rows[:1], rows) if sliced else combine(rows, rows[:1]))

    @pytest.mark.parametrize("how", ["__or__", "__xor__", *COMBINATORS])
    def test_it_is_not_widened_by_rows_of_another(
        self, model: Model, mine: Device, theirs: Device, how: str
    ) -> None:
        own = model.objects.for_device(mine)
        for others in (model.objects.for_device(theirs), model.objects.across_devices()):
            with pytest.raises(UnscopedQuery):
                list(getattr(own, how)(others))
            with pytest.raises(UnscopedQuery):
                list(getattr(others, how)(own))

    @pytest.mark.parametrize("how", COMBINATORS)
    def test_it_is_not_united_with_rows_without_a_device(
        self, model: Model, mine: Device, theirs: Device, how: str
    ) -> None:
        own = model.objects.for_device(mine)
        for others in (model.objects.all(), model._base_manager.all()):
            with pytest.raises(UnscopedQuery):
                list(getattr(own, how)(others))
        for others in (model.objects.values("pk"), Device.objects.values("pk")):
            with pytest.raises(UnscopedQuery):
                list(getattr(others, how)(model.objects.values("pk")))

    def test_a_subquery_needs_a_device_of_its_own(self, model: Model, mine: Device) -> None:
        rows = model.objects.for_device(mine)
        assert rows.filter(pk__in=rows.values("pk")).count() == rows.count()
        with pytest.raises(UnscopedQuery):
            list(rows.filter(pk__in=model.objects.values("pk")))

    def test_updating_changes_its_rows_alone(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        assert model.objects.for_device(mine).update(updated_at=timezone.now()) >= 1
        assert not model.objects.for_device(theirs).filter(updated_at__isnull=False).exists()

    def test_a_bulk_update_changes_its_rows_alone(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        row = model.objects.for_device(theirs)[0]
        row.updated_at = timezone.now()
        for rows in (model.objects.for_device(mine), model.objects.across_devices()):
            with pytest.raises(UnscopedQuery):
                rows.bulk_update([row], ["updated_at"])
        row.refresh_from_db()
        assert row.updated_at is None

    def test_creating_gives_the_row_to_it(self, model: Model, mine: Device) -> None:
        values = dict(SAMPLES[model._meta.db_table])
        values |= required(model, mine)
        model.objects.for_device(mine).update(deleted_at=timezone.now())
        row = model.objects.for_device(mine).create(**values)
        assert row.device_id == mine.pk

    @pytest.mark.parametrize("how", ["get_or_create", "update_or_create"])
    def test_what_looks_before_it_creates_looks_among_its_rows(
        self, model: Model, mine: Device, theirs: Device, how: str
    ) -> None:
        row = model.objects.for_device(theirs)[0]
        before = model.objects.for_device(theirs).values().get(pk=row.pk)
        values = dict(SAMPLES[model._meta.db_table])
        values |= required(model, mine)
        model.objects.for_device(mine).update(deleted_at=timezone.now())
        own, created = getattr(model.objects.for_device(mine), how)(pk=row.pk, defaults=values)
        assert (own.key, created) == ((mine.pk, row.pk), True)
        assert model.objects.for_device(theirs).values().get(pk=row.pk) == before

    def test_it_creates_no_row_of_another(self, model: Model, mine: Device, theirs: Device) -> None:
        rows = model.objects.for_device(mine)
        twin = model.objects.for_device(theirs)[0]
        with pytest.raises(UnscopedQuery):
            rows.create(device=theirs)
        with pytest.raises(UnscopedQuery):
            rows.create(device_id=theirs.pk)
        with pytest.raises(UnscopedQuery):
            rows.bulk_create([twin], ignore_conflicts=True)

    def test_rows_created_in_bulk_are_its_own(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        row = model.objects.for_device(mine)[0]
        model.objects.for_device(mine).update(deleted_at=timezone.now())
        row.pk, row.device_id = uuid.uuid4(), None
        model.objects.for_device(mine).bulk_create([row])
        assert model.objects.for_device(mine).get().pk == row.pk

    def test_a_conflict_that_is_ignored_leaves_anothers_row(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        twin = model.objects.for_device(theirs)[0]
        before = model.objects.for_device(theirs).values().get(pk=twin.pk)
        twin.device, twin.created_at = mine, timezone.now()
        for name, row in required(model, mine).items():
            setattr(twin, name, row)
        model.objects.for_device(mine).bulk_create([twin], ignore_conflicts=True)
        assert model.objects.for_device(theirs).values().get(pk=twin.pk) == before

    def test_a_pickled_query_keeps_it(self, model: Model, mine: Device, theirs: Device) -> None:
        def thawed(rows: Any) -> Any:
            plain = model._base_manager.all()
            plain.query = pickle.loads(pickle.dumps(rows.query))  # noqa: S301  # of our own
            return plain

        assert {row.device_id for row in thawed(model.objects.for_device(mine))} == {mine.pk}
        with pytest.raises(UnscopedQuery):
            list(thawed(model.objects.all()))


@pytest.mark.parametrize("model", MODELS)
class TestAnInstance:
    """One that bears the id of another device's row reaches that row by no method of its own."""

    @pytest.fixture
    def forged(self, model: Model, mine: Device, theirs: Device) -> Any:
        row = model.objects.for_device(theirs)[0]
        row.device = mine
        return row

    @pytest.mark.parametrize(
        "arguments", [{}, {"force_update": True}, {"update_fields": ["created_at"]}]
    )
    def test_saves_to_no_other_row(self, forged: Any, arguments: dict[str, Any]) -> None:
        before = type(forged)._base_manager.values().get(pk=forged.pk)
        forged.created_at = timezone.now()
        with pytest.raises(DatabaseError), transaction.atomic():
            forged.save(**arguments)
        assert type(forged)._base_manager.values().get(pk=forged.pk) == before

    def test_reads_no_other_row(self, forged: Any) -> None:
        with pytest.raises(type(forged).DoesNotExist):
            forged.refresh_from_db()

    def test_fetches_no_field_of_another_row(self, model: Model, forged: Any) -> None:
        bare = model.from_db("default", ["id", "device_id"], [forged.pk, forged.device_id])
        with pytest.raises(model.DoesNotExist):
            _ = bare.created_at

    def test_deletes_no_other_row(self, forged: Any) -> None:
        forged.delete()
        assert type(forged)._base_manager.get(pk=forged.pk).deleted_at is None
        forged.hard_delete()
        assert type(forged)._base_manager.filter(pk=forged.pk).exists()


@pytest.mark.parametrize("model", MODELS)
class TestJoins:
    """Devices are no device's rows: a query on them must not read rows on the way."""

    @pytest.mark.parametrize("how", JOINS)
    def test_none_leads_from_devices_to_their_rows(
        self, model: Model, mine: Device, theirs: Device, how: str
    ) -> None:
        name = str(model._meta.model_name)
        with pytest.raises(UnscopedQuery):
            list(JOINS[how](Device.objects, name))
        with pytest.raises(UnscopedQuery):
            list(JOINS[how](model.objects.for_device(mine), f"device__{name}"))

    def test_a_prefetch_from_devices_needs_its_device(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        name = f"{model._meta.model_name}_set"
        with pytest.raises(UnscopedQuery):
            list(Device.objects.prefetch_related(Prefetch(name, model.objects.all())))
        own = Prefetch(name, model.objects.for_device(mine))
        found = {
            device.pk: {row.device_id for row in getattr(device, name).all()}
            for device in Device.objects.prefetch_related(own)
        }
        assert found == {mine.pk: {mine.pk}, theirs.pk: set()}


@pytest.mark.parametrize("model", MODELS)
class TestAcrossDevices:
    def test_operators_see_all_rows(self, model: Model, mine: Device, theirs: Device) -> None:
        found = {row.device_id for row in model.objects.across_devices()}
        assert found == {mine.pk, theirs.pk}

    def test_it_does_not_widen_one_device(self, model: Model, mine: Device, theirs: Device) -> None:
        found = {row.device_id for row in model.objects.for_device(mine).across_devices()}
        assert found == {mine.pk}

    def test_it_belongs_to_no_one_device(self, model: Model, db: None) -> None:
        with pytest.raises(UnscopedQuery):
            _ = model.objects.across_devices().device_id

    def test_updating_works_across(self, model: Model, mine: Device, theirs: Device) -> None:
        assert model.objects.across_devices().update(updated_at=timezone.now()) >= 2


class TestReverseManagers:
    """`product.portions`: whose rows are meant is plain from the instance."""

    def portions(self, phone: Api) -> Product:
        product = phone.product()
        phone.portion(product, name="1 piece")
        found: Product = Product.objects.for_device(device_of(phone)).get(pk=product["id"])
        return found

    def test_they_are_scoped_by_their_instance(self, phone: Api, other: Api) -> None:
        product, _ = self.portions(phone), self.portions(other)
        assert product.portions.count() == 2
        rows: Any = product.portions.all()
        assert rows.device_id == device_of(phone).pk
        assert {portion.product_id for portion in product.portions.all()} == {product.pk}

    def test_those_of_a_device_are_its_rows(self, phone: Api, other: Api) -> None:
        self.portions(phone), self.portions(other)
        device = device_of(phone)
        assert {row.device_id for row in device.portion_set.all()} == {device.pk}
        assert device.portion_set.count() == 2

    def test_they_create_rows_of_the_same_device(self, phone: Api) -> None:
        product = self.portions(phone)
        portion = product.portions.create(name="1 slice", grams=30)
        assert (portion.device_id, portion.product_id) == (product.device_id, product.pk)
        assert product.device.product_set.create(name="Rice", kcal_100g=130).device_id

    def test_a_row_of_another_device_cannot_be_added(self, phone: Api, other: Api) -> None:
        product, foreign = self.portions(phone), self.portions(other)
        with pytest.raises(UnscopedQuery):
            product.portions.add(*foreign.portions.filter(is_default=False))

    def test_prefetching_keeps_to_the_owner_of_each(
        self, phone: Api, other: Api, django_assert_num_queries: Any
    ) -> None:
        self.portions(phone), self.portions(other)
        products = Product.objects.across_devices().prefetch_related("portions", "entries")
        with django_assert_num_queries(3):
            found = {
                p.pk: [(row.product_id, row.device_id) for row in p.portions.all()]
                for p in products
            }
        owners = dict(Product.objects.across_devices().values_list("pk", "device_id"))
        assert found == {pk: [(pk, owner)] * 2 for pk, owner in owners.items()}

    def test_those_of_devices_are_prefetched_too(
        self, phone: Api, other: Api, django_assert_num_queries: Any
    ) -> None:
        self.portions(phone), self.portions(other)
        with django_assert_num_queries(2):
            devices = list(Device.objects.prefetch_related("portion_set"))
            for device in devices:
                assert [row.device_id for row in device.portion_set.all()] == [device.pk] * 2

    def test_a_prefetch_with_a_queryset_needs_its_device(self, phone: Api) -> None:
        product = self.portions(phone)
        rows = Product.objects.for_device(product.device_id)
        with pytest.raises(UnscopedQuery):
            list(rows.prefetch_related(Prefetch("portions", Portion.objects.all())))
        scoped = Portion.objects.for_device(product.device_id)
        (found,) = rows.prefetch_related(Prefetch("portions", scoped))
        assert len(found.portions.all()) == 2

    def test_a_prefetched_one_may_still_be_filtered(self, phone: Api, other: Api) -> None:
        product, _ = self.portions(phone), self.portions(other)
        (found,) = Product.objects.for_device(product.device_id).prefetch_related("portions")
        assert found.portions.filter(is_default=True).count() == 1


class TestForwardKeys:
    def test_they_reach_the_row_named(self, phone: Api) -> None:
        entry = phone.entry(product_id=phone.product()["id"], grams=100)
        row = FoodEntry.objects.for_device(device_of(phone)).get(pk=entry["id"])
        assert str(row.product.pk) == entry["product_id"]
        assert row.device == device_of(phone)

    def test_they_reach_no_row_of_another_device(self, phone: Api, other: Api) -> None:
        product = other.product()
        portion = other.get(f"/v1/products/{product['id']}/portions").json()[0]
        entry = FoodEntry(
            device=device_of(phone), product_id=product["id"], portion_id=portion["id"]
        )
        with pytest.raises(Product.DoesNotExist):
            _ = entry.product
        with pytest.raises(Portion.DoesNotExist):
            _ = entry.portion

    def test_prefetching_them_works(self, phone: Api, other: Api) -> None:
        for each in (phone, other):
            each.entry(product_id=each.product()["id"], grams=100)
        entries = FoodEntry.objects.across_devices().prefetch_related("product", "device")
        assert all(entry.product.device_id == entry.device.pk for entry in entries)

    def test_joining_them_works(self, phone: Api, other: Api) -> None:
        for each in (phone, other):
            each.entry(product_id=each.product()["id"], grams=100)
        entries = FoodEntry.objects.for_device(device_of(phone)).filter(product__kcal_100g=165)
        assert {entry.device_id for entry in entries} == {device_of(phone).pk}

    def test_a_form_of_operators_chooses_among_rows_of_its_own_rows_device(
        self, phone: Api, other: Api
    ) -> None:
        mine, _ = phone.product(), other.product()
        entry = FoodEntry(device=device_of(phone))
        form = modelform_factory(FoodEntry, form=ScopedForm, fields=["product"])(instance=entry)
        choices = form.fields["product"].queryset  # type: ignore[attr-defined]  # of its key
        assert [str(product.pk) for product in choices] == [mine["id"]]

    def test_a_form_that_does_not_know_its_rows_device_chooses_among_none(self, phone: Api) -> None:
        form = modelform_factory(FoodEntry, fields=["product"])()
        with pytest.raises(UnscopedQuery):
            str(form)


@pytest.mark.parametrize("values", [{}, {"name": ""}, {"kcal_100g": 1001}])
def test_a_model_can_be_cleaned_in_full(phone: Api, values: dict[str, Any]) -> None:
    product = Product(device=device_of(phone), **{"name": "Rice", "kcal_100g": 130} | values)
    errors: dict[str, Any] = {}
    try:
        product.full_clean()
    except Exception as error:
        errors = getattr(error, "message_dict", {"raised": error})
    assert set(errors) == set(values)
