"""What an import of products and portions has to look after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from products.models import UNIT_IS_KEPT, Portion, Product
from products.sync import OTHER_PRODUCT
from transfer.tables import TableImport, imports


@imports(Product)
class ProductImport(TableImport):
    fixed = {"unit": UNIT_IS_KEPT}


@imports(Portion)
class PortionImport(TableImport):
    """Every product keeps at least one portion, and exactly one default."""

    fixed = {"product_id": OTHER_PRODUCT}

    def settle(self) -> None:
        """Choose the defaults of products that have none: those that come in with this import.

        A product that was here before keeps its own.
        """
        coming: dict[UUID, list[Portion]] = defaultdict(list)
        for row in self.rows.values():
            coming[row.product_id].append(row)
        products = self.importing[Product]
        owners = {*products.rows, *coming}
        here = self._with_portions(owners) if owners else set()
        for product_id in owners:
            portions = coming[product_id]
            if product_id in here:
                for portion in portions:
                    portion.is_default = False
                continue
            if not portions:
                portions = [Portion.first_of(products.rows[product_id])]
                self.rows |= {row.pk: row for row in portions}
            Portion.choose_default(portions, {})

    def _with_portions(self, products: Iterable[Any]) -> set[UUID]:
        """Return which of these products have live portions already."""
        rows = self.for_device(Portion.objects).filter(product_id__any_of=products)
        return set(rows.values_list("product_id", flat=True))
