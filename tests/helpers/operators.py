"""Operators: clients that are signed in, and the acts that they do."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.test import Client

from countonme.operators.names import name_of
from countonme.operators.site import SIGNED
from products.models import Product

DEVICES = "/admin/devices/device/"
PRODUCTS = "/admin/products/product/"
MODERATION = "/admin/products/product/moderation/"
CONFIRMED = {"confirmed": "yes", "reason": "spam"}


def operator(role: str = "") -> Client:
    """Return a client signed in with a role, or as a superuser."""
    name = role or "Superuser"
    user = User.objects.create_user(name, is_staff=True, is_superuser=not role)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def operator_again() -> Client:
    User.objects.filter(username="Superuser").delete()
    return operator()


def act(client: Client, page: str, action: str, row: Any, **values: str) -> Any:
    sent = {"action": action, "_selected_action": [name_of(row)], **values}
    return client.post(page, sent, follow=True)


def moderated(model: Any = Product) -> Any:
    """Return the pages on which rows of a model are moderated."""
    return admin.site.get_model_admin(model)


def logged() -> QuerySet[LogEntry]:
    """Return what stands in the log beside sign-ins."""
    return LogEntry.objects.exclude(change_message__startswith=SIGNED)
