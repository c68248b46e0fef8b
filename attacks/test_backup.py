"""A backup that is made and restored as docs/operations.md says, on a new server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from countonme.server import embedded
from devices import tokens
from devices.models import Device, Phone
from tests.helpers.api import Api, new_phone
from tests.helpers.databases import connected, new_database, new_server, rows, schema
from tests.helpers.phones import another_phone, id_of, pair, status, try_pair
from tests.helpers.processes import ROOT
from tests.helpers.world import World, fill

READS = [
    "/v1/products?include=portions",
    "/v1/products?limit=2&offset=2",
    "/v1/products?search=creme",
    "/v1/products/{product}",
    "/v1/products/{product}/portions",
    "/v1/portions/{portion}",
    "/v1/food-entries?limit=200",
    "/v1/food-entries/{entry}",
    "/v1/stats/day/2025-02-05",
    "/v1/stats/daily?from=2025-02-01&to=2025-02-28",
]
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}
# A transaction id that the restored server has not reached yet, and SQL that uses up all ids before
# it: a block with an exception handler is a subtransaction, which takes an id when it writes.
LATER_XID = 5_000
USE_UP_XIDS = f"""
DO $$ BEGIN
    CREATE TEMPORARY TABLE written (id int) ON COMMIT DROP;
    FOR id IN pg_current_xact_id()::text::int + 1 .. {LATER_XID} - 1 LOOP
        BEGIN INSERT INTO written VALUES (id); EXCEPTION WHEN division_by_zero THEN END;
    END LOOP;
END $$
"""


class Backup(NamedTuple):
    """A dump, and the rows and answers of its database when it was made."""

    file: Path
    world: World
    answers: dict[str, dict[str, Any]]
    rows: dict[str, list[str]]
    latecomer: Api  # registered after the dump
    newcomer: Api  # joined the first device after the dump


@pytest.fixture(scope="module")
def backup(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Backup:
    file = tmp_path_factory.mktemp("backup") / "countonme.dump"
    with django_db_blocker.unblock(), new_database("source"):
        call_command("migrate", verbosity=0)
        world = fill()
        Device.objects.filter(pk=pk(world.working[0])).update(
            revised_in=LATER_XID, revised_at=timezone.now()
        )
        answers = {phone.token: read(phone) for phone in world.working}
        found = rows()
        run(dump_program(), "--format=custom", f"--file={file}", f"--dbname={address()}")
        newcomer = another_phone(world.working[0])
        return Backup(file, world, answers, found, latecomer=new_phone(), newcomer=newcomer)


@pytest.fixture(scope="module")
def restored_database(backup: Backup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the database that the backup was restored to."""
    with (
        new_server(tmp_path_factory.mktemp("restored") / "data") as server,
        connected(**server),
        new_database("restored"),
    ):
        restore = embedded.programs() / "pg_restore"
        target = f"--dbname={address()}"
        run(restore, "--exit-on-error", "--no-owner", target, str(backup.file))
        yield connection.settings_dict["NAME"]


@pytest.fixture
def restored(backup: Backup, restored_database: str, django_db_blocker: Any) -> Iterator[World]:
    """A copy of the restored database for each test, which Django uses."""
    with django_db_blocker.unblock(), new_database("copy", template=restored_database):
        yield backup.world


def run(program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], check=True)


def dump_program() -> Path:
    """Return the installed pg_dump if it has the server's major version, else the wheel's."""
    installed = shutil.which("pg_dump")
    if installed:
        told = subprocess.run([installed, "--version"], capture_output=True, check=True).stdout
        if b" %d." % connection.get_database_version()[0] in told:
            return Path(installed)
    return embedded.programs() / "pg_dump"


def address() -> str:
    """Return the connection string for libpq of the database that Django uses."""
    parameters = connection.get_connection_params()
    names = parameters.keys() & {"host", "port", "user", "password", "dbname"}
    return make_conninfo(**{name: parameters[name] for name in names})


def pk(phone: Api) -> Any:
    assert phone.device is not None
    return phone.device.pk


def revision(phone: Api) -> int:
    return Device.objects.get(pk=pk(phone)).revision


def read(phone: Api) -> dict[str, Any]:
    """Return the phone's answers by path: body and headers, without the request's id."""
    product = phone.get("/v1/products?include=portions").json()[0]
    ids = {
        "product": product["id"],
        "portion": product["portions"][0]["id"],
        "entry": phone.get("/v1/food-entries").json()[0]["id"],
    }
    answers = {}
    for path in (path.format(**ids) for path in READS):
        response = phone.get(path)
        assert response.status_code == 200, response.content
        headers = {name: text for name, text in response.items() if name != "X-Request-ID"}
        answers[path] = response.content, headers
    return answers


def run_statement_after_restore() -> None:
    """Run the statement that docs/operations.md tells operators to run after a restore."""
    documented = (ROOT / "docs" / "operations.md").read_text()
    [statement] = re.findall(r"^UPDATE devices\b.*?;", documented, re.DOTALL | re.MULTILINE)
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_it_works(backup: Backup, restored: World) -> None:
    assert rows() == backup.rows


def test_nothing_is_left_to_migrate(backup: Backup, restored: World) -> None:
    out = StringIO()
    call_command("migrate", stdout=out)
    assert "No migrations to apply." in out.getvalue()
    assert rows() == backup.rows


def test_the_tables_are_those_of_a_new_database(restored: World) -> None:
    def without_conditions() -> list[str]:
        # PostgreSQL rewrites the conditions that it reads from a dump.
        return sorted(text.partition(" CHECK ")[0] for text in schema())

    found = without_conditions()
    with new_database("migrated"):
        call_command("migrate", verbosity=0)
        assert found == without_conditions()


def test_migrate_sets_the_timeouts_that_a_dump_lacks(restored: World) -> None:
    bounds = "SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase "
    bounds += "WHERE datname = current_database()"
    with connection.cursor() as cursor:
        cursor.execute(bounds)
        assert cursor.fetchone() == (0,)
        call_command("migrate", verbosity=0)
        cursor.execute(bounds)
        assert cursor.fetchone() == (1,)


def test_every_rule_holds(restored: World) -> None:
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue() == "Every rule holds.\n"


def test_every_answer_is_the_same(backup: Backup, restored: World) -> None:
    for phone in restored.working:
        assert read(phone) == backup.answers[phone.token]


def test_an_etag_from_before_is_still_current(backup: Backup, restored: World) -> None:
    phone = restored.working[0]
    for path, (_, headers) in backup.answers[phone.token].items():
        assert phone.get(path, **{"If-None-Match": headers["ETag"]}).status_code == 304


def test_phones_that_were_refused_still_are(restored: World) -> None:
    for phone in restored.refused:
        assert phone.get("/v1/products").status_code == 401


def test_a_rotation_whose_answer_was_lost_can_be_asked_for_again(restored: World) -> None:
    phone = restored.rotating
    assert phone.get("/v1/products").status_code == 401
    answer = phone.post("/v1/auth/rotate")
    assert answer.status_code == 200
    assert Api(phone.device, answer.json()["token"]).get("/v1/products").status_code == 200


def test_a_phone_that_joined_and_did_not_call_takes_the_place_of_the_one_that_moves(
    restored: World,
) -> None:
    assert status(restored.moving) == 200
    assert status(restored.joining) == 200
    assert status(restored.moving) == 401


def test_codes_and_keys_from_before_are_good(restored: World) -> None:
    for each in (restored.code, restored.key):
        assert pair(each).device == restored.working[0].device


def test_a_phone_that_joined_after_the_backup_is_unknown(backup: Backup, restored: World) -> None:
    assert status(backup.newcomer) == 401
    again = pair(restored.code, id_of(backup.newcomer))
    assert (status(again), status(backup.newcomer)) == (200, 401)


def test_keys_outlive_the_secret_key_and_codes_do_not(restored: World, settings: Any) -> None:
    settings.SECRET_KEY = "another one, after the first was lost with its machine"
    assert try_pair(restored.code).status_code == 404
    assert status(pair(restored.key)) == 200


def test_a_device_that_registered_after_the_backup_is_unknown(
    backup: Backup, restored: World
) -> None:
    assert backup.latecomer.get("/v1/products").status_code == 401
    again = backup.latecomer.post("/v1/auth/register", {"device_id": str(pk(backup.latecomer))})
    assert again.status_code == 200


def test_tokens_outlive_the_secret_key(restored: World, settings: Any) -> None:
    settings.SECRET_KEY = "another one, after the first was lost with its machine"
    phone = restored.working[0]
    assert phone.get("/v1/products").status_code == 200
    hmac = Phone.objects.values_list("token_hmac", flat=True).get(device=pk(phone), id=pk(phone))
    assert tokens.signer.is_current(str(hmac))


def test_every_write_raises_the_revision(restored: World) -> None:
    for phone in restored.working:
        before = revision(phone)
        entry = phone.entry()
        assert revision(phone) == before + 1
        assert phone.patch(f"/v1/food-entries/{entry['id']}", {"kcal": 1}).status_code == 200
        assert phone.delete(f"/v1/food-entries/{entry['id']}").status_code == 204
        assert revision(phone) == before + 3


def test_a_write_raises_the_revision_if_its_transaction_id_was_used_before(restored: World) -> None:
    phone = restored.working[0]
    before = revision(phone)
    with connection.cursor() as cursor:
        cursor.execute(USE_UP_XIDS)
        with transaction.atomic():
            cursor.execute("SELECT pg_current_xact_id()::text::int")
            assert cursor.fetchone() == (LATER_XID,)
            cursor.execute("UPDATE food_entries SET kcal = 7 WHERE device_id = %s", [pk(phone)])
            cursor.execute("UPDATE products SET kcal_100g = 7 WHERE device_id = %s", [pk(phone)])
    assert revision(phone) == before + 1


def test_an_etag_from_after_the_backup_is_not_current(backup: Backup, restored: World) -> None:
    """After the restore, the device comes to the same revision with other rows."""
    phone = restored.working[0]
    day = "/v1/stats/day/2025-02-05"
    with transaction.atomic():
        phone.entry(kcal=1)
        lost = phone.get(day)
        transaction.set_rollback(True)
    run_statement_after_restore()
    phone.entry(kcal=2)
    answer = phone.get(day, **{"If-None-Match": lost["ETag"]})
    assert answer.status_code == 200
    assert answer.content != lost.content


def test_every_phone_pulls_everything_again(restored: World) -> None:
    live = Device.objects.filter(erased_at=None)
    before = dict(live.values_list("pk", "revision"))
    run_statement_after_restore()
    for device in live:
        assert device.purged_revision == device.revision > before[device.pk] + 999_999
