"""Every call of the OpenAPI document, with each of its parameters and examples, to be sent.

A call, a parameter or a field that is new in the document is found. If it can't be filled in, an
assertion says what to add here or in the schema.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from catalog.serializers import FOOD
from countonme.api import docs
from tests.helpers.api import Api

# The path of each kind of row, and the path of the POST whose examples create some.
CREATED_BY = {
    "/v1/products": "/v1/products",
    "/v1/portions": "/v1/products/{id}/portions",
    "/v1/food-entries": "/v1/food-entries",
    "/v1/goals": "/v1/goals/manual",
    "/v1/body-weights": "/v1/body-weights",
    "/v1/water-entries": "/v1/water-entries",
    "/v1/auth/phones": "/v1/auth/pair",
    "/v1/products/{id}/recipe": "/v1/products/{id}/recipe",
    "/v1/recipe-items": "/v1/products/{id}/recipe",
}
# A recipe has the id of its product, and is made by a PUT, with its items.
RECIPES, ITEMS = "/v1/products/{id}/recipe", "/v1/recipe-items"
# Phones join by pairing, without a token. Their ids are chosen too, and are a device's own.
PHONES, PAIR = "/v1/auth/phones", "/v1/auth/pair"
# A day has one row of this kind: it moves to another day, so that the example's day is free again.
ONE_A_DAY, ANOTHER_DAY, A_THIRD_DAY = "/v1/body-weights", "2025-02-04", "2025-02-03"
# What every device sees: the paths of its rows, and the field that names one, are no device's.
EVERYBODYS, NAMES_EVERYBODYS = "/v1/catalog/", "catalog_id"
# A parameter that a call needs unless it has another.
NEEDED = {("/v1/catalog/foods", "search")}
# A parameter with which a call takes a body that is no JSON.
OTHER_BODY = ("/v1/import", "format")
# A parameter with which a call may answer the same for any id, and writes nothing.
PREVIEW = "preview"
# The kind of row that a field or parameter refers to; an `id` is that of its path.
NAMED_BY = {
    "product_id": "/v1/products",
    "portion_id": "/v1/portions",
    "ingredient_id": "/v1/products",
    "entry_ids": "/v1/food-entries",
}
# Ids that the client chooses.
CHOSEN = ("id", "device_id", "phone_id", "copy_id")
# Values of the parameters that have neither a default nor choices; the examples are of that day.
VALUES: dict[str, Any] = {
    "barcode": "96385074",
    "date": "2025-02-05",
    "from": "2025-02-05",
    "language": "en",
    # What a device has after its first transaction.
    "last_pulled_at": "2",
    "migration": '{"from": 1, "tables": ["products"], "columns": []}',
    "schema_version": "2",
    "search": "chicken",
    "to": "2025-02-05",
}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Rows:
    """The ids of a device's rows of one kind."""

    live: list[str] = dataclasses.field(default_factory=list)
    deleted: list[str] = dataclasses.field(default_factory=list)

    @property
    def one_of_each(self) -> list[str]:
        """A live and a deleted one."""
        return [self.live[-1], self.deleted[-1]]


World = dict[str, Rows]


@dataclass(frozen=True)
class Slot:
    """A place for an id in a call's path, query or body, and the kind of row that it refers to."""

    place: str
    keys: tuple[Any, ...]
    kind: str


@dataclass
class Call:
    """A request as the document describes it; `works` says if it succeeds with the caller's ids."""

    method: str
    path: str
    query: dict[str, Any]
    body: Any
    slots: list[Slot]
    works: bool = True
    needs_token: bool = True

    def send(self, phone: Api, ids: dict[Slot, str]) -> Any:
        """Send the request with an id in each slot."""
        path, query, body = self.path, dict(self.query), copy.deepcopy(self.body)
        for slot, key_of_row in ids.items():
            if slot.place == "path":
                path = path.replace(f"{{{slot.keys[0]}}}", key_of_row)
            else:
                target = query if slot.place == "query" else body
                for key in slot.keys[:-1]:
                    target = target[key]
                target[slot.keys[-1]] = key_of_row
        return phone.request(self.method, f"{path}?{urlencode(query)}" if query else path, body)

    def own_ids(self, world: World) -> list[dict[Slot, str]]:
        """Return a device's own ids for all slots, one set for each row that the path may have."""
        chosen = {slot: world[slot.kind].live[-1] for slot in self.slots}
        in_path = [slot for slot in self.slots if slot.place == "path"]
        return [chosen | {slot: row} for slot in in_path for row in world[slot.kind].live] or [
            chosen
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query or ''} {self.body or ''}"


def calls() -> list[Call]:
    """Return the calls of the document, with each of their parameters and examples."""
    found = [
        call
        for path, item in docs.document()["paths"].items()
        for method, operation in item.items()
        for call in described(method.upper(), path, operation)
    ]
    assert len(found) > 20
    return found


def described(method: str, path: str, operation: dict[str, Any]) -> Iterator[Call]:
    """Yield the calls of one operation."""
    name = f"{method} {path}"
    parameters = operation.get("parameters", [])
    in_path = []
    for parameter in parameters:
        if parameter["in"] == "path" and path.startswith(EVERYBODYS):
            path = path.replace("{id}", str(FOOD["id"]))
        elif parameter["in"] == "path" and parameter["schema"].get("format") == "uuid":
            in_path.append(Slot("path", (parameter["name"],), kind_of(parameter["name"], path)))
        elif parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(values_of(parameter)[0]))
    in_query = [parameter for parameter in parameters if parameter["in"] == "query"]
    required = {
        p["name"]: values_of(p)[0]
        for p in in_query
        if p.get("required") or (path, p["name"]) in NEEDED
    }
    queries: list[tuple[dict[str, Any], list[Slot]]] = [(required, [])]
    for parameter in in_query:
        key = parameter["name"]
        if parameter["schema"].get("format") == "uuid":
            queries.append((required, [Slot("query", (key,), kind_of(key, path))]))
        elif (path, key) != OTHER_BODY:
            queries += [(required | {key: value}, []) for value in values_of(parameter)]
    for body, slots, works in bodies(name, path, operation):
        for query, named in queries:
            yield Call(
                method,
                path,
                query,
                body,
                [*in_path, *named, *slots],
                works and PREVIEW not in query,
                needs_token="security" in operation,
            )


def bodies(
    name: str, path: str, operation: dict[str, Any]
) -> Iterator[tuple[Any, list[Slot], bool]]:
    """Yield the bodies of an operation's examples, and for updates parts that may be refused."""
    if "requestBody" not in operation:
        yield None, [], True
        return
    content = operation["requestBody"]["content"]["application/json"]
    values = [example["value"] for example in content.get("examples", {}).values()]
    # Each row gets an id of its own.
    examples = [{key: value[key] for key in value if key != "id"} for value in values]
    assert examples, f"Give {name} an example of its body."
    schema = resolved(content["schema"])
    ids = [key for key in ids_of(schema) if key != NAMES_EVERYBODYS]
    slots = [list(slots_of(example, path)) for example in examples]
    shown = {key for listed in slots for slot in listed for key in slot.keys}
    for key in ids:
        known = key in shown or key in CHOSEN or "security" not in operation
        assert known, f"Give {name} an example of its body with {key}."
    # The example of a recovery key is nobody's.
    work = ["recovery_key" not in example for example in examples]
    yield from zip(examples, slots, work, strict=True)
    if name.startswith(("PUT", "PATCH")):
        fields = schema.get("properties", {})
        flags = [key for key, field in fields.items() if field.get("type") == "boolean"]
        parts = [{}, *({key: flag} for key in flags for flag in (True, False))]
        yield from ((part, [], False) for part in parts)
        for key in ids:
            yield {}, [Slot("body", (key,), kind_of(key, path))], False


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = docs.document()["components"]["schemas"][name] if name else schema
    return found


def ids_of(schema: dict[str, Any], name: str = "") -> Iterator[str]:
    """Yield the names of a body's fields that are ids, at any depth."""
    schema = resolved(schema)
    if schema.get("format") == "uuid":
        yield name
    for key, inner in schema.get("properties", {}).items():
        yield from ids_of(inner, key)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from ids_of(inner, name)
    for inner in (*schema.get("allOf", []), *schema.get("oneOf", []), *schema.get("anyOf", [])):
        yield from ids_of(inner, name)


def slots_of(value: Any, path: str, keys: tuple[Any, ...] = ()) -> Iterator[Slot]:
    """Yield the places of ids in an example, except those that the client chooses."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from slots_of(inner, path, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from slots_of(inner, path, (*keys, number))
    elif isinstance(value, str) and UUID.fullmatch(value):
        named = [key for key in keys if isinstance(key, str)]
        if named[-1] == "deleted":
            # A list of ids under the name of its table.
            yield Slot("body", keys, f"/v1/{named[-2].replace('_', '-')}")
        elif named[-1] not in (*CHOSEN, NAMES_EVERYBODYS):
            yield Slot("body", keys, kind_of(named[-1], path))


def kind_of(name: str, path: str) -> str:
    """Return the kind of row that a field or a parameter refers to."""
    own = RECIPES if path == RECIPES else path.partition("/{")[0]
    kind = own if name == "id" else NAMED_BY.get(name)
    assert kind, f"Say in NAMED_BY what {name} of {path} names."
    assert kind in CREATED_BY, f"Say in CREATED_BY what creates {kind}."
    return kind


def values_of(parameter: dict[str, Any]) -> list[Any]:
    """Return values of a parameter that is not an id."""
    name, schema = parameter["name"], parameter["schema"]
    if name in VALUES:
        return [VALUES[name]]
    found = schema.get("enum") or [schema.get("default")]
    assert found != [None], f"Give the parameter {name} a value in VALUES."
    return list(found)


def create_phones(phone: Api, live: list[str], deleted: list[str]) -> Rows:
    """Have phones with these ids join and call, and sign some out; return the ids of all.

    There is a code and a recovery key too.
    """
    for phone_id in [*live, *deleted]:
        code = phone.post("/v1/auth/pairing-code").json()["code"]
        joined = Api().post(PAIR, {"code": code, "phone_id": phone_id, "name": "Pixel 9"})
        assert Api(token=joined.json()["token"]).get(PHONES).status_code == 200
    for phone_id in deleted:
        assert phone.delete(f"{PHONES}/{phone_id}").status_code == 204
    for path in ("/v1/auth/pairing-code", "/v1/auth/recovery-key"):
        assert phone.post(path).status_code == 201
    assert phone.device is not None
    return Rows([str(phone.device.pk), *live], deleted)


def create_rows(phone: Api, another_day: str = ANOTHER_DAY) -> World:
    """Create a live and a deleted row of each kind from every example; return their ids."""
    world: World = {PHONES: create_phones(phone, [str(uuid.uuid4())], [str(uuid.uuid4())])}
    creating = [call for call in calls() if call.method == "POST" and not call.query]
    for kind, path in CREATED_BY.items():
        if kind in (PHONES, RECIPES, ITEMS):
            continue
        rows = world[kind] = Rows()
        for call in creating:
            if call.path != path:
                continue
            ids = call.own_ids(world)[-1]
            for listed in (rows.deleted, rows.live):
                response = call.send(phone, ids)
                assert response.status_code == 201, (str(call), response.content)
                listed.append(response.json()["id"])
                if listed is rows.deleted:
                    assert phone.delete(f"{kind}/{listed[-1]}").status_code == 204
        if kind == ONE_A_DAY:
            moved = phone.patch(f"{kind}/{rows.live[-1]}", {"date": another_day})
            assert moved.status_code == 200
        assert rows.live, f"Nothing creates {kind}: mend CREATED_BY."
    return world | create_recipes(phone, world["/v1/products"].live[-1])


def create_recipes(phone: Api, ingredient: str) -> World:
    """Make a live and a deleted recipe, and of the live one an item that is deleted."""
    recipes, items = Rows(), Rows()
    for listed in (recipes.deleted, recipes.live):
        product = phone.product(name="Soup")
        made = phone.recipe(product, {ingredient: 150})
        listed.append(product["id"])
        if listed is recipes.deleted:
            assert phone.delete(f"/v1/products/{product['id']}").status_code == 204
    [kept] = made["items"]
    both = {"servings": 2, "items": [kept, {"ingredient_id": ingredient, "grams": 10}]}
    path = f"/v1/products/{recipes.live[-1]}/recipe"
    _, other = phone.put(path, both).json()["items"]
    assert phone.put(path, made).status_code == 200
    items.live.append(kept["id"])
    items.deleted.append(other["id"])
    return {RECIPES: recipes, ITEMS: items}
