"""What an import of food entries has to look after, and the diaries of other apps."""

from __future__ import annotations

from functools import partial, reduce
from operator import or_

from django.core.exceptions import ValidationError
from django.utils import timezone

from entries.formats.cronometer import Cronometer
from entries.formats.diary import Diary
from entries.formats.myfitnesspal import MyFitnessPal
from entries.models import FoodEntry, broken_by_product
from products.models import Product
from transfer.formats import register
from transfer.tables import TableImport, imports

DIARIES: tuple[type[Diary], ...] = (MyFitnessPal, Cronometer)

for diary in DIARIES:
    register(diary.format)(partial(diary.read, others=DIARIES))


@imports(FoodEntry)
class FoodEntryImport(TableImport):
    """An entry whose product is not known here stays, by its name and kcal."""

    goes_with = {"product_id": ("portion_id", "quantity"), "portion_id": ("quantity",)}
    belongs_to = {"portion_id": "product_id"}

    def load(self) -> None:
        """Also read the units of the products."""
        super().load()
        ids = self.ids_in("product_id")
        products = self.for_device(Product.all_objects).filter(pk__any_of=ids)
        self.unit_of = dict(products.values_list("pk", "unit")) if ids else {}

    def check(self, row: FoodEntry) -> None:
        """Check a row.

        Raises:
            ValidationError: it is counted in another unit than its product.
        """
        super().check(row)
        if row.product_id is not None and self.unit_of[row.product_id] != row.unit:
            raise ValidationError({"unit": "Not the unit of its product."})

    def write(self) -> None:
        """Mark the entries that are not as their products are here: as written by this import.

        `updated_at` says so. The integrity check compares the others with their products.
        """
        super().write()
        if not self.rows:
            return
        written = self.for_device(FoodEntry.objects).filter(pk__any_of=self.rows)
        is_unlike = reduce(or_, broken_by_product().values())
        unlike = list(written.comparable().filter(is_unlike).values_list("pk", flat=True))
        if unlike:
            rows = self.for_device(FoodEntry.objects).filter(pk__any_of=unlike)
            rows.update(updated_at=timezone.now())
