"""No device sees or touches the rows of another: every call of the OpenAPI document is tried.

A row of another device is answered like a row that never existed: byte for byte, with as many
queries, even if the other device has the same ids as the calling one. A call, a parameter or a
field that is new in the document is tried too. If the test can't fill it in, it fails and says what
to add here or in the schema.
"""

from __future__ import annotations

import base64
import io
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from catalog.serializers import FOOD
from countonme.scope.models import device_scoped_models
from devices import codes
from devices.models import PairingCode, Phone, RecoveryKey
from tests.helpers.api import Api, new_phone, twin
from tests.helpers.calls import (
    A_THIRD_DAY,
    CREATED_BY,
    PAIR,
    PHONES,
    UUID,
    VALUES,
    Call,
    Slot,
    World,
    calls,
    create_phones,
    create_rows,
    described,
)
from tests.helpers.catalog import new_food
from tests.helpers.sql import next_transaction

VARYING = {"X-Request-ID", "ETag"}
SECRET = re.compile(
    r'(?<="token":")[^"]+|(?<="code":")[^"]+|(?<="recovery_key":")[^"]+'
    r'|(?<=token_hash": ")[^"]+|(?<=token_hmac": ")[^"]+|(?<="digest": ")[^"]+'
)


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
