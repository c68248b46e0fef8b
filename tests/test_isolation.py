"""No device sees or touches the rows of another: every call of the OpenAPI document is tried.

A row of another device is answered like a row that never existed: byte for byte, with as many
queries, even if the other device has the same ids as the calling one. A call, a parameter or a
field that is new in the document is tried too. If the test can't fill it in, it fails and says what
to add here or in the schema.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from catalog.serializers import FOOD
from countonme.api import docs
from countonme.scope.models import device_scoped_models
from devices import codes
from devices.models import PairingCode, Phone, RecoveryKey
from tests.helpers.api import Api, new_phone, twin
from tests.helpers.catalog import new_food
from tests.helpers.sql import next_transaction

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
VARYING = {"X-Request-ID", "ETag"}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECRET = re.compile(
    r'(?<="token":")[^"]+|(?<="code":")[^"]+|(?<="recovery_key":")[^"]+'
    r'|(?<=token_hash": ")[^"]+|(?<=token_hmac": ")[^"]+|(?<="digest": ")[^"]+'
    # The id of a recovery key, which nobody is told.
    r'|(?<="id": )\d+'
)


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


def stored(*phones: Api) -> list[list[str]]:
    """Return all that the database holds of each phone."""
    tables = [model._meta.db_table for model in device_scoped_models()]
    tables += [model._meta.db_table for model in (Phone, PairingCode, RecoveryKey)]
    owners = {"devices": "id"} | dict.fromkeys(tables, "device_id")
    selects = [
        f"SELECT {owner}, to_jsonb({table})::text FROM {table} WHERE {owner} = ANY(%(ids)s)"
        for table, owner in owners.items()
    ]
    found: dict[Any, list[str]] = {phone.device.pk: [] for phone in phones if phone.device}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), {"ids": list(found)})
        for owner, row in cursor.fetchall():
            found[owner].append(row)
    return [sorted(each) for each in found.values()]


@dataclass(frozen=True)
class Outcome:
    """What a call did; all ids that the caller did not know before are replaced by one word."""

    status: int
    headers: dict[str, str]
    content: str
    queries: int
    left: list[str] | None


class Pair:
    """Two phones: one that calls, and another whose rows must not matter and must not change.

    Args:
        alike: whether the other phone also has rows under all ids of the first.
    """

    def __init__(self, alike: bool) -> None:
        self.is_alike = alike
        self.phone, self.other = new_phone(), new_phone()
        self.mine, self.theirs = create_rows(self.phone), World()
        self.remember()

    def create_others_rows(self) -> None:
        """Create rows of the other phone."""
        if self.is_alike:
            self.other = twin(self.phone)
            # An export has no tokens: all phones but the first came in as signed out.
            joined = Phone.objects.filter(device=self.other.device).exclude(id=F("device_id"))
            joined.delete()
            create_phones(self.other, self.mine[PHONES].live, self.mine[PHONES].deleted)
        self.theirs = create_rows(self.other, A_THIRD_DAY)
        self.remember()

    def remember(self) -> None:
        """Remember the stored rows, with which `outcome()` compares."""
        next_transaction()
        self.before, self.beside = stored(self.phone, self.other)
        self.known = set(UUID.findall("".join(self.before)))

    def outcome(self, call: Call, ids: dict[Slot, str], caller: Api | None = None) -> Outcome:
        """Send a call, check that the other device's rows are unchanged, and roll back."""
        with transaction.atomic():
            with CaptureQueriesContext(connection) as queries:
                response = call.send(caller or self.phone, ids)
            after, beside = stored(self.phone, self.other)
            assert beside == self.beside, str(call)
            transaction.set_rollback(True)
        return Outcome(
            response.status_code,
            {name: self.alike(response[name]) for name in response.headers if name not in VARYING},
            self.alike(text_of(response)),
            len(queries),
            None if after == self.before else sorted(self.alike(row) for row in after),
        )

    def alike(self, text: str) -> str:
        """Return a text with all secrets, and all ids that are not the caller's, made alike."""
        own = UUID.sub(lambda found: found[0] if found[0] in self.known else "unknown", text)
        return SECRET.sub("secret", own)


def text_of(response: Any) -> str:
    """Return an answer as text: of a ZIP, the files that are in it."""
    if response.headers.get("Content-Type") != "application/zip":
        return str(response.content.decode())
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    return "".join(f"{name}: {archive.read(name).decode()}" for name in archive.namelist())


@pytest.fixture(params=["all ids apart", "all ids alike"])
def pair(db: None, request: pytest.FixtureRequest, settings: Any) -> Iterator[Pair]:
    settings.PAIR_THROTTLE = ""
    with time_machine.travel("2025-02-05T12:00:00Z", tick=False):
        new_food(source_id=FOOD["source_id"], barcode=VALUES["barcode"])
        yield Pair(alike=request.param == "all ids alike")


def test_it_works(pair: Pair) -> None:
    """Every call works with the caller's own ids, so that it is others' ids that make it fail."""
    pair.create_others_rows()
    for call in calls():
        if call.needs_token and call.works:
            for ids in call.own_ids(pair.mine):
                found = pair.outcome(call, ids)
                assert 200 <= found.status < 300, f"Mend the example of {call}: {found.content}"


def test_another_devices_id_is_answered_like_one_that_never_existed(pair: Pair) -> None:
    pair.create_others_rows()
    for call in calls():
        for slot in call.slots:
            # The row of the path may decide how other ids are answered: each is tried with them.
            for ids in call.own_ids(pair.mine)[-1 if slot.place == "path" else 0 :]:
                never = pair.outcome(call, ids | {slot: str(uuid.uuid4())})
                assert never.status < 400 or never.left is None, str(call)
                if call.works:
                    own = pair.outcome(call, ids)
                    assert never != own, str(call)
                for row in pair.theirs[slot.kind].one_of_each:
                    assert pair.outcome(call, ids | {slot: row}) == never, (str(call), slot)


def test_an_id_of_another_device_can_be_chosen(pair: Pair) -> None:
    pair.create_others_rows()
    for call in calls():
        for kind in [kind for kind, path in CREATED_BY.items() if path == call.path]:
            if call.method == "POST" and kind != PHONES:
                chosen = Slot("body", ("id",), kind)
                ids = call.own_ids(pair.mine)[-1]
                never = pair.outcome(call, ids | {chosen: str(uuid.uuid4())})
                assert never.status == 201, str(call)
                for row in pair.theirs[kind].one_of_each:
                    assert pair.outcome(call, ids | {chosen: row}) == never, str(call)
                for row in pair.mine[kind].deleted:
                    own = pair.outcome(call, ids | {chosen: row})
                    assert (own.status, own.left) == (409, None)
                    assert own.content == '{"detail":"ID already in use"}'


def test_a_phone_may_have_an_id_that_a_phone_of_another_device_has(pair: Pair) -> None:
    pair.create_others_rows()
    code = pair.phone.post("/v1/auth/pairing-code").json()["code"]
    key = pair.phone.post("/v1/auth/recovery-key").json()["recovery_key"]
    pair.remember()
    chosen = Slot("body", ("phone_id",), PHONES)
    for body in ({"code": code}, {"code": key}, {"code": key, "revoke_others": True}):
        call = Call("POST", PAIR, {}, body, [])
        never = pair.outcome(call, {chosen: str(uuid.uuid4())}, Api())
        assert never.status == 200
        for row in pair.theirs[PHONES].live + pair.theirs[PHONES].deleted:
            assert pair.outcome(call, {chosen: row}, Api()) == never, str(call)
        for row in pair.mine[PHONES].live + pair.mine[PHONES].deleted:
            own = pair.outcome(call, {chosen: row}, Api())
            assert (own.status, own.left) == (409, None)
            assert own.content == '{"detail":"ID already in use"}'


def test_another_devices_key_proves_as_little_as_one_that_never_existed(pair: Pair) -> None:
    pair.create_others_rows()
    path = "/v1/auth/recovery-key"
    theirs, own = (phone.post(path).json()["recovery_key"] for phone in (pair.other, pair.phone))
    pair.remember()
    never = codes.printed_key(codes.new_key())
    for method in ("POST", "DELETE"):
        found, expected, shown = (
            pair.outcome(Call(method, path, {}, {"recovery_key": key}, []), {})
            for key in (theirs, never, own)
        )
        assert found == expected
        assert (found.status, found.left) == (409, None)
        assert shown.status in (201, 204)


def test_what_others_own_changes_no_answer(pair: Pair) -> None:
    tried = [
        (call, ids)
        for call in calls()
        if call.needs_token and call.works
        for ids in call.own_ids(pair.mine)[-1:]
    ]
    before = [pair.outcome(call, ids) for call, ids in tried]
    pair.create_others_rows()
    for (call, ids), found in zip(tried, before, strict=True):
        assert pair.outcome(call, ids) == found, str(call)


def test_without_a_token_nothing_is_answered(pair: Pair) -> None:
    for call in calls():
        if call.needs_token:
            assert_refused(pair, call, Api())


def test_with_a_token_that_is_not_good_nothing_is_answered(pair: Pair) -> None:
    """Nor with one of a phone that was signed out, or put together from parts of good ones."""
    pair.create_others_rows()
    once = {(call.method, call.path): call for call in calls() if call.needs_token}
    assert len(once) > 40
    tokens = not_good(pair)
    for call in once.values():
        for reason, token in tokens.items():
            assert_refused(pair, call, Api(token=token), reason)


def assert_refused(pair: Pair, call: Call, caller: Api, reason: str = "") -> None:
    found = pair.outcome(call, call.own_ids(pair.mine)[-1], caller)
    assert (found.status, found.left) == (401, None), (str(call), reason)
    assert found.content == '{"detail":"Invalid or expired token"}'
    assert found.headers["WWW-Authenticate"] == "Bearer"


def not_good(pair: Pair) -> dict[str, str]:
    """Return tokens that are refused, by the reason; both devices have a phone of the same id."""
    phone_id = uuid.uuid4()
    joined = {}
    for phone in (pair.phone, pair.other):
        code = phone.post("/v1/auth/pairing-code").json()["code"]
        answer = Api().post(PAIR, {"code": code, "phone_id": str(phone_id)})
        joined[phone] = Api(phone.device, answer.json()["token"])
        assert joined[phone].get(PHONES).status_code == 200
    signed_out, theirs = joined.values()
    assert pair.phone.delete(f"{PHONES}/{phone_id}").status_code == 204
    pair.remember()
    assert pair.phone.device is not None
    assert pair.other.device is not None
    own, others, joint = (
        key.bytes for key in (pair.phone.device.pk, pair.other.device.pk, phone_id)
    )
    secret, of_others = (phone.token.partition(".")[2] for phone in (pair.phone, theirs))
    return {
        "its phone was signed out": signed_out.token,
        "a first phone's id is written out": token_of(own + own, secret),
        "another phone's secret": token_of(own + joint, secret),
        "the phone of another device": token_of(own + joint, of_others),
        "the first phone of another device": token_of(own + others, of_others),
        "the ids are swapped": token_of(joint + others, of_others),
        "the phone's id is left out": token_of(others, of_others),
    }


def token_of(ids: bytes, secret: str) -> str:
    return f"{base64.urlsafe_b64encode(ids).decode().rstrip('=')}.{secret}"


def test_quotas_count_the_own_rows_alone(phone: Api, other: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE, settings.MAX_PORTIONS_PER_PRODUCT = 4, 2
    settings.MAX_ENTRIES_PER_DAY = 3
    create_rows(other)
    create_rows(phone)


@pytest.mark.parametrize(
    ("path", "more", "advice"),
    [
        ("/v1/notes/{id}", {}, "Say in CREATED_BY what creates /v1/notes"),
        ("/v1/products", {"in": "query", "name": "note_id"}, "Say in NAMED_BY what note_id"),
        ("/v1/products", {"in": "query", "name": "mood", "schema": {}}, "the parameter mood a"),
        ("/v1/days/{mood}", {"in": "path", "name": "mood", "schema": {}}, "the parameter mood a"),
    ],
)
def test_a_parameter_that_it_can_not_fill_in_is_named(
    path: str, more: dict[str, Any], advice: str
) -> None:
    parameter = {"in": "path", "name": "id", "schema": {"format": "uuid"}} | more
    with pytest.raises(AssertionError, match=advice):
        list(described("GET", path, {"parameters": [parameter]}))


@pytest.mark.parametrize(
    ("examples", "advice"),
    [
        ({}, "Give POST /v1/notes an example"),
        ({"A note": {"value": {"note_id": str(uuid.uuid4())}}}, "Say in NAMED_BY what note_id"),
        ({"A note": {"value": {}}}, "Give POST /v1/notes an example of its body with product_id"),
    ],
)
def test_a_body_that_it_can_not_fill_in_is_named(examples: dict[str, Any], advice: str) -> None:
    schema = {"$ref": "#/components/schemas/FoodEntryRequest"}
    body = {"content": {"application/json": {"schema": schema, "examples": examples}}}
    with pytest.raises(AssertionError, match=advice):
        list(described("POST", "/v1/notes", {"security": [], "requestBody": body}))
