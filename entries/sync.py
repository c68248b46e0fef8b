"""How food entries are synced."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from countonme.scope.exceptions import Missing
from entries.models import FoodEntry
from entries.serializers import ENTRY, FoodEntrySerializer
from products.models import Portion, Product
from sync.changes import TableChanges
from sync.registry import register
from sync.tables import parse_phone_id, record_serializer


@register
class FoodEntryChanges(TableChanges):
    """Calculates entries from products and portions as the push leaves them, deleted or not."""

    serializer = record_serializer(FoodEntrySerializer)
    example = ENTRY | {"portion_id": "8d7d1a5e-6f3c-4e0a-9a55-2f7b0f6f2a11", "quantity": 1.5}

    def build(self, key: UUID, record: dict[str, Any]) -> FoodEntry:
        values = self.read(key, self._without_unknown(record))
        entry: FoodEntry = self.current(key)
        self.assign(entry, entry.resolve_columns(values, self.push.find))
        return entry

    def _without_unknown(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record without a product or portion that the server never had.

        Without the product, an entry is kept by its name and kcal, and without the portion by its
        grams.

        Raises:
            Missing: the record does not have these.
        """
        product, portion = (
            parse_phone_id(record.get(name)) for name in ("product_id", "portion_id")
        )
        if product is not None and self.push[Product].find(product) is None:
            if record.get("name") is None or record.get("kcal") is None:
                raise Missing(Product)
            return record | {"product_id": None, "portion_id": None, "quantity": None}
        if product and portion and self.push[Portion].find(portion) is None:
            if record.get("grams") is None:
                raise Missing(Portion)
            return record | {"portion_id": None, "quantity": None}
        return record
