"""What is synced: the tables and columns that a phone has, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import StrictModelSerializer, StrictUUIDField
from countonme.models import DeviceScoped
from countonme.prepared import Prepared
from entries.serializers import FoodEntrySerializer
from goals.serializers import BodyWeightSerializer, WaterEntrySerializer
from products.serializers import PortionSerializer, ProductSerializer


def columns(of: type[StrictModelSerializer]) -> list[str]:
    """Return the columns of a phone's records: those of REST, but for when they were written."""
    own: Any = of.Meta
    return [name for name in own.fields if name not in ("created_at", "updated_at")]


class ProductRecordSerializer(ProductSerializer):
    id = StrictUUIDField()

    class Meta(ProductSerializer.Meta):
        fields = columns(ProductSerializer)


class PortionRecordSerializer(PortionSerializer):
    id = StrictUUIDField()
    product_id = StrictUUIDField()

    class Meta(PortionSerializer.Meta):
        fields = columns(PortionSerializer)


class FoodEntryRecordSerializer(FoodEntrySerializer):
    id = StrictUUIDField()

    class Meta(FoodEntrySerializer.Meta):
        fields = columns(FoodEntrySerializer)


class BodyWeightRecordSerializer(BodyWeightSerializer):
    id = StrictUUIDField()

    class Meta(BodyWeightSerializer.Meta):
        fields = columns(BodyWeightSerializer)


class WaterEntryRecordSerializer(WaterEntrySerializer):
    id = StrictUUIDField()

    class Meta(WaterEntrySerializer.Meta):
        fields = columns(WaterEntrySerializer)


class Table:
    """One table of the phone's: its rows here, and how a record of it is read and written."""

    def __init__(self, serializer: type[StrictModelSerializer]) -> None:
        self.serializer = serializer
        self.model: type[DeviceScoped] = serializer.Meta.model
        self.name: str = self.model._meta.db_table
        self.columns = serializer.columns()

    @cached_property
    def live(self) -> Prepared:
        """A device's live rows written after a revision, oldest first: the record's columns."""

        def rows(device: Any, after: Any) -> Any:
            found = self.model.objects.for_device(device).filter(revision__gt=after)
            return found.order_by("revision", "id").values_list(*self.columns)

        return Prepared(rows, "device", "after")

    @cached_property
    def deleted(self) -> Prepared:
        """The ids of a device's rows that were deleted after a revision, oldest first."""

        def rows(device: Any, after: Any) -> Any:
            found = self.model.all_objects.for_device(device).filter(revision__gt=after)
            return (
                found.filter(deleted_at__isnull=False).order_by("revision", "id").values_list("id")
            )

        return Prepared(rows, "device", "after")

    def read(self, record: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Return the columns of a record, by the rules that REST has for each by itself.

        Args:
            is_new: whether all that a row needs has to be there; else what is left out stays.

        Raises:
            ValidationError: with every offending column.
        """
        serializer = self.serializer.shared(partial=True)
        values: dict[str, Any] = serializer.read(record)
        missing = (name for name in self._required if name not in record) if is_new else ()
        errors = {name: [ErrorDetail("This field is required.", "required")] for name in missing}
        if errors:
            raise serializers.ValidationError(errors)
        return values

    @cached_property
    def _required(self) -> Iterable[str]:
        fields = self.serializer.shared(partial=True).fields.items()
        return [name for name, field in fields if field.required and name != "id"]


# Each after those that its rows name.
TABLES = {
    table.name: table
    for table in map(
        Table,
        (
            ProductRecordSerializer,
            PortionRecordSerializer,
            FoodEntryRecordSerializer,
            BodyWeightRecordSerializer,
            WaterEntryRecordSerializer,
        ),
    )
}
