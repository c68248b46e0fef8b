"""Ids are a device's own: two devices that have all ids alike notice nothing of each other.

Every query that goes by an id, or joins by one, is tried on such two: whatever it finds is of the
device of the row that it began at.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    FilteredRelation,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from django.utils import timezone

from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.models import DeviceScoped, device_scoped_models
from devices import transfer
from devices.models import Device
from entries.models import FoodEntry
from products.models import Portion, Product, RecipeItem
from tests.helpers.api import new_phone
from tests.helpers.samples import MODELS, Model, sample
from tests.helpers.shared import shared


def alike() -> list[uuid.UUID]:
    """Make two devices that own rows of every model under the same ids."""
    first = owner()
    return [first.pk, other_like(first).pk]


def owner() -> Device:
    """Make a device that owns rows of every model: two products, of which the second has more."""
    phone = new_phone()
    assert phone.device is not None
    for name in ("Apple", "Bread"):
        product = phone.product(name=name)
        portion = phone.portion(product, name="1 slice", grams=30)
        phone.entry(product_id=product["id"], portion_id=portion["id"])
    phone.entry(product_id=product["id"], grams=10)
    phone.goal(), phone.weight(), phone.water()
    apple, bread = Product.objects.for_device(phone.device).in_order()
    sample(RecipeItem, phone.device, product=bread, ingredient=apple)
    return phone.device


def other_like(device: Device) -> Device:
    """Make one with the same ids and other values: names that begin with "Their", 1 g, 1 kcal."""
    exported = json.loads(b"".join(transfer.export(device)))
    exported["device"]["id"] = str(uuid.uuid4())
    for table in ("products", "portions", "food_entries"):
        for row in exported["rows"][table]:
            row["name"] = f"Their {row['name']}"
    for row in exported["rows"]["products"]:
        row["kcal_100g"] = 1
    for row in exported["rows"]["portions"]:
        row["grams"] = "1"
    for row in exported["rows"]["food_entries"]:
        row |= {"grams": "1", "kcal": "0.01"}
    other, _ = transfer.load(exported)
    return other


@pytest.fixture(scope="module")
def owners(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[uuid.UUID]]:
    with shared(django_db_blocker, alike) as made:
        yield made


@pytest.fixture
def mine(owners: list[uuid.UUID], db: None) -> Device:
    """A device that owns rows of every model."""
    return Device.objects.get(pk=owners[0])


@pytest.fixture
def theirs(owners: list[uuid.UUID], db: None) -> Device:
    """A device with the same ids, whose names begin with "Their"."""
    return Device.objects.get(pk=owners[1])


def scopes(model: Model, device: Device) -> dict[str, Any]:
    """Return the rows of a device, asked in each way that there is."""
    return {
        "of the device": model.objects.for_device(device),
        "across devices": model.objects.across_devices().filter(device_id=device.pk),
    }


def product(device: Device, name: str = "Bread") -> Product:
    return Product.objects.for_device(device).get(name__endswith=name)


def stored(device: Device) -> dict[str, Any]:
    """Return all rows of a device."""
    return {
        model._meta.db_table: list(model.all_objects.for_device(device).order_by("pk").values())
        for model in device_scoped_models()
    }


def is_theirs(text: str) -> bool:
    return text.startswith("Their")


def test_it_works(mine: Device, theirs: Device) -> None:
    for model in device_scoped_models():
        found = [
            set(model.objects.for_device(d).values_list("pk", flat=True)) for d in (mine, theirs)
        ]
        assert found[0] == found[1] != set()


# Each gives pairs of texts or numbers that belong to one device: of the row, and of what is joined.
JOINS: dict[str, tuple[Model, Callable[[Any], list[tuple[Any, Any]]]]] = {
    "a key's column": (FoodEntry, lambda rows: list(rows.values_list("name", "product__name"))),
    "a column two keys away": (
        FoodEntry,
        lambda rows: list(rows.exclude(portion=None).values_list("name", "portion__product__name")),
    ),
    "F()": (
        FoodEntry,
        lambda rows: list(rows.annotate(x=F("product__name")).values_list("name", "x")),
    ),
    "select_related": (
        FoodEntry,
        lambda rows: [(e.name, e.product.name) for e in rows.select_related("product")],
    ),
    "select_related of a key that may be null": (
        FoodEntry,
        lambda rows: [
            (e.name, e.portion.product.name)
            for e in rows.select_related("portion__product")
            if e.portion
        ],
    ),
    "select_related of few columns": (
        FoodEntry,
        lambda rows: [
            (e.name, e.product.name)
            for e in rows.select_related("product").only("name", "product__kcal_100g")
        ],
    ),
    "a reverse join": (Product, lambda rows: list(rows.values_list("name", "portions__name"))),
    "a reverse join two keys away": (
        Product,
        lambda rows: list(
            rows.filter(portions__entries__isnull=False).values_list(
                "name", "portions__entries__name"
            )
        ),
    ),
    "an order": (
        FoodEntry,
        lambda rows: [(e.name, e.name) for e in rows.order_by("product__name", "product__pk")],
    ),
    "a filtered relation": (
        Product,
        lambda rows: list(
            rows.annotate(
                usual=FilteredRelation("portions", condition=Q(portions__is_default=True))
            ).values_list("name", "usual__name")
        ),
    ),
    "a prefetch of a key": (
        FoodEntry,
        lambda rows: [(e.name, e.product.name) for e in rows.prefetch_related("product")],
    ),
    "a prefetch of a key that may be null": (
        FoodEntry,
        lambda rows: [
            (e.name, e.portion.name) for e in rows.prefetch_related("portion") if e.portion
        ],
    ),
    "a prefetch of a key of a key": (
        FoodEntry,
        lambda rows: [
            (e.name, e.portion.product.name)
            for e in rows.exclude(portion=None).prefetch_related("portion__product")
        ],
    ),
    "a prefetch of a key by a query": (
        FoodEntry,
        lambda rows: [
            (e.name, e.product.name)
            for e in rows.prefetch_related(
                Prefetch("product", Product.objects.across_devices().only("name"))
            )
        ],
    ),
    "a prefetch": (
        Product,
        lambda rows: [
            (p.name, portion.name)
            for p in rows.prefetch_related("portions")
            for portion in p.portions.all()
        ],
    ),
    "a prefetch by a query": (
        Product,
        lambda rows: [
            (p.name, portion.name)
            for p in rows.prefetch_related(
                Prefetch("portions", Portion.all_objects.across_devices(), to_attr="found")
            )
            for portion in p.found
        ],
    ),
    "a prefetch of a prefetch": (
        Product,
        lambda rows: [
            (p.name, entry.name)
            for p in rows.prefetch_related("portions__entries")
            for portion in p.portions.all()
            for entry in portion.entries.all()
        ],
    ),
    "a prefetch's way back": (
        Product,
        lambda rows: [
            (portion.name, portion.product.name)
            for p in rows.prefetch_related("portions")
            for portion in p.portions.all()
        ],
    ),
    "a forward key": (FoodEntry, lambda rows: [(e.name, e.product.name) for e in rows]),
    "a reverse manager": (
        Product,
        lambda rows: [(p.name, e.name) for p in rows for e in p.entries.all()],
    ),
    "what is deferred": (FoodEntry, lambda rows: [(e.name, e.name) for e in rows.only("pk")]),
    "what a key defers": (
        FoodEntry,
        lambda rows: [
            (e.name, e.product.name)
            for e in rows.select_related("product").defer("name", "product__name")
        ],
    ),
}


@pytest.mark.parametrize("scope", ["of the device", "across devices"])
@pytest.mark.parametrize("how", JOINS)
def test_a_join_keeps_to_the_device(mine: Device, theirs: Device, how: str, scope: str) -> None:
    model, join = JOINS[how]
    for device in (mine, theirs):
        found = join(scopes(model, device)[scope])
        assert found
        for pair in found:
            assert [is_theirs(text) for text in pair] == [device == theirs] * 2


@pytest.mark.parametrize("how", [how for how in JOINS if how.startswith(("a prefetch", "select"))])
def test_rows_of_both_devices_at_once_find_each_its_own(
    mine: Device, theirs: Device, how: str
) -> None:
    model, join = JOINS[how]
    found = join(model.objects.across_devices())
    assert all(is_theirs(one) == is_theirs(other) for one, other in found)
    each = [join(model.objects.for_device(device)) for device in (mine, theirs)]
    assert sorted(found) == sorted(each[0] + each[1])


# Each gives what is alike for the device alone and across devices, narrowed to that device.
QUERIES: dict[str, tuple[Model, Callable[[Any], Any]]] = {
    "a filter over a key": (FoodEntry, lambda rows: rows.filter(product__kcal_100g__gt=1)),
    "a filter over a reverse key": (Product, lambda rows: rows.filter(portions__grams__gt=20)),
    "a filter over two keys": (Product, lambda rows: rows.filter(portions__entries__grams__gt=5)),
    "an exclusion over a key": (FoodEntry, lambda rows: rows.exclude(product__kcal_100g__gt=1)),
    "an exclusion over many": (Product, lambda rows: rows.exclude(portions__grams__gt=90)),
    "an exclusion over many of a key": (
        FoodEntry,
        lambda rows: rows.exclude(product__portions__grams__gt=90),
    ),
    "an exclusion over many of many": (
        Product,
        lambda rows: rows.exclude(portions__entries__grams__gt=5),
    ),
    "an exclusion that compares": (
        Product,
        lambda rows: rows.exclude(portions__grams__gt=F("kcal_100g")),
    ),
    "an exclusion of nothing": (Product, lambda rows: rows.exclude(portions__entries=None)),
    "an exclusion under a filter": (
        Product,
        lambda rows: rows.filter(portions__grams__gt=20).exclude(portions__name__endswith="slice"),
    ),
    "either of two joins": (
        FoodEntry,
        lambda rows: rows.filter(Q(portion__grams=30) | Q(product__kcal_100g=1)),
    ),
    "Exists": (
        Product,
        lambda rows: rows.filter(
            Exists(
                FoodEntry.objects.across_devices().filter(
                    product=OuterRef("pk"), device=OuterRef("device"), grams__gt=5
                )
            )
        ),
    ),
    "rows of a query": (
        FoodEntry,
        lambda rows: rows.filter(product__in=Product.objects.across_devices().filter(kcal_100g=1)),
    ),
    "rows of a query, sliced": (
        FoodEntry,
        lambda rows: rows.filter(
            product__in=Product.objects.across_devices().filter(kcal_100g=1).order_by("pk")[:4]
        ),
    ),
    "rows of a query, backwards": (
        Product,
        lambda rows: rows.filter(portions__in=Portion.objects.across_devices().filter(grams=1)),
    ),
    "rows without those of a query": (
        FoodEntry,
        lambda rows: rows.exclude(product__in=Product.objects.across_devices().filter(kcal_100g=1)),
    ),
    "annotated": (
        Product,
        lambda rows: rows.annotate(
            n=Count("portions"), most=Max("portions__grams"), least=Min("portions__grams")
        ),
    ),
    "annotated over two": (
        Product,
        lambda rows: rows.annotate(n=Count("portions__entries", distinct=True)),
    ),
    "annotated with a condition": (
        Product,
        lambda rows: rows.annotate(
            n=Sum(Case(When(entries__grams__gt=5, then=Value(1)), default=Value(0)))
        ),
    ),
    "annotated and then filtered": (
        Product,
        lambda rows: rows.annotate(n=Sum("entries__grams")).filter(n__gt=5),
    ),
    "annotated by a subquery": (
        Product,
        lambda rows: rows.annotate(
            n=Subquery(
                Portion.objects.across_devices()
                .filter(product=OuterRef("pk"), device=OuterRef("device"))
                .order_by("-grams")
                .values("grams")[:1]
            )
        ),
    ),
}


def shown(rows: Any) -> list[Any]:
    return sorted(
        (*found.key, *(getattr(found, name, None) for name in ("n", "most", "least")))
        for found in rows
    )


@pytest.mark.parametrize("how", QUERIES)
def test_across_devices_each_is_found_as_for_itself(mine: Device, theirs: Device, how: str) -> None:
    model, query = QUERIES[how]
    each = [shown(query(model.objects.for_device(device))) for device in (mine, theirs)]
    assert shown(query(model.objects.across_devices())) == sorted(each[0] + each[1])


@pytest.mark.parametrize("how", QUERIES)
def test_each_is_found_as_if_it_were_alone(mine: Device, theirs: Device, how: str) -> None:
    model, query = QUERIES[how]
    for device, other in ((mine, theirs), (theirs, mine)):
        beside = shown(query(model.objects.for_device(device)))
        with transaction.atomic():
            other.erase()
            for each in reversed(device_scoped_models()):
                each.all_objects.for_device(other).hard_delete()
            assert shown(query(model.objects.for_device(device))) == beside
            transaction.set_rollback(True)


def test_sums_over_joins_group_by_device_and_id(mine: Device, theirs: Device) -> None:
    rows = Product.objects.across_devices()
    counted = rows.annotate(n=Count("portions"))
    assert counted.aggregate(most=Max("n"), rows=Count("pk")) == {"most": 2, "rows": 4}
    assert counted.filter(n=2).count() == 4
    assert rows.values("pk").annotate(n=Count("portions")).count() == 4
    listed = rows.values("pk", "name").annotate(n=Count("entries")).order_by("name")
    assert [(found["name"], found["n"]) for found in listed] == [
        ("Apple", 1),
        ("Bread", 2),
        ("Their Apple", 1),
        ("Their Bread", 2),
    ]


class TestRows:
    """What is looked up by a row, or compared with one."""

    def test_rows_of_two_devices_are_not_equal(self, mine: Device, theirs: Device) -> None:
        one, other = product(mine), product(theirs)
        assert one.pk == other.pk
        assert one != other
        assert one == product(mine)
        assert len({one, other, product(mine)}) == 2
        assert one != object()

    @pytest.mark.parametrize("lookup", ["product", "product__in", "exclude"])
    def test_a_row_is_looked_up_by_its_device_too(
        self, mine: Device, theirs: Device, lookup: str
    ) -> None:
        rows = FoodEntry.objects.across_devices()
        bread = product(theirs)
        match lookup:
            case "product":
                found = rows.filter(product=bread)
            case "product__in":
                found = rows.filter(product__in=[bread])
            case _:
                found = rows.exclude(product__in=iter([bread, *Product.objects.for_device(mine)]))
                bread = product(theirs, "Apple")
        assert {entry.product for entry in found} == {bread}

    def test_a_row_is_looked_up_backwards_by_its_device_too(
        self, mine: Device, theirs: Device
    ) -> None:
        portion = product(theirs).portions.get(is_default=True)
        assert list(Product.objects.across_devices().filter(portions=portion)) == [product(theirs)]

    def test_rows_and_ids_are_not_looked_up_at_once(self, mine: Device) -> None:
        with pytest.raises(TypeError):
            FoodEntry.objects.across_devices().filter(product__in=[product(mine), uuid.uuid4()])

    def test_rows_are_contained_by_device_and_id(self, mine: Device, theirs: Device) -> None:
        rows = Product.objects.for_device(mine)
        assert rows.contains(product(mine))
        assert not rows.contains(product(theirs))
        assert len(rows) == 2
        assert not rows.contains(product(theirs))

    def test_in_bulk_needs_one_device(self, mine: Device, theirs: Device) -> None:
        ids = [product(mine).pk]
        assert Product.objects.for_device(mine).in_bulk(ids) == {ids[0]: product(mine)}
        with pytest.raises(UnscopedQuery):
            Product.objects.across_devices().in_bulk(ids)

    def test_a_slice_of_each_is_prefetched_for_one_device_alone(
        self, mine: Device, theirs: Device
    ) -> None:
        def first(rows: Any) -> Prefetch[str]:
            return Prefetch("portions", rows.order_by("-grams")[:1], to_attr="largest")

        own = first(Portion.objects.for_device(mine))
        found = Product.objects.for_device(mine).prefetch_related(own)
        assert [[p.grams for p in each.largest] for each in found] == [[Decimal(100)]] * 2
        with pytest.raises(UnscopedQuery):
            list(
                Product.objects.across_devices().prefetch_related(
                    first(Portion.objects.across_devices())
                )
            )

    def test_one_loaded_without_its_device_reads_nothing_more(self, mine: Device) -> None:
        bare = Product._base_manager.only("name").first()
        assert bare is not None
        with pytest.raises(UnscopedQuery):
            _ = bare.kcal_100g

    @pytest.mark.parametrize("model", MODELS)
    def test_a_row_given_to_another_device_is_not_saved_as_one_more(
        self, model: Model, mine: Device, theirs: Device
    ) -> None:
        found = model.objects.for_device(mine)[0]
        model.objects.for_device(theirs).update(deleted_at=timezone.now())
        found.device = Device.objects.create()
        with pytest.raises(DatabaseError):
            found.save()


# What changes rows of the first device; the second keeps each of its own.
WRITES: dict[str, Callable[[Device], Any]] = {
    "save": lambda device: renamed(product(device)).save(),
    "save of a field": lambda device: renamed(product(device)).save(update_fields=["name"]),
    "change": lambda device: product(device).change(kcal_100g=7),
    "delete": lambda device: product(device).delete(),
    "delete of a portion": lambda device: product(device).portions.get(is_default=True).delete(),
    "delete of a device's": lambda device: Product.objects.for_device(device).delete(),
    "delete across devices": lambda device: (
        Product.objects.across_devices().filter(name="Bread").delete()
    ),
    "delete of portions across devices": lambda device: (
        Portion.objects.across_devices().filter(name="1 slice").delete()
    ),
    "update": lambda device: Product.objects.for_device(device).update(kcal_100g=7),
    "update over a join": lambda device: (
        FoodEntry.objects.for_device(device).filter(product__kcal_100g__gt=0).update(kcal=7)
    ),
    "update over a join across devices": lambda device: (
        FoodEntry.objects.across_devices().filter(product__name="Bread").update(kcal=7)
    ),
    "update over many across devices": lambda device: (
        Product.objects.across_devices().filter(portions__grams__gt=1).update(kcal_100g=7)
    ),
    "bulk_update": lambda device: Product.objects.for_device(device).bulk_update(
        [Product(pk=found.pk, device=device, kcal_100g=7) for found in device.product_set.all()],
        ["kcal_100g"],
    ),
    "add": lambda device: product(device).portions.add(
        *product(device, "Apple").portions.filter(is_default=False)
    ),
    "remove": lambda device: product(device).entries.remove(*product(device).entries.all()),
    "clear": lambda device: product(device).entries.clear(),
    "set": lambda device: product(device).entries.set([]),
    "bulk_save": lambda device: Product.objects.for_device(device).bulk_save(
        [renamed(product(device))], insert=False
    ),
}


def renamed(found: Any) -> Any:
    found.name = "Another"
    return found


@pytest.mark.parametrize("how", WRITES)
def test_a_write_touches_no_row_of_the_other_device(mine: Device, theirs: Device, how: str) -> None:
    # A product can be taken from an entry of no portion.
    FoodEntry.objects.for_device(mine).update(portion=None, quantity=None)
    before = stored(mine), stored(theirs)
    WRITES[how](mine)
    assert stored(theirs) == before[1]
    assert stored(mine) != before[0]


@pytest.mark.parametrize("model", [Product, Portion])
def test_what_was_deleted_before_stays_as_it_is_when_its_like_goes(
    mine: Device, theirs: Device, model: Model
) -> None:
    Product.objects.for_device(theirs).delete()
    before = stored(theirs)
    rows = model.all_objects.across_devices()
    (rows if model is Product else rows.filter(is_default=False)).delete()
    assert stored(theirs) == before
    assert stored(mine) != before


@pytest.mark.parametrize("joined", [True, False])
def test_a_hard_delete_touches_no_row_of_the_other_device(
    mine: Device, theirs: Device, joined: bool
) -> None:
    now = timezone.now()
    FoodEntry.objects.across_devices().update(deleted_at=now)
    before = stored(theirs)
    rows = (
        FoodEntry.all_objects.across_devices() if joined else FoodEntry.all_objects.for_device(mine)
    )
    chosen = rows.filter(product__name__in=["Apple", "Bread"]) if joined else rows
    assert chosen.hard_delete() == 3
    assert stored(theirs) == before
    assert not FoodEntry.all_objects.for_device(mine).exists()


def test_every_unique_index_of_these_tables_has_the_device(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid), indisprimary"
            " FROM pg_index WHERE indisunique AND indrelid::regclass::text = ANY(%s)",
            [[model._meta.db_table for model in device_scoped_models()]],
        )
        found = cursor.fetchall()
    assert all("(device_id" in definition for _, definition, _ in found)
    primary = {table: definition for table, definition, is_primary in found if is_primary}
    assert set(primary) == {model._meta.db_table for model in device_scoped_models()}
    assert all("(device_id, id)" in definition for definition in primary.values())


def test_a_model_as_migrations_know_it_joins_by_the_device(mine: Device, theirs: Device) -> None:
    entries: Any = (
        MigrationLoader(connection).project_state().apps.get_model("entries", "FoodEntry")
    )
    assert not issubclass(entries, DeviceScoped)
    found = entries.objects.values_list("name", "product__name")
    assert len(found) == 6
    assert all(is_theirs(one) == is_theirs(other) for one, other in found)
