"""CHECKs that follow from the bounds of fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import CheckConstraint

from countonme.scope.bounds import bounded, bounds_of
from countonme.scope.models import device_scoped_models

BOUNDED = [
    (model, field)
    for model in device_scoped_models()
    for field in model._meta.concrete_fields
    if bounds_of(field)
]


def between(low: Any, high: Any) -> list[Any]:
    return [MinValueValidator(low), MaxValueValidator(high)]


def checks_of(model: type[models.Model], column: str) -> list[CheckConstraint]:
    """Return the CHECKs of a model that bound a column."""
    return [
        constraint
        for constraint in model._meta.constraints
        if isinstance(constraint, CheckConstraint)
        and f"('{column}__range'," in str(constraint.condition)
    ]


def test_it_works() -> None:
    @bounded(weight_kg="weight")
    class Parcel(models.Model):
        weight_kg = models.DecimalField(
            max_digits=4, decimal_places=2, validators=between(Decimal("0.01"), 50)
        )
        pieces = models.IntegerField(validators=between(1, 9))
        stamps = models.IntegerField()
        floor = models.IntegerField(validators=[MinValueValidator(0)])

        class Meta:
            app_label = "bounds"
            db_table = "parcels"

    conditions: dict[str, Any] = {
        constraint.name: constraint.condition  # type: ignore[attr-defined]  # all are CHECKs
        for constraint in Parcel._meta.constraints
    }
    assert conditions == {
        "parcels_weight_in_range": models.Q(weight_kg__range=(Decimal("0.01"), 50)),
        "parcels_pieces_in_range": models.Q(pieces__range=(1, 9)),
    }
    assert Parcel._meta.original_attrs["constraints"] == Parcel._meta.constraints


@pytest.mark.parametrize(("model", "field"), BOUNDED)
def test_the_database_holds_the_bounds_of_every_field(db: None, model: Any, field: Any) -> None:
    [check] = checks_of(model, field.name)
    with connection.cursor() as cursor:
        held = connection.introspection.get_constraints(cursor, model._meta.db_table)
    assert held[check.name]["check"]
    assert held[check.name]["columns"] == [field.column]


def test_no_bounded_field_is_left_out() -> None:
    assert {model._meta.db_table for model, _ in BOUNDED} == {
        model._meta.db_table for model in device_scoped_models()
    }
