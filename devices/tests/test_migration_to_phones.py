"""The migrations that give a device phones, over devices that were registered before them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import override_settings

from devices import tokens
from devices.models import Device, PairingCode, Phone, RecoveryKey
from tests.helpers.api import Api
from tests.helpers.databases import new_database, schema
from tests.helpers.phones import (
    another_phone,
    device_of,
    get_code,
    get_key,
    pair,
    row_of,
    sign_out,
    status,
    try_pair,
)
from tests.helpers.sql import execute, sql

BEFORE = ("devices", "0003_roles")
REGISTERED = datetime(2025, 2, 5, 8, 30, tzinfo=UTC)
SEEN = datetime(2025, 2, 6, 12, 0, 0, 250_000, tzinfo=UTC)
LOST_KEY = "a key that was lost with its machine, " * 2

# A token, its hash and its HMAC as the version before made them, and the key of that server.
OLD_KEY = "the key of the version before phones, " * 2
OLD_TOKEN = "XwvrhWYPQMCISxcvG_RhYQ.yP93pGT6A0Yy3wiPqZzWAR-1MRYv_YjJ-R3Tqn2Oaoo"
OLD_HASH = "$2b$04$OWQp16zgHDYroGfUZQYtKOlyr.RQRmgnrsDt0i8.nb5GvLUgkzabq"
OLD_HMAC = "d7c86037:84a7eba3a23fb0fe200d30acd4319ce8b064eaeee902b249f2ca7252ff7a2c53"

INSERT = """
INSERT INTO devices (
    id, token_hash, token_hmac, previous_token_hash, previous_token_hmac, created_at, last_seen_at,
    blocked_at, blocked_reason, erased_at, revision, purged_revision
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 7, 3)
"""
PHONES = """
SELECT to_jsonb(phones)::text FROM phones WHERE signed_out_at IS NULL ORDER BY device_id, id
"""


class Old:
    """A device that the version before registered, with its current and its previous token."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        device = Device(pk=self.id)
        self.current = Api(device, tokens.generate(self.id, self.id))
        self.previous = Api(device, tokens.generate(self.id, self.id))

    def insert(self, *, has_token: bool = True, has_previous: bool = False, **values: Any) -> None:
        """Write its row as the version before did."""
        row: dict[str, Any] = {"created_at": REGISTERED, "last_seen_at": SEEN, "blocked_at": None}
        row |= {"blocked_reason": "", "erased_at": None, **values}
        execute(
            INSERT,
            self.id,
            *(stored(self.current.token) if has_token else (None, None)),
            *(stored(self.previous.token) if has_previous else (None, None)),
            *row.values(),
        )


Devices = dict[str, Old]


def stored(token: str) -> tuple[str, str]:
    """Return the hash and the HMAC of a token, which are made as ever."""
    return tokens.hash_secret(token), tokens.signer.sign(token)


def back() -> None:
    """Take the migrations back, as the command does but for what it does around them."""
    MigrationExecutor(connection).migrate([BEFORE])


def forward() -> None:
    """Apply them, and all that came later."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def rows() -> dict[str, dict[str, Any]]:
    """Return the rows of devices as JSON, by their ids."""
    found = (json.loads(row) for (row,) in sql("SELECT to_jsonb(devices)::text FROM devices"))
    return {row["id"]: row for row in found}


def is_good(phone: Api, *, is_previous: bool = False) -> bool:
    """Return whether the version before would know a token by its device's columns."""
    assert phone.device is not None
    row, name = rows()[str(phone.device.pk)], "previous_token" if is_previous else "token"
    if row[f"{name}_hash"] is None:
        return False
    by_hmac = tokens.signer.check(phone.token, row[f"{name}_hmac"])
    assert by_hmac == tokens.check_secret(phone.token, row[f"{name}_hash"])
    return by_hmac


@pytest.fixture(scope="module")
def registered(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[str, Devices]]:
    """The name of a database of the version before, and the devices that it has."""
    kinds = ("current", "rotated", "unseen", "blocked", "revoked", "erased", "of a lost key")
    devices = {kind: Old() for kind in kinds}
    with django_db_blocker.unblock(), new_database("before_phones"):
        call_command("migrate", verbosity=0)
        back()
        devices["current"].insert()
        devices["rotated"].insert(has_previous=True)
        devices["unseen"].insert(last_seen_at=None)
        devices["blocked"].insert(blocked_at=SEEN, blocked_reason="spam")
        devices["revoked"].insert(has_token=False)
        devices["erased"].insert(
            has_token=False, created_at=None, last_seen_at=None, erased_at=SEEN
        )
        with override_settings(SECRET_KEY=LOST_KEY):
            devices["of a lost key"].insert(has_previous=True)
        connection.close()
        yield connection.settings_dict["NAME"], devices


@pytest.fixture
def devices(registered: tuple[str, Devices], django_db_blocker: Any) -> Iterator[Devices]:
    """The devices, in a copy of that database for each test."""
    name, found = registered
    with django_db_blocker.unblock(), new_database("copy", template=name):
        yield found


def test_it_works(devices: Devices) -> None:
    forward()
    accepted = {kind for kind, device in devices.items() if status(device.current) == 200}
    assert accepted == {"current", "rotated", "unseen", "of a lost key"}
    assert all(status(device.previous) == 401 for device in devices.values())


def test_a_token_that_the_version_before_made_is_accepted(devices: Devices, settings: Any) -> None:
    ids = tokens.parse(OLD_TOKEN)
    assert ids is not None
    execute(INSERT, ids[0], OLD_HASH, OLD_HMAC, None, None, REGISTERED, SEEN, None, "", None)
    forward()
    settings.SECRET_KEY_FALLBACKS = [OLD_KEY]
    assert status(Api(token=OLD_TOKEN)) == 200


def test_the_hash_that_the_version_before_made_outlives_its_key(devices: Devices) -> None:
    ids = tokens.parse(OLD_TOKEN)
    assert ids is not None
    execute(INSERT, ids[0], OLD_HASH, OLD_HMAC, None, None, REGISTERED, SEEN, None, "", None)
    forward()
    assert status(Api(token=OLD_TOKEN)) == 200


@pytest.mark.parametrize("kind", ["rotated", "of a lost key"])
def test_a_previous_token_may_rotate_until_the_new_one_is_used(devices: Devices, kind: str) -> None:
    forward()
    device = devices[kind]
    again = device.previous.post("/v1/auth/rotate")
    assert again.status_code == 200
    assert status(device.current) == 401
    assert status(Api(token=again.json()["token"])) == 200
    assert device.previous.post("/v1/auth/rotate").status_code == 401


def test_a_previous_token_is_dead_once_the_new_one_is_used(devices: Devices) -> None:
    forward()
    device = devices["rotated"]
    assert status(device.current) == 200
    assert device.previous.post("/v1/auth/rotate").status_code == 401


def test_a_blocked_device_may_be_unblocked(devices: Devices) -> None:
    forward()
    device_of(devices["blocked"].current).unblock()
    assert status(devices["blocked"].current) == 200


def test_the_first_phone_is_its_device(devices: Devices) -> None:
    forward()
    phone = row_of(devices["current"].current)
    assert (phone.id, phone.created_at, phone.last_seen_at) == (phone.device_id, REGISTERED, SEEN)
    assert (phone.name, phone.signed_out_at, phone.joined_by) == (None, None, None)
    assert row_of(devices["unseen"].current).last_seen_at is None


def test_a_device_whose_token_was_revoked_has_a_phone_that_is_signed_out_now(
    devices: Devices,
) -> None:
    forward()
    phone = row_of(devices["revoked"].current)
    assert phone.signed_out_at is not None
    assert datetime.now(UTC) - phone.signed_out_at < timedelta(hours=1)
    token = phone.issue_token()
    assert status(Api(token=token)) == 200


def test_an_erased_device_has_none(devices: Devices) -> None:
    forward()
    assert not Phone.objects.filter(device=devices["erased"].id).exists()
    assert Phone.objects.count() == len(devices) - 1


def test_devices_stay_otherwise_as_they_are(devices: Devices) -> None:
    before = rows()
    forward()
    after = rows()
    moved = ("token_hash", "token_hmac", "previous_token_hash", "previous_token_hmac")
    added = {"sign_outs": 0, "recovery_key_created_at": None}
    for row in before.values():
        for name in (*moved, "last_seen_at"):
            del row[name]
    assert after == {key: row | added for key, row in before.items()}


def test_every_rule_holds(devices: Devices) -> None:
    forward()
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue() == "Every rule holds.\n"


def test_back_again_all_is_as_it_was(devices: Devices) -> None:
    before, definitions = rows(), schema()
    forward()
    back()
    assert rows() == before
    assert schema() == definitions


def test_forward_again_all_is_as_at_the_first_time(devices: Devices) -> None:
    forward()
    phones = sql(PHONES)
    back()
    forward()
    assert sql(PHONES) == phones
    test_it_works(devices)


def test_back_again_tokens_are_good_that_were_used_meanwhile(devices: Devices) -> None:
    forward()
    for kind in ("current", "of a lost key", "rotated"):
        assert status(devices[kind].current) == 200
    back()
    for kind in ("current", "of a lost key", "rotated"):
        assert is_good(devices[kind].current)
        assert not is_good(devices[kind].previous, is_previous=True)


def test_back_again_a_token_is_good_that_was_rotated_meanwhile(devices: Devices) -> None:
    forward()
    old = devices["current"].current
    new = Api(old.device, old.post("/v1/auth/rotate").json()["token"])
    back()
    assert is_good(new)
    assert is_good(old, is_previous=True)
    forward()
    assert (status(old), status(new)) == (401, 200)


def test_back_again_the_time_is_that_of_the_phone_that_was_seen_last(devices: Devices) -> None:
    forward()
    phone = devices["current"].current
    later = SEEN + timedelta(days=300)
    with time_machine.travel(later, tick=False):
        another_phone(phone)
    back()
    found = rows()[str(devices["current"].id)]["last_seen_at"]
    assert datetime.fromisoformat(found) == later


def test_back_again_what_the_version_before_does_not_know_is_gone(devices: Devices) -> None:
    forward()
    phone = devices["current"].current
    second = pair(get_code(phone))
    assert status(second) == 200
    code, key = get_code(phone), get_key(phone)
    back()
    assert is_good(phone)
    forward()
    assert (status(phone), status(second)) == (200, 401)
    assert not PairingCode.objects.exists()
    assert not RecoveryKey.objects.exists()
    assert [try_pair(each).status_code for each in (code, key)] == [404, 404]
    assert phone.get("/v1/auth/device").json()["recovery_key_created_at"] is None


def test_back_again_a_first_phone_that_was_signed_out_is_refused(devices: Devices) -> None:
    forward()
    phone = devices["current"].current
    another_phone(phone)
    sign_out(phone)
    back()
    assert not is_good(phone)
    forward()
    assert status(phone) == 401


def test_back_again_a_device_whose_first_phone_was_forgotten_has_no_token(
    devices: Devices,
) -> None:
    forward()
    phone = devices["current"].current
    another_phone(phone)
    Phone.objects.filter(device=device_of(phone), id=device_of(phone).pk).delete()
    back()
    assert not is_good(phone)
    forward()
    assert status(phone) == 401


def test_back_again_a_device_that_was_erased_meanwhile_stays_so(devices: Devices) -> None:
    forward()
    phone = devices["current"].current
    assert phone.delete("/v1/auth/device").status_code == 204
    back()
    assert not is_good(phone)
    assert rows()[str(devices["current"].id)]["erased_at"] is not None
