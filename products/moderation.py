"""Products of all devices under a name that nobody should have to read."""

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
from products.names import found_by

# What one request soft-deletes, what one click does in as many requests, and how many names a
# page shows.
BATCH = 500
MAX_ROWS = 10_000
MAX_NAMES = 200


def matching(pattern: str) -> DeviceScopedQuerySet[Product]:
    """Return the live products whose name or words contain a pattern, or that a search finds by it.

    `*` stands for any text; a pattern with it is no search.
    """
    regex = ".*".join(re.escape(part) for part in fold(pattern).split("*"))
    has = Q(name_folded__regex=regex) | Q(name_words__regex=regex)
    return known().filter(has if "*" in pattern else has | found_by(pattern, "name_words"))


def known() -> DeviceScopedQuerySet[Product]:
    """Return the live products of devices that are not erased."""
    rows: DeviceScopedQuerySet[Product] = Product.objects.across_devices()
    return rows.filter(device__erased_at=None)


def names(pattern: str) -> list[dict[str, Any]]:
    """Return the names that match, those of most devices first.

    Each with `name_folded`, one spelling as `name`, and how many `devices` and `products` have it.
    """
    grouped = matching(pattern).order_by().values("name_folded")
    counted = grouped.annotate(
        name=Min("name"), devices=Count("device", distinct=True), products=Count("pk")
    )
    return [dict(row) for row in counted.order_by("-devices", "name_folded")[:MAX_NAMES]]


def soft_delete(folded: list[str], user_id: int) -> tuple[int, int]:
    """Soft-delete one batch of the products under these folded names, and log it.

    Returns:
        How many were deleted, and how many are left.
    """
    rows = known().filter(name_folded__in=folded)
    with transaction.atomic():
        batch = known().of_keys(list(rows.order_by("device_id", "pk").key_list()[:BATCH]))
        batch.lock_devices()
        to_delete = list(batch)
        batch.delete()
        if to_delete:
            log(user_id, to_delete, CHANGE, "Soft-deleted by moderation.")
    return len(to_delete), rows.count()
