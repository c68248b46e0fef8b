"""Moderation: find products of all devices by their names, and soft-delete them."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.admin.models import CHANGE
from django.db import transaction
from django.db.models import Count, Min, Q

from countonme.api.text import fold
from countonme.operators.names import log
from countonme.scope.query import DeviceScopedQuerySet
from products.models import Product
from products.names import search_condition

# The most products that one request soft-deletes.
BATCH = 500
# The most products that one click soft-deletes; the page sends as many requests as that takes.
MAX_ROWS = 10_000
# The most names that a page lists.
MAX_NAMES = 200


def matching(pattern: str) -> DeviceScopedQuerySet[Product]:
    """Return the live products whose name or words contain a pattern.

    In a pattern `*` stands for any text. A pattern without `*` also finds what a phone's search
    for it finds.
    """
    regex = ".*".join(re.escape(part) for part in fold(pattern).split("*"))
    contains = Q(name_folded__regex=regex) | Q(name_words__regex=regex)
    if "*" not in pattern:
        contains |= search_condition(pattern, "name_words")
    return live_products().filter(contains)


def live_products() -> DeviceScopedQuerySet[Product]:
    """Return the live products of devices that are not erased."""
    rows: DeviceScopedQuerySet[Product] = Product.objects.across_devices()
    return rows.filter(device__erased_at=None)


def names(pattern: str) -> list[dict[str, Any]]:
    """Return the names that match a pattern, the most common among devices first.

    Each is a dict: `name_folded`, one spelling of it as `name`, and the numbers of `devices` and
    `products` that have it.
    """
    grouped = matching(pattern).order_by().values("name_folded")
    counted = grouped.annotate(
        name=Min("name"), devices=Count("device", distinct=True), products=Count("pk")
    )
    return [dict(row) for row in counted.order_by("-devices", "name_folded")[:MAX_NAMES]]


def soft_delete(folded: list[str], user_id: int) -> tuple[int, int]:
    """Soft-delete one batch of the products with these folded names, and log it.

    Returns:
        How many products were deleted, and how many are left.
    """
    rows = live_products().filter(name_folded__in=folded)
    with transaction.atomic():
        batch = live_products().of_keys(list(rows.order_by("device_id", "pk").key_list()[:BATCH]))
        batch.lock_devices()
        to_delete = list(batch)
        batch.delete()
        if to_delete:
            log(user_id, to_delete, CHANGE, "Soft-deleted by moderation.")
    return len(to_delete), rows.count()
