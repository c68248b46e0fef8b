"""Exceptions about rows, devices and scopes."""

from __future__ import annotations

from django.db import models

ID_IN_USE = "ID already in use"


class UnscopedQuery(RuntimeError):
    """A query on a device-scoped model did not say whose rows it means."""


class Conflict(Exception):
    """The request contradicts what is stored. The message is a sentence for the client."""


class DeviceGone(Exception):
    """The device was erased, blocked or lost its token since it was looked up."""


class NotFound(Exception):
    """What was asked for does not exist; the message is a sentence for the client."""


class Missing(NotFound):
    """The device has no such live row. The message does not tell whether another has one."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(f"{str(model._meta.verbose_name).capitalize()} not found")
