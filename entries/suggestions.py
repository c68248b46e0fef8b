"""Which products are likely to be logged again: those that were logged lately, or often."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import models
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from countonme.scope.owner import Owner
from countonme.scope.prepared import Prepared, Slot
from entries.models import FIRST_DAY, FoodEntry
from products.models import Product
from products.serializers import ProductSerializer

# How many days count for `frequent`: the last ones that have an entry, of whatever meal. So no
# clock counts, a long pause leaves the suggestions as they were, and a meal that is planned for a
# day far ahead costs one of these days and not all of them.
DAYS = 90


class Order(models.TextChoices):
    RECENT = "recent"
    FREQUENT = "frequent"


def logged_products(
    device: Owner, order: str, meal_type: str | None, page: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the live products that live entries name, as the API answers them.

    One query, which asks `food_entries_by_product` about each product of the device. So it takes
    time for the device's products, however many entries there are of other devices. Grouping the
    entries instead reads all of the device's: it was five times as slow with 40,000 of them.

    Args:
        order: `recent`, the last logged first: by the day in the diary, then by when the entry was
            written. `frequent`, first those logged on the most of the last `DAYS` days, and those
            on as many days as in `recent`; products logged only before come last.
        meal_type: if given, only entries of this meal count.
        page: limit and offset.
    """
    filters = {"meal_type": meal_type} if meal_type else {}
    rows = _prepared(order, *filters).rows(page=page, device=device.pk, **filters)
    columns = ProductSerializer.columns()
    return [dict(zip(columns, row, strict=True)) for row in rows]


@cache
def _prepared(order: str, *filters: str) -> Prepared:
    return Prepared(lambda **slots: _products(order, **slots), "device", *filters)


def _products(order: str, device: Slot, **filters: Slot) -> QuerySet[Any, Any]:
    entries = FoodEntry.objects.for_device(device)
    own = entries.filter(product=OuterRef("pk"), **filters)
    last = own.order_by("-date", "-created_at")
    places = [Subquery(last.values(name)[:1]).desc() for name in ("date", "created_at")]
    if order == Order.FREQUENT:
        first_day = entries.order_by("-date").values("date").distinct()[DAYS - 1 : DAYS]
        lately = own.filter(date__gte=Coalesce(Subquery(first_day), Value(FIRST_DAY)))
        days = lately.order_by().values("product").annotate(days=Count("date", distinct=True))
        places.insert(0, Coalesce(Subquery(days.values("days")), 0).desc())
    products = Product.objects.for_device(device).filter(Exists(own)).order_by(*places, "pk")
    return products.values_list(*ProductSerializer.expressions())
