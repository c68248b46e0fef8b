"""What Schemathesis can't know about the API: valid tokens, and ids that exist."""

from __future__ import annotations

import os
from itertools import cycle
from typing import Any

import jsonschema
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, Failure

from attacks.client import Phone
from products.nutrients import NAMES

PORT = int(os.environ["ATTACKED_PORT"])
ANSWERS = os.environ["ATTACK_ANSWERS"]
# They end the token, delete what other calls need, or may be sent a few times a day: each gets a
# device of its own.
OWN_DEVICE = {
    "POST /v1/auth/rotate",
    "POST /v1/catalog/foods/{id}/reports",
    "DELETE /v1/auth/device",
    "DELETE /v1/data",
}
# What is invalid in their bodies is left out by name, and the rest is accepted.
LEAVE_OUT_BY_NAME = {"POST /v1/sync", "POST /v1/import"}
# Fields that follow from a product or a portion: they are ignored if the body names one.
DECIDED = {"name", "unit", "grams", *NAMES}
GOAL = {
    "daily_calories_kcal": 2000,
    "protein_percent": 30,
    "carbs_percent": 40,
    "fat_percent": 30,
    "water_ml": 2000,
}

device = Phone(PORT).register()
(food,) = device.get("/v1/catalog/foods?search=banana&limit=1").json()
rice = device.post("/v1/products", {"name": "Rice", "kcal_100g": 130}).json()["id"]
(cup,) = (portion["id"] for portion in device.get(f"/v1/products/{rice}/portions").json())
is_last = cycle([False, True])


@schemathesis.auth(refresh_interval=None)
class Token:
    """The token of one device, or of a new device for the calls of `OWN_DEVICE`."""

    def get(self, case: Any, context: Any) -> str:
        is_own = context.operation.label in OWN_DEVICE
        return (Phone(PORT).register() if is_own else device).token

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Create the product and the portion that a diary entry names.

    Also create the goal that is asked for, because a later goal replaces each goal, the
    phone that is to be signed out, and the code or key of an example. Name a food that exists, and
    pull before a push, to send a current timestamp. A portion that is to be deleted is in turn one
    of two and the last of its product, which is refused. A recipe is a new one.
    """
    if case.operation.path == "/v1/goals/{id}" and is_id(case.path_parameters.get("id")):
        case.path_parameters["id"] = device.post("/v1/goals/manual", GOAL).json()["id"]
    if case.operation.label == "DELETE /v1/auth/phones/{id}" and is_id(
        case.path_parameters.get("id")
    ):
        phone = Phone(PORT)
        phone.pair(device.get_code())
        case.path_parameters["id"] = phone.phone_id
    if case.operation.label == "DELETE /v1/portions/{id}" and is_id(case.path_parameters.get("id")):
        case.path_parameters["id"] = a_portion(is_last=next(is_last))
    if case.operation.path.startswith("/v1/catalog/foods/{id}") and is_id(
        case.path_parameters.get("id")
    ):
        case.path_parameters["id"] = food["id"]
    if is_example(case, "code"):
        # Of a new device, because none has more than eight phones.
        phone = Phone(PORT).register()
        is_key = case.body["code"].count("-") > 2
        case.body["code"] = phone.get_key() if is_key else phone.get_code()
    if is_example(case, "recovery_key"):
        case.body["recovery_key"] = device.get_key()
    if case.operation.label == "POST /v1/sync" and str(case.query.get("last_pulled_at")).isdigit():
        case.query["last_pulled_at"] = device.get("/v1/sync").json()["timestamp"]
    if case.operation.path == "/v1/products/{id}/recipe" and is_id(case.path_parameters.get("id")):
        case.path_parameters["id"] = a_dish()
        for item in items_in(case.body):
            if is_id(item.get("ingredient_id")):
                item["ingredient_id"] = rice
                item["portion_id"] = cup if is_id(item.get("portion_id")) else None
    if isinstance(case.body, dict) and is_id(case.body.get("product_id")):
        product = device.post("/v1/products", {"name": "Rice", "kcal_100g": 130}).json()["id"]
        case.body["product_id"] = product
        if is_id(case.body.get("portion_id")):
            portions = device.get(f"/v1/products/{product}/portions").json()
            case.body["portion_id"] = portions[0]["id"]


@schemathesis.hook
def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Allow an invalid body that was accepted because its errors are ignored or rounded away."""
    if not isinstance(failure, AcceptedNegativeData) or not isinstance(case.body, dict):
        return True
    if case.operation.label in LEAVE_OUT_BY_NAME:
        return False
    body = case.operation.definition.raw["requestBody"]["content"]["application/json"]["schema"]
    schema = body | {"components": case.operation.schema.raw_schema["components"]}
    fields = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
    is_of_product = is_id(case.body.get("product_id") or case.body.get("portion_id"))
    counts = {
        name: as_stored(value, fields.get(name, {}))
        for name, value in case.body.items()
        if not is_of_product or name not in DECIDED
    }
    if items_in(counts):
        counts["items"] = [item_as_stored(item) for item in counts["items"]]
    return not jsonschema.Draft202012Validator(schema).is_valid(counts)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Append the status of each answer to a file."""
    with open(ANSWERS, "a") as answers:
        print(case.method, case.operation.path, response.status_code, file=answers)


def a_portion(*, is_last: bool) -> str:
    """Return the id of a portion of a new product."""
    product = device.post("/v1/products", {"name": "Rice", "kcal_100g": 130}).json()["id"]
    if not is_last:
        cup = {"name": "1 cup", "grams": 158}
        return str(device.post(f"/v1/products/{product}/portions", cup).json()["id"])
    return str(device.get(f"/v1/products/{product}/portions").json()[0]["id"])


def a_dish() -> str:
    """Return the id of a new recipe."""
    dish = str(device.post("/v1/products", {"name": "Dish", "kcal_100g": 1}).json()["id"])
    body = {"servings": 1, "items": [{"ingredient_id": rice, "grams": 100}]}
    assert device.put(f"/v1/products/{dish}/recipe", body).status == 200
    return dish


def items_in(body: Any) -> list[dict[str, Any]]:
    """Return the items of a body that has some."""
    items = body.get("items") if isinstance(body, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def is_example(case: Any, field: str) -> bool:
    """Return whether a body's field has the value that an example of the document has."""
    if not isinstance(case.body, dict) or not isinstance(case.body.get(field), str):
        return False
    content = case.operation.definition.raw["requestBody"]["content"]["application/json"]
    examples = content.get("examples", {}).values()
    return case.body[field] in [example["value"].get(field) for example in examples]


def as_stored(value: Any, field: dict[str, Any]) -> Any:
    """Return a value as the server stores it: rules apply to what is stripped and rounded."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if "integer" in field.get("type", ()):
        return round(value) if abs(value - round(value)) <= 0.000001 else value
    return round(value, 2)


def item_as_stored(item: Any) -> Any:
    """Return an item of a recipe as the server stores it: a portion decides its grams."""
    if not isinstance(item, dict):
        return item
    ignored = {"grams"} if item.get("portion_id") else set()
    return {name: as_stored(item[name], {}) for name in item.keys() - ignored}


def is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 36
