"""Soft deletion, and the known traps that it lays in Django."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.forms import modelform_factory

from countonme.operators.base import ScopedForm
from countonme.scope.models import DeviceScoped
from devices.models import Device
from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def device_of(phone: Api) -> Device:
    assert phone.device is not None
    return phone.device


def row(model: type[DeviceScoped], values: dict[str, Any]) -> Any:
    """Return the row of an answer, deleted or not."""
    return model._base_manager.get(pk=values["id"])


@pytest.fixture
def product(phone: Api) -> Product:
    """A product with two portions and an entry."""
    created = phone.product()
    phone.portion(created)
    phone.entry(product_id=created["id"], grams=100)
    found: Product = row(Product, created)
    return found


def test_it_works(product: Product) -> None:
    with time_machine.travel(NOW, tick=False):
        assert product.delete() == (1, {"products.Product": 1})
    assert product.deleted_at == NOW
    assert not Product.objects.for_device(product.device).exists()
    assert Product.all_objects.for_device(product.device).get().deleted_at == NOW


class TestQuerySet:
    def test_deleting_is_soft(self, product: Product) -> None:
        rows = FoodEntry.objects.for_device(product.device)
        assert rows.delete() == (1, {"entries.FoodEntry": 1})
        assert FoodEntry.all_objects.for_device(product.device).get().deleted_at is not None

    @pytest.mark.parametrize("model", [Product, FoodEntry])
    def test_a_second_time_changes_nothing(
        self, product: Product, model: type[DeviceScoped]
    ) -> None:
        rows = model.all_objects.for_device(product.device)
        with time_machine.travel(NOW, tick=False):
            rows.get().delete()
        assert rows.delete() == (0, {model._meta.label: 0})
        assert rows.get().delete() == (0, {model._meta.label: 0})
        assert rows.get().deleted_at == NOW

    def test_rows_of_another_device_stay(self, product: Product, other: Api) -> None:
        foreign = other.product()
        Product.objects.for_device(product.device).filter(pk=foreign["id"]).delete()
        assert other.get("/v1/products").json() == [foreign]

    def test_deleted_rows_are_not_updated(self, product: Product) -> None:
        product.delete()
        assert Product.objects.for_device(product.device).update(kcal_100g=1) == 0
        assert Product.objects.across_devices().update(kcal_100g=1) == 0

    def test_a_slice_is_not_deleted(self, product: Product) -> None:
        rows = Portion.objects.for_device(product.device)[:1]
        with pytest.raises(TypeError):
            rows.delete()
        with pytest.raises(TypeError):
            rows.hard_delete()
        assert product.portions.count() == 2

    def test_deleting_works_across_devices(self, product: Product, other: Api) -> None:
        other.product()
        assert Product.objects.across_devices().delete() == (2, {"products.Product": 2})
        assert not Portion.objects.across_devices().exists()


class TestRelatedManagers:
    def test_they_leave_deleted_rows_out(self, product: Product) -> None:
        product.portions.filter(is_default=False).delete()
        assert product.portions.count() == 1
        assert product.device.portion_set.count() == 1

    def test_prefetching_leaves_deleted_rows_out(self, product: Product) -> None:
        product.portions.filter(is_default=False).delete()
        product.entries.all().delete()
        rows = Product.objects.for_device(product.device)
        for found in (
            rows.prefetch_related("portions", "entries").get(),
            rows.prefetch_related(Portion.prefetch(product.device_id)).get(),
        ):
            assert len(found.portions.all()) == 1
            assert len(found.entries.all()) == 0

    def test_deleting_by_one_is_soft(self, product: Product) -> None:
        product.entries.all().delete()
        assert FoodEntry.all_objects.for_device(product.device).count() == 1


class TestForwardKeys:
    def test_they_reach_deleted_rows(self, product: Product) -> None:
        entry = product.entries.get()
        product.delete()
        assert FoodEntry.objects.for_device(product.device).get().product == product
        entry.refresh_from_db()
        assert entry.product.deleted_at is not None

    def test_prefetching_and_joining_reach_deleted_rows(self, product: Product) -> None:
        product.delete()
        rows = FoodEntry.objects.for_device(product.device)
        assert rows.prefetch_related("product").get().product == product
        assert rows.select_related("product").get().product == product

    def test_refreshing_reaches_a_deleted_row(self, product: Product) -> None:
        Product.objects.for_device(product.device).delete()
        product.refresh_from_db()
        assert product.deleted_at is not None

    def test_saving_reaches_a_deleted_row(self, product: Product) -> None:
        product.delete()
        product.kcal_100g = 1
        product.save(update_fields=["kcal_100g"])
        assert Product.all_objects.for_device(product.device).get().kcal_100g == 1
        assert not Product.objects.for_device(product.device).exists()


class TestCascade:
    def test_portions_go_with_their_product_in_the_same_moment(self, product: Product) -> None:
        product.delete()
        deleted = Portion.all_objects.for_device(product.device)
        assert {portion.deleted_at for portion in deleted} == {product.deleted_at}

    def test_so_they_do_by_the_queryset(self, product: Product) -> None:
        Product.objects.for_device(product.device).delete()
        assert not Portion.objects.for_device(product.device).exists()

    def test_portions_deleted_before_keep_their_time(self, product: Product) -> None:
        with time_machine.travel(NOW, tick=False):
            product.portions.filter(is_default=False).delete()
        product.delete()
        assert Portion.all_objects.for_device(product.device).filter(deleted_at=NOW).count() == 1

    def test_other_products_keep_theirs(self, product: Product, phone: Api, other: Api) -> None:
        kept = [phone.product(), other.product()]
        product.delete()
        found = Portion.objects.across_devices().values_list("product_id", flat=True)
        assert {str(pk) for pk in found} == {each["id"] for each in kept}

    def test_entries_stay_as_they_are(self, product: Product, phone: Api) -> None:
        before = phone.get("/v1/food-entries").content
        product.delete()
        assert phone.get("/v1/food-entries").content == before

    def test_nothing_goes_with_a_device_that_owns_rows(self, product: Product) -> None:
        with pytest.raises((IntegrityError, ProtectedError)):
            product.device.delete()


class TestUniqueness:
    def test_the_id_of_a_deleted_row_is_taken(self, product: Product) -> None:
        product.delete()
        again = Product(pk=product.pk, device=product.device, name="Rice", kcal_100g=130)
        with pytest.raises(ValidationError, match="ID already in use"):
            again.validate_unique()

    def test_the_id_of_another_devices_row_is_free(self, product: Product, other: Api) -> None:
        again = Product(pk=product.pk, device=device_of(other), name="Rice", kcal_100g=130)
        again.validate_unique()

    def test_a_row_does_not_stand_in_its_own_way(self, product: Product) -> None:
        product.validate_unique()
        product.portions.get(is_default=True).validate_constraints(exclude={"device"})

    def test_a_free_id_is_free(self, phone: Api) -> None:
        Product(device=device_of(phone), name="Rice", kcal_100g=130).validate_unique()

    def second_default(self, product: Product) -> Portion:
        return Portion(
            device=product.device, product=product, name="1 cup", grams=100, is_default=True
        )

    def test_a_live_row_holds_its_place(self, product: Product) -> None:
        with pytest.raises(ValidationError, match="A product has one default portion"):
            self.second_default(product).validate_constraints(exclude={"device"})
        with pytest.raises(IntegrityError, match="portions_one_default"):
            self.second_default(product).save()

    def test_a_deleted_row_holds_no_place(self, product: Product) -> None:
        default = product.portions.filter(is_default=True)
        Portion._base_manager.filter(pk__in=default.values("pk")).update(deleted_at=NOW)
        self.second_default(product).validate_constraints(exclude={"device"})
        self.second_default(product).save()

    def test_another_products_row_holds_no_place(self, product: Product, phone: Api) -> None:
        phone.product()
        Portion._base_manager.filter(product=product).update(deleted_at=NOW)
        self.second_default(product).validate_constraints(exclude={"device"})

    @pytest.mark.parametrize("method", ["get_or_create", "update_or_create"])
    def test_get_or_create_does_not_bring_a_deleted_id_back(
        self, product: Product, method: str
    ) -> None:
        product.delete()
        rows = Product.objects.for_device(product.device)
        with pytest.raises(IntegrityError):
            getattr(rows, method)(pk=product.pk, defaults={"name": "Rice", "kcal_100g": 130})

    def test_get_or_create_does_not_find_a_deleted_row(self, product: Product) -> None:
        product.delete()
        rows = Product.objects.for_device(product.device)
        found, created = rows.get_or_create(name=product.name, kcal_100g=product.kcal_100g)
        assert created
        assert found.pk != product.pk

    def test_a_deleted_row_counts_towards_no_quota(
        self, product: Product, phone: Api, settings: Any
    ) -> None:
        settings.MAX_PRODUCTS_PER_DEVICE = 1
        body = {"name": "Rice", "kcal_100g": 130}
        assert phone.post("/v1/products", body).status_code == 409
        product.delete()
        assert phone.post("/v1/products", body).status_code == 201


class TestForms:
    def test_a_form_accepts_the_deleted_row_that_is_named_already(self, product: Product) -> None:
        entry = product.entries.get()
        product.delete()
        form = modelform_factory(FoodEntry, form=ScopedForm, fields=["product"])(
            {"product": str(product.pk)}, instance=entry
        )
        assert form.is_valid(), form.errors


class TestHardDelete:
    def test_a_live_row_is_refused(self, product: Product) -> None:
        with pytest.raises(IntegrityError, match="a live row is deleted softly first"):
            product.entries.get().hard_delete()

    def test_of_live_and_deleted_rows_none_goes(self, product: Product, phone: Api) -> None:
        phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
        with pytest.raises(IntegrityError, match="a live row is deleted softly first"):
            FoodEntry.all_objects.for_device(product.device).hard_delete()

    def test_deleted_rows_go_for_ever(self, product: Product) -> None:
        entry = product.entries.get()
        entry.delete()
        entry.hard_delete()
        assert not FoodEntry.all_objects.across_devices().exists()

    def test_the_queryset_says_how_many(self, product: Product) -> None:
        product.delete()
        rows = Portion.all_objects.for_device(product.device)
        assert rows.order_by("name").hard_delete() == 2
        assert rows.hard_delete() == 0

    def test_a_row_that_another_names_stays(self, product: Product) -> None:
        product.delete()
        with pytest.raises(IntegrityError, match="_product_id_fk"):
            product.hard_delete()

    def test_rows_of_another_device_stay(self, product: Product, other: Api) -> None:
        entry = row(FoodEntry, other.entry())
        entry.delete()
        assert (
            FoodEntry.all_objects.for_device(product.device).filter(pk=entry.pk).hard_delete() == 0
        )
        assert FoodEntry.all_objects.for_device(device_of(other)).count() == 1

    def test_an_erased_device_loses_live_rows_too(self, product: Product) -> None:
        product.device.erase()
        assert FoodEntry.all_objects.for_device(product.device).hard_delete() == 1
        assert Portion.all_objects.for_device(product.device).hard_delete() == 2
        assert Product.all_objects.for_device(product.device).hard_delete() == 1

    def test_its_id_is_free_again(self, product: Product, phone: Api) -> None:
        entry = product.entries.get()
        entry.delete()
        entry.hard_delete()
        assert phone.entry(id=str(entry.pk))["id"] == str(entry.pk)


class TestRestore:
    def test_the_row_is_live_again(self, product: Product) -> None:
        entry = product.entries.get()
        entry.delete()
        entry.restore()
        assert product.entries.get() == entry

    def test_a_live_row_stays_as_it_is(self, product: Product) -> None:
        before = Product._base_manager.filter(pk=product.pk).values().get()
        product.restore()
        assert Product._base_manager.filter(pk=product.pk).values().get() == before


@pytest.mark.parametrize("path", ["/v1/products/{id}", "/v1/products/{id}/portions"])
def test_over_the_api_a_deleted_row_is_not_there(product: Product, phone: Api, path: str) -> None:
    assert phone.delete(f"/v1/products/{product.pk}").status_code == 204
    response = phone.get(path.format(id=product.pk))
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}
    assert phone.delete(f"/v1/products/{product.pk}").status_code == 404


def test_created_and_deleted_in_one_moment_it_is_still_deleted(phone: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        product = phone.product(id=str(uuid.uuid4()))
        phone.delete(f"/v1/products/{product['id']}")
    assert row(Product, product).created_at == row(Product, product).deleted_at
    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        assert phone.get("/v1/products").json() == []
