"""Fixtures of all tests: phones that call the API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.test import Client

from devices import tokens, transfer
from devices.models import Device

# Without `collectstatic` there is no manifest. The browser's tests make one.
settings.STORAGES["staticfiles"]["BACKEND"] = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
)
# Django hashes passwords slowly on purpose, and tests create many operators.
settings.PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]


class Api:
    """A phone that calls the API as one device, with JSON bodies."""

    def __init__(self, device: Device | None = None, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.device = device
        self.token = token

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a request. Bytes are sent as they are, any other body as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        return self.client.generic(
            method,
            path,
            data,
            content_type="application/json" if body is not None else "",
            headers=sent | (headers or {}),
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.request("POST", path, body, headers)

    def put(self, path: str, body: Any = None) -> Any:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any = None) -> Any:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path)

    def product(self, **values: Any) -> dict[str, Any]:
        """Create a product and return it as the API does."""
        body = {"name": "Chicken Breast", "kcal_100g": 165} | values
        return self._created(self.post("/v1/products", body))

    def portion(self, product: dict[str, Any], **values: Any) -> dict[str, Any]:
        """Create a portion of a product and return it as the API does."""
        body = {"name": "1 piece", "grams": 150} | values
        return self._created(self.post(f"/v1/products/{product['id']}/portions", body))

    def entry(self, **values: Any) -> dict[str, Any]:
        """Log something eaten, a product's by `product_id`, and return it as the API does."""
        body: dict[str, Any] = {"date": "2025-02-05", "meal_type": "lunch"} | values
        if "product_id" not in body:
            body = {"name": "Soup", "kcal": 250} | body
        return self._created(self.post("/v1/food-entries", body))

    def goal(self, **values: Any) -> dict[str, Any]:
        """Create a manual goal and return it as the API does."""
        percents = {"protein_percent": 30, "carbs_percent": 40, "fat_percent": 30}
        body = {"daily_calories_kcal": 2000, **percents, "water_ml": 2000} | values
        return self._created(self.post("/v1/goals/manual", body))

    def weight(self, **values: Any) -> dict[str, Any]:
        """Log a body weight and return it as the API does."""
        body = {"date": "2025-02-05", "weight_kg": 80} | values
        return self._created(self.post("/v1/body-weights", body))

    def water(self, **values: Any) -> dict[str, Any]:
        """Log water and return it as the API does."""
        body = {"date": "2025-02-05", "ml": 250} | values
        return self._created(self.post("/v1/water-entries", body))

    @staticmethod
    def _created(response: Any) -> dict[str, Any]:
        assert response.status_code == 201, response.content
        created: dict[str, Any] = response.json()
        return created


def new_phone() -> Api:
    """Register a device without the throttle, and return it as a phone that has called before."""
    device, token = Device.objects.register(uuid.uuid4())
    device.seen()
    return Api(device, token)


def twin(phone: Api) -> Api:
    """Return the phone of another device that has the same rows under the same ids."""
    assert phone.device is not None
    exported = transfer.export(phone.device)
    exported["device"]["id"] = str(uuid.uuid4())
    return Api(*transfer.load(exported))


@pytest.fixture
def phone(db: None) -> Api:
    """A registered device."""
    return new_phone()


@pytest.fixture
def other(db: None) -> Api:
    """Another registered device."""
    return new_phone()


@pytest.fixture
def nobody(db: None) -> Api:
    """A client without a token."""
    return Api()


@pytest.fixture(autouse=True)
def own_cache(settings: Any) -> Iterator[None]:
    """Give each test its own keys in the caches, which other workers may use too."""
    prefix = uuid.uuid4().hex
    for alias in settings.CACHES:
        settings.CACHES[alias]["KEY_PREFIX"] = prefix
    forget_caches()
    yield
    forget_caches()


def forget_caches() -> None:
    """Drop the caches, so that they are made again from the settings."""
    for cache in caches.all(initialized_only=True):
        cache.close()
    connections: Any = vars(caches)["_connections"]
    for alias in caches.settings:
        if hasattr(connections, alias):
            delattr(connections, alias)
    tokens._keys.cache_clear()
