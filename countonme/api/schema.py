"""The OpenAPI document: what every call shares is said here once."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema


class ApiSchema(AutoSchema):
    pass
