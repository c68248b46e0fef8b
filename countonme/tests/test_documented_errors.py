"""Every refusal that the OpenAPI document describes occurs, worded and shaped as described."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from django.db.models import QuerySet
from django.test import override_settings

from countonme.api import docs
from countonme.scope.prepared import Prepared
from goals.serializers import BY_HAND, METRICS
from tests.helpers.api import Api
from tests.helpers.catalog import new_food
from tests.helpers.phones import fill_up, get_code, id_of, try_pair

Call = dict[str, Any]
Refusal = tuple[str, str]

COPY = "/v1/food-entries/copy"
EATEN = {"date": "2025-02-05", "meal_type": "lunch"}
SOUP = EATEN | {"name": "Soup", "kcal": 250}


class World:
    """A phone, what it has, and another phone."""

    def __init__(self, phone: Api, other: Api) -> None:
        self.phone, self.other = phone, other
        self.product = phone.product()["id"]
        self.portions = f"/v1/products/{self.product}/portions"
        self.recipe = f"/v1/products/{self.product}/recipe"
        self.portion = f"/v1/portions/{phone.get(self.portions).json()[0]['id']}"
        self.entry = f"/v1/food-entries/{phone.entry(date=EATEN['date'])['id']}"

    def cook(self, **values: Any) -> Any:
        """Make the product a recipe of a gram of another."""
        food = self.phone.product(name="Rice")["id"]
        item = {"ingredient_id": food, "grams": 1} | values
        return self.phone.put(self.recipe, {"servings": 1, "items": [item]})

    def at_quota(self, method: str, path: str, body: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(QuerySet, "count", lambda rows: 10**6)
            patch.setattr(Prepared, "count", lambda prepared, **values: 10**6)
            return self.phone.request(method, path, body)


@pytest.fixture
def world(phone: Api, other: Api, settings: Any) -> World:
    # Pairing is refused for more reasons than it may be tried in a minute.
    settings.PAIR_THROTTLE = ""
    return World(phone, other)


def calls() -> dict[str, Call]:
    """Return all calls that are described, by method and path."""
    return {
        f"{method.upper()} {path}": call
        for path, item in docs.document()["paths"].items()
        for method, call in item.items()
    }


def unknown() -> str:
    return str(uuid.uuid4())


def example(call: Call) -> Any:
    """Return the first example of a call's body."""
    content = call.get("requestBody", {}).get("content", {"application/json": {}})
    examples = content["application/json"].get("examples", {"": {"value": None}})
    return next(iter(examples.values()))["value"]


def wrong(call: Call) -> tuple[str, Any]:
    """Return a query and a body that no call takes: NUL for a parameter, lists for fields."""
    if "requestBody" in call:
        schema = call["requestBody"]["content"]["application/json"]["schema"]
        name = schema["$ref"].rpartition("/")[2]
        fields = docs.document()["components"]["schemas"][name]["properties"]
        return "", {field: [] for field in fields}
    names = [p["name"] for p in call.get("parameters", []) if p["in"] == "query"]
    return "?" + "&".join(f"{name}=%00" for name in names), None


def refused(world: World, name: str, call: Call, status: str, sentence: str) -> Any:
    """Have a call refused for a reason that any call may have."""
    method, path = name.replace("{id}", unknown()).replace("{date}", "2025-02-30").split()
    body, headers = example(call), {}
    caller = world.phone
    match status:
        case "400":
            wrong_bodies = {"object": b"[]", "UTF-8": b"\xff", "JSON": b"{"}
            body = wrong_bodies[sentence.rpartition(" ")[2]]
        case "401":
            caller = Api()
        case "411":
            body, headers = None, {"Transfer-Encoding": "chunked"}
        case "413":
            headers = {"Content-Length": str(10**9)}
        case "415":
            wrong_type = sentence.endswith("application/json")
            headers = {"Content-Type": "text/plain"} if wrong_type else {"Content-Encoding": "br"}
        case "422":
            query, body = wrong(call)
            path += query
        case "429":
            with override_settings(
                DEVICE_THROTTLE="0/min", REGISTER_THROTTLE="0/min", PAIR_THROTTLE="0/min"
            ):
                return caller.request(method, path, body)
    return caller.request(method, path, body, headers)


def register_twice(world: World) -> Any:
    body = {"device_id": unknown()}
    world.phone.post("/v1/auth/register", body)
    return world.phone.post("/v1/auth/register", body)


def updates(path: str, reasons: dict[Refusal, Callable[[World, str], Any]]) -> Any:
    """Return the reasons for PUT and for PATCH, which do the same."""
    return {
        f"{method} {path}": {
            refusal: lambda world, method=method, refuse=refuse: refuse(world, method)
            for refusal, refuse in reasons.items()
        }
        for method in ("PUT", "PATCH")
    }


def show_another_key(method: str) -> Any:
    """Return the refusal of a key that is not the device's."""

    def show(world: Any) -> Any:
        body = {"recovery_key": "mine"}
        return world.phone.request(method, "/v1/auth/recovery-key", body)

    return {("409", "Not the device's recovery key"): show}


def taken(path: str, body: Any) -> dict[Refusal, Callable[[World], Any]]:
    """Return the reason of an id that the device has deleted; `body` creates a row."""

    def post(world: World) -> Any:
        key = world.phone.post(path, body).json()["id"]
        kind = "/".join(path.split("/")[:3])
        assert world.phone.delete(f"{kind}/{key}").status_code == 204
        return world.phone.post(path, body | {"id": key})

    return {("409", "ID already in use"): post}


def copies() -> str:
    """Return the path that copies a new food."""
    return f"/v1/catalog/foods/{new_food().pk}/copy"


def copy_as_a_deleted_product(world: World) -> Any:
    world.phone.delete(f"/v1/products/{world.product}")
    return world.phone.post(copies(), {"id": world.product})


def move(world: World, method: str, path: str, body: Any) -> Any:
    """Move a row to the day of the one that `body` creates, with every day at its quota."""
    world.phone.post(path, body)
    row = world.phone.post(path, body | {"date": "2025-02-06"}).json()
    return world.at_quota(method, f"{path}/{row['id']}", {"date": body["date"]})


RICE = {"name": "Rice", "kcal_100g": 130}
CUP = {"name": "1 cup", "grams": 150}
UNKNOWN_CODE = "BCDF-GHJK-LMNP"
WEIGHT = {"date": "2025-02-05", "weight_kg": 80}
WATER = {"date": "2025-02-05", "ml": 250}
ONE_WEIGHT = ("409", "This day has a body weight already")
MUCH_WATER = ("409", "A day has at most 100 water entries")


def again_a_deleted_portion(world: World) -> Any:
    portion = world.phone.post(world.portions, CUP).json()["id"]
    assert world.phone.delete(f"/v1/portions/{portion}").status_code == 204
    return world.phone.post(world.portions, CUP | {"id": portion})


def cook_with_an_id_of_another_recipe(world: World) -> Any:
    food = world.phone.product()["id"]
    [item] = world.phone.recipe(world.phone.product(), {food: 1})["items"]
    body = {"servings": 1, "items": [item]}
    return world.phone.put(f"/v1/products/{world.phone.product()['id']}/recipe", body)


def cook_an_ingredient(world: World) -> Any:
    world.phone.recipe(world.phone.product(name="Soup"), {world.product: 1})
    return world.cook()


def break_a_recipe(world: World, method: str) -> Any:
    path = f"/v1/products/{world.product}"
    soup = world.phone.product(name="Fried rice")
    world.phone.recipe(soup, {world.product: 100}, cooked_grams=50)
    return world.phone.request(method, path, {"kcal_100g": 501})


def weigh_twice(world: World) -> Any:
    world.phone.weight()
    return world.phone.post("/v1/body-weights", WEIGHT)


def push_too_late(world: World) -> Any:
    changes = {"products": {"deleted": [world.product]}}
    return world.phone.post("/v1/sync?last_pulled_at=1", changes)


def pair_a_ninth(world: World) -> Any:
    fill_up(world.phone)
    return try_pair(get_code(world.phone))


# Reasons that only one call has.
REASONS: dict[str, dict[Refusal, Callable[[World], Any]]] = {
    "POST /v1/auth/register": {("409", "Device already registered"): register_twice},
    "POST /v1/auth/pair": {
        ("404", "Code not found or expired"): lambda world: try_pair(UNKNOWN_CODE),
        ("409", "ID already in use"): lambda world: try_pair(
            get_code(world.phone), id_of(world.phone)
        ),
        ("409", "A device has at most 8 phones"): pair_a_ninth,
    },
    "DELETE /v1/auth/phones/{id}": {
        ("409", "Erase the device instead"): lambda world: world.phone.delete(
            f"/v1/auth/phones/{id_of(world.phone)}"
        ),
    },
    "POST /v1/auth/recovery-key": show_another_key("POST"),
    "DELETE /v1/auth/recovery-key": show_another_key("DELETE"),
    "POST /v1/products": taken("/v1/products", RICE)
    | {
        ("409", "A device has at most 5000 products"): lambda world: world.at_quota(
            "POST", "/v1/products", RICE
        ),
    },
    "POST /v1/catalog/foods/{id}/copy": {
        ("409", "ID already in use"): copy_as_a_deleted_product,
        ("409", "A device has at most 5000 products"): lambda world: world.at_quota(
            "POST", copies(), None
        ),
    },
    "POST /v1/products/{id}/portions": {
        ("409", "ID already in use"): again_a_deleted_portion,
        ("409", "A product has at most 50 portions"): lambda world: world.at_quota(
            "POST", world.portions, CUP
        ),
    },
    "GET /v1/products/{id}/recipe": {
        ("404", "Recipe not found"): lambda world: world.phone.get(world.recipe)
    },
    "PUT /v1/products/{id}/recipe": {
        ("404", "Portion not found"): lambda world: world.cook(portion_id=unknown()),
        ("409", "ID already in use"): cook_with_an_id_of_another_recipe,
        ("409", "This product is in a recipe"): cook_an_ingredient,
    },
    "DELETE /v1/products/{id}/recipe": {
        ("404", "Recipe not found"): lambda world: world.phone.delete(world.recipe)
    },
    "DELETE /v1/portions/{id}": {
        ("409", "A product keeps at least one portion"): lambda world: world.phone.delete(
            world.portion
        ),
    },
    "POST /v1/goals/calculated": taken("/v1/goals/calculated", METRICS),
    "POST /v1/goals/manual": taken("/v1/goals/manual", BY_HAND),
    "POST /v1/body-weights": taken("/v1/body-weights", WEIGHT) | {ONE_WEIGHT: weigh_twice},
    **updates(
        "/v1/body-weights/{id}",
        {ONE_WEIGHT: lambda world, method: move(world, method, "/v1/body-weights", WEIGHT)},
    ),
    "POST /v1/water-entries": taken("/v1/water-entries", WATER)
    | {MUCH_WATER: lambda world: world.at_quota("POST", "/v1/water-entries", WATER)},
    **updates(
        "/v1/water-entries/{id}",
        {MUCH_WATER: lambda world, method: move(world, method, "/v1/water-entries", WATER)},
    ),
    "POST /v1/food-entries": taken("/v1/food-entries", SOUP)
    | {
        ("404", "Product not found"): lambda world: world.phone.post(
            "/v1/food-entries", EATEN | {"product_id": unknown(), "grams": 10}
        ),
        ("404", "Portion not found"): lambda world: world.phone.post(
            "/v1/food-entries", EATEN | {"product_id": world.product, "portion_id": unknown()}
        ),
        ("409", "A day has at most 500 food entries"): lambda world: world.at_quota(
            "POST", "/v1/food-entries", SOUP
        ),
    },
    "POST /v1/food-entries/copy": {
        ("404", "Food entry not found"): lambda world: world.phone.post(
            COPY, {"entry_ids": [unknown()], "to_date": "2025-02-06"}
        ),
        ("409", "A day has at most 500 food entries"): lambda world: world.at_quota(
            "POST", COPY, {"from_date": EATEN["date"], "to_date": "2025-02-06"}
        ),
    },
    "POST /v1/sync": {
        ("409", "Something pushed has changed on the server: pull first"): push_too_late
    },
    **updates(
        "/v1/products/{id}",
        {
            (
                "409",
                'The recipe "Fried rice" would have more than 1000 kcal in 100 g',
            ): break_a_recipe,
            ("409", "The unit of a product can't be changed"): (
                lambda world, method: world.phone.request(
                    method, f"/v1/products/{world.product}", {"unit": "ml"}
                )
            ),
        },
    ),
    **updates(
        "/v1/portions/{id}",
        {
            ("409", "Make another portion the default instead"): (
                lambda world, method: world.phone.request(
                    method, world.portion, {"is_default": False}
                )
            ),
        },
    ),
    **updates(
        "/v1/food-entries/{id}",
        {
            ("404", "Product not found"): lambda world, method: world.phone.request(
                method, world.entry, {"product_id": unknown(), "grams": 10}
            ),
            ("404", "Portion not found"): lambda world, method: world.phone.request(
                method, world.entry, {"product_id": world.product, "portion_id": unknown()}
            ),
            ("409", "A day has at most 500 food entries"): lambda world, method: world.at_quota(
                method, world.entry, {"date": "2025-02-06"}
            ),
        },
    ),
}


@pytest.mark.parametrize("name", calls())
def test_it_occurs(world: World, name: str) -> None:
    call, own = calls()[name], REASONS.get(name, {})
    described = set()
    for status, response in call["responses"].items():
        if not status.startswith("4"):
            continue
        content = response["content"]["application/json"]
        schema = content["schema"] | {"components": docs.document()["components"]}
        for value in (one["value"] for one in content["examples"].values()):
            sentence = value["detail"]
            described.add((status, sentence))
            provoke = own.get((status, sentence))
            answer = provoke(world) if provoke else refused(world, name, call, status, sentence)
            assert (answer.status_code, answer.json()["detail"]) == (int(status), sentence)
            assert answer.json().keys() == value.keys()
            jsonschema.validate(answer.json(), schema)
            headers = response.get("headers", {})
            assert all(header["required"] for header in headers.values())
            assert headers.keys() <= dict(answer.headers).keys()
    assert own.keys() <= described


def test_no_reason_is_for_a_call_that_is_not_described() -> None:
    assert REASONS.keys() <= calls().keys()
