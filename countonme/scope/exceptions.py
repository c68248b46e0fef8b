"""What is raised where a row, its device or its scope is not as it must be."""

from __future__ import annotations

from django.db import models

ID_IN_USE = "ID already in use"


class UnscopedQuery(RuntimeError):
    """A query on a device-scoped model did not say whose rows it means."""


class Conflict(Exception):
    """What was asked contradicts what is stored; the message is a sentence for the client."""


class DeviceGone(Exception):
    """The device was erased, blocked or lost its token since it was looked up."""


class Missing(Exception):
    """A device has no such live row; whether another device has one, nobody learns."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(f"{str(model._meta.verbose_name).capitalize()} not found")
