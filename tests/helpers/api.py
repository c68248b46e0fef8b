"""The API as a phone calls it, and what is read in its answers."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from devices import transfer
from devices.models import Device, Phone


class Api:
    """A phone: calls the API as one device, JSON in and JSON out."""

    def __init__(self, device: Device | None = None, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.device = device
        self.token = token

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a request; a body that is bytes goes out as it is."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        response: Any = self.client.generic(
            method,
            path,
            data,
            content_type="application/json" if body is not None else "",
            headers=sent | (headers or {}),
        )
        if response.streaming:
            # As a phone sees it: whole, with its Content-Type.
            whole = HttpResponse(b"".join(response.streaming_content), status=response.status_code)
            whole.headers = response.headers
            whole.json = lambda: json.loads(whole.content)  # type: ignore[attr-defined]  # as the client's
            return whole
        return response

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

    def recipe(self, product: dict[str, Any], grams: dict[str, float], **values: Any) -> Any:
        """Make a product a recipe of some grams of others, by their ids, and return that."""
        items = [{"ingredient_id": key, "grams": amount} for key, amount in grams.items()]
        body = {"servings": 2, "items": items} | values
        response = self.put(f"/v1/products/{product['id']}/recipe", body)
        assert response.status_code == 200, response.content
        return response.json()

    def entry(self, **values: Any) -> dict[str, Any]:
        """Log something eaten, a product's by `product_id`, and return it as the API does."""
        body: dict[str, Any] = {"date": "2025-02-05", "meal_type": "lunch"} | values
        if "product_id" not in body:
            body = {"name": "Soup", "kcal": 250} | body
        return self._created(self.post("/v1/food-entries", body))

    def goal(self, **values: Any) -> dict[str, Any]:
        """Set a goal by hand and return it as the API does."""
        percents = {"protein_percent": 30, "carbs_percent": 40, "fat_percent": 30}
        body = {"daily_calories_kcal": 2000, **percents, "water_ml": 2000} | values
        return self._created(self.post("/v1/goals/manual", body))

    def weight(self, **values: Any) -> dict[str, Any]:
        """Note a weighing and return it as the API does."""
        body = {"date": "2025-02-05", "weight_kg": 80} | values
        return self._created(self.post("/v1/body-weights", body))

    def water(self, **values: Any) -> dict[str, Any]:
        """Note water and return it as the API does."""
        body = {"date": "2025-02-05", "ml": 250} | values
        return self._created(self.post("/v1/water-entries", body))

    @staticmethod
    def _created(response: Any) -> dict[str, Any]:
        assert response.status_code == 201, response.content
        created: dict[str, Any] = response.json()
        return created


def new_phone() -> Api:
    """Return a phone of a new device that has called before, past the throttle."""
    device = Device()
    phone, token = Phone.with_new_token(device, device.pk, last_seen_at=timezone.now())
    device.save()
    phone.save(force_insert=True)
    return Api(device, token)


def twin(phone: Api) -> Api:
    """Return another phone, whose device has the same rows under the same ids."""
    assert phone.device is not None
    exported = json.loads(b"".join(transfer.export(phone.device)))
    exported["device"]["id"] = str(uuid.uuid4())
    return Api(*transfer.load(exported))


def request_body(fields: dict[str, Any], **raw: str) -> bytes:
    """Return a JSON object with some of its fields spelt as they go out."""
    texts = {name: json.dumps(value) for name, value in fields.items()} | raw
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}").encode()


def offences(response: Any) -> list[tuple[list[str], str]]:
    """Return the place and type of every validation error."""
    assert response.status_code == 422, response.content
    assert response.json()["detail"] == "Validation error"
    return [(error["loc"], error["type"]) for error in response.json()["errors"]]


def defaults(phone: Api, product: dict[str, Any]) -> list[str]:
    """Return the ids of the product's default portions; there should be one."""
    portions = phone.get(f"/v1/products/{product['id']}/portions?limit=200").json()
    return [portion["id"] for portion in portions if portion["is_default"]]


def links(response: Any) -> dict[str, str]:
    """Return the paths of the neighbouring pages, whose addresses are absolute, by relation."""
    header = response.headers.get("Link", "")
    found = re.findall(r'<http://testserver([^>]+)>; rel="(\w+)"', header)
    assert header.count("<") == len(found), header
    return {relation: path for path, relation in found}


def names(response: Any) -> list[str]:
    """Return the names of the rows answered."""
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()]
