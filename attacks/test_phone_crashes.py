"""Workers that are killed between two lines of pairing, moving, rotating and recovering.

Each call is stopped where it writes a phone, in the middle of its transaction, and its worker is
killed there. Nothing of the call may stay, and the phone, which asks again, ends as it wanted to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from attacks.client import LOST, Answer, Phone
from attacks.crashes import kill, workers
from attacks.locks import waiting_for_locks
from attacks.servers import Start
from tests.helpers.processes import Run, query, wait_until

ME = "/v1/auth/device"


@pytest.fixture(scope="module")
def server(start: Start) -> Run:
    """One server for all tests of this file. gunicorn starts other workers for those killed."""
    return start()


@pytest.fixture
def killed(
    server: Run, session: psycopg.Connection[Any], phone: Phone
) -> Callable[[Phone, Callable[[Phone], Answer]], None]:
    """A function that sends a phone's call, and kills all workers where it writes a phone."""

    def killed(caller: Phone, call: Callable[[Phone], Answer]) -> None:
        before = stored(server, phone.device_id)
        session.execute("LOCK TABLE phones IN SHARE MODE")
        answers: list[Answer] = []
        sender = caller.on_new_connection()
        thread = threading.Thread(target=lambda: answers.append(call(sender)), daemon=True)
        thread.start()
        wait_until(lambda: waiting_for_locks(server) == 1, 5)
        kill(workers(server))
        thread.join(30)
        session.rollback()
        assert answers == [LOST]
        for kept_alive in (phone, caller):
            kept_alive.connection.close()
        wait_until(lambda: waiting_for_locks(server) == 0, 5)
        wait_until(lambda: Phone(server.port).get("/health/ready").status == 200, 30)
        assert stored(server, phone.device_id) == before

    return killed


def stored(server: Run, device_id: str) -> list[Any]:
    """Return what is stored of a device's phones, codes and keys, and of itself."""
    of_device = f"WHERE device_id = '{device_id}'"
    return query(
        server.data_dir,
        f"""
        SELECT to_jsonb(devices)::text FROM devices WHERE id = '{device_id}'
        UNION ALL (SELECT (to_jsonb(phones) - 'last_seen_at')::text FROM phones {of_device}
            ORDER BY id)
        UNION ALL SELECT to_jsonb(pairing_codes)::text FROM pairing_codes {of_device}
        UNION ALL (SELECT to_jsonb(recovery_keys)::text FROM recovery_keys {of_device} ORDER BY id)
        """,
    )


def phones(phone: Phone) -> set[str]:
    """Return the ids of the phones that are signed in."""
    return {listed["id"] for listed in phone.get("/v1/auth/phones").json()}


def another(phone: Phone) -> Phone:
    """Return a new phone, which is to join the device of this one."""
    new = Phone(phone.connection.port)
    new.device_id = phone.device_id
    return new


def test_a_code_is_good_still_if_pairing_was_interrupted(phone: Phone, killed: Any) -> None:
    code, new, other = phone.get_code(), another(phone), another(phone)
    killed(new, lambda phone: phone.pair(code))
    assert new.pair(code).status == 200
    assert new.get(ME).status == 200
    assert other.pair(code).status == 404
    assert phones(phone) == {phone.phone_id, new.phone_id}


def test_a_token_is_good_still_if_asking_again_was_interrupted(phone: Phone, killed: Any) -> None:
    code, new = phone.get_code(), another(phone)
    assert new.pair(code).status == 200
    killed(new, lambda phone: phone.pair(code))
    assert new.get(ME).status == 200
    assert phones(phone) == {phone.phone_id, new.phone_id}


def test_an_interrupted_first_call_moves_nobody_and_the_next_one_does(
    phone: Phone, killed: Any
) -> None:
    new = another(phone)
    assert new.pair(phone.get_code(move=True)).status == 200
    killed(new, lambda phone: phone.get(ME))
    assert phone.get(ME).status == 200
    assert new.get(ME).status == 200
    assert phone.get(ME).status == 401
    assert phones(new) == {new.phone_id}


def test_an_interrupted_recovery_signs_nobody_out_and_the_next_one_does(
    phone: Phone, killed: Any
) -> None:
    key, code, owner = phone.get_key(), phone.get_code(), another(phone)
    later = phone.get_key()
    killed(owner, lambda phone: phone.pair(key, revoke_others=True))
    assert phone.get(ME).status == 200
    assert owner.pair(key, revoke_others=True).status == 200
    assert owner.get(ME).status == 200
    assert phone.get(ME).status == 401
    for void in (code, later):
        assert another(phone).pair(void).status == 404
    assert phones(owner) == {owner.phone_id}


def test_the_old_token_rotates_again_if_rotating_was_interrupted(phone: Phone, killed: Any) -> None:
    killed(phone, lambda phone: phone.post("/v1/auth/rotate"))
    old = phone.on_new_connection()
    assert old.get(ME).status == 200
    phone.token = phone.post("/v1/auth/rotate").json()["token"]
    assert phone.get(ME).status == 200
    assert old.get(ME).status == 401


def test_an_interrupted_sign_out_signs_nobody_out(phone: Phone, killed: Any) -> None:
    new = another(phone)
    assert new.pair(phone.get_code()).status == 200
    assert new.get(ME).status == 200
    path = f"/v1/auth/phones/{new.phone_id}"
    killed(phone, lambda phone: phone.delete(path))
    new.connection.close()
    assert new.get(ME).status == 200
    assert phone.delete(path).status == 204
    assert new.get(ME).status == 401


def test_a_phone_whose_answer_was_lost_with_the_server_asks_again(
    server: Run, phone: Phone
) -> None:
    code, new, other = phone.get_code(move=True), another(phone), another(phone)
    assert new.on_new_connection().pair(code).status == 200
    kill(workers(server))
    phone.connection.close()
    wait_until(lambda: Phone(server.port).get("/health/ready").status == 200, 30)
    assert other.pair(code).status == 404
    assert new.pair(code).status == 200
    assert new.get(ME).status == 200
    assert phone.get(ME).status == 401
    assert phones(new) == {new.phone_id}
