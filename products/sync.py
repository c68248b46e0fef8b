"""How products and portions are synced."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework.serializers import ValidationError

from countonme.scope.exceptions import Missing
from products.models import Portion, Product
from products.serializers import PORTION, PRODUCT, PortionSerializer, ProductSerializer
from sync.changes import TableChanges
from sync.registry import register
from sync.tables import record_serializer

OTHER_PRODUCT = "A portion stays with its product"


@register
class ProductChanges(TableChanges):
    serializer = record_serializer(ProductSerializer)
    example = PRODUCT

    def read(self, key: UUID, record: dict[str, Any]) -> dict[str, Any]:
        """Ignore the unit of a stored product, which can't change."""
        values = super().read(key, record)
        if key in self.stored:
            values.pop("unit", None)
        return values


@register
class PortionChanges(TableChanges):
    """Every product keeps at least one portion, and exactly one default, whatever is pushed."""

    serializer = record_serializer(PortionSerializer)
    example = PORTION

    def load(self) -> None:
        """Also read the products' other portions: one of them may have to become the default."""
        super().load()
        owners = {*self.push[Product].records, *self.ids_in("product_id")}
        if owners:
            rows = self.for_device(Portion.objects).filter(product_id__any_of=owners)
            self.stored |= {row.pk: row for row in rows}

    def build(self, key: UUID, record: dict[str, Any]) -> Portion:
        values, row = self.read(key, record), self.current(key)
        if key in self.stored:
            if values.get("product_id", row.product_id) != row.product_id:
                raise ValidationError(OTHER_PRODUCT)
        else:
            self.push.find(Product, values["product_id"])
        self.assign(row, values)
        portion: Portion = row
        return portion

    def cascade(self) -> None:
        """Delete the portions of products that this push deletes, even if it updates them.

        A new portion of a product that is not live is rejected.
        """
        products = self.push[Product]
        for key, row in list(self.rows.items()):
            if row.product_id in products.to_delete:
                self.to_delete.add(key)
            elif not products.is_live(row.product_id) and key not in self.stored:
                self.reject(key, str(Missing(Product)))

    def finish(self) -> None:
        """Choose each product's default portion; a product without portions gets its first."""
        products = self.push[Product]
        of_product: dict[UUID, list[Portion]] = {key: [] for key in products.rows}
        for key in {**self.stored, **self.rows}:
            listed = of_product.setdefault(self.find(key).product_id, [])
            if self.is_live(key):
                listed.append(self.rows.get(key) or copy(self.stored[key]))
        sent = {key: self.rows[key].is_default for key in self.records if key in self.rows}
        chosen = {key: place for place, key in enumerate(sent, 1) if sent[key]}
        for product_id, portions in of_product.items():
            if not products.is_live(product_id):
                continue
            if portions:
                Portion.choose_default(portions, chosen)
            else:
                portions = [Portion.first_of(products.find(product_id))]
            self.rows |= {row.pk: row for row in portions}

    def delete(self, now: datetime) -> None:
        """Unset the defaults that move to other portions, and delete.

        A unique index allows one default, so the old one is unset before the new one is saved.
        Deleting chooses no new defaults here: `finish()` has chosen them.
        """
        lost = [
            key
            for key, row in self.rows.items()
            if self.was_live(key) and self.stored[key].is_default and not row.is_default
        ]
        self._update(lost, is_default=False)
        self._update((key for key in self.to_delete if self.was_live(key)), deleted_at=now)

    def _update(self, ids: Iterable[UUID], **values: Any) -> None:
        if listed := list(ids):
            self.of_ids(listed).update(**values)
