"""The tables of devices can be sharded by device as they are (docs/scaling.md).

Their keys name the device, and each statement of a call is about one device, so that one shard
answers it. PostgreSQL itself tells: its planner deduces from a statement that a table is read for
one device, and Citus goes by that planner.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import InternalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.utils import IntegrityError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.serializers import FOOD
from countonme.scope.checks import FOREIGN_KEYS_IN_FORCE, UNIQUE_IN_FORCE
from devices import maintenance
from devices.management.commands import shard
from devices.models import Device
from products.models import Product
from tests.helpers.api import Api
from tests.helpers.calls import PAIR, VALUES, calls, create_rows
from tests.helpers.catalog import new_food
from tests.helpers.migrations import ALTER, own_migrations, parts, plain, sql_of
from tests.helpers.phones import get_code, get_key, try_pair
from tests.helpers.sql import sql

SHARDED = set(shard.statements())
DEVICES = Device._meta.db_table
LITERAL = r"'[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}'(?:::uuid)?"
UPDATED = re.compile(r'UPDATE "?(\w+)"? .*?\bSET\b(.*?)(?: FROM | WHERE |$)', re.DOTALL)
# The parts of a plan's node that say which rows it reads.
CONDITIONS = ("Index Cond", "Recheck Cond", "Filter", "Hash Cond", "Merge Cond")
# A code or a recovery key is all that is known of its device: every shard is asked for it.
ASKS_ALL = {("POST", PAIR)}
TRIGGERS = """
SELECT tgrelid::regclass::text, prosrc, array_remove(ARRAY[tgoldtable, tgnewtable], NULL)::text[]
FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal
"""

pytestmark = pytest.mark.django_db


def owner_of(table: str) -> str:
    return "id" if table == DEVICES else "device_id"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(statement: str) -> list[dict[str, Any]]:
    ((found,),) = sql(f"EXPLAIN (FORMAT JSON) {statement}".replace("%", "%%"))
    document = json.loads(found) if isinstance(found, str) else found
    return list(nodes(document[0]["Plan"]))


def faults(statement: str) -> list[str]:
    """Return why more than one shard would be needed for a statement, in words."""
    found = []
    set_of = UPDATED.match(statement)
    if set_of and set_of[1] in SHARDED and re.search(rf"\b{owner_of(set_of[1])}\b", set_of[2]):
        found.append("it sets the device")
    plan = plan_of(statement)
    tables = {node["Relation Name"] for node in plan if "Relation Name" in node}
    if tables & SHARDED and tables - SHARDED:
        found.append(f"it joins {tables & SHARDED} with {tables - SHARDED}")
    for node in plan:
        table = node.get("Relation Name", "")
        if table not in SHARDED:
            continue
        if node["Node Type"] == "ModifyTable":
            # An UPDATE's or a DELETE's rows are read by a node below.
            is_named = re.search(LITERAL, statement)
            if node["Operation"] == "Insert" and not is_named:
                found.append(f"it names no device of {table}")
            continue
        conditions = " ".join(str(node.get(name, "")) for name in CONDITIONS)
        if not re.search(rf"\b{owner_of(table)} = {LITERAL}", conditions):
            found.append(f"it reads {table} by {conditions or 'nothing'}")
    return found


def asked(queries: CaptureQueriesContext) -> Iterable[str]:
    """Return the statements that read or write tables, each kind once."""
    found = {}
    for query in queries.captured_queries:
        if re.match(r"\s*(SELECT|UPDATE|INSERT|DELETE|WITH)", query["sql"]):
            found[re.sub(LITERAL, "", query["sql"])] = query["sql"]
    return found.values()


def test_every_key_names_the_device() -> None:
    for table, columns, _ in sql(UNIQUE_IN_FORCE):
        if table in SHARDED:
            assert owner_of(table) in columns, (table, columns)
    referring = set()
    for table, columns, target, named in sql(FOREIGN_KEYS_IN_FORCE):
        if {table, target} & SHARDED:
            assert {table, target} <= SHARDED, f"{table} refers to {target}"
            pair = (owner_of(table), owner_of(target))
            assert pair in set(zip(columns, named, strict=True)), (table, columns)
            referring.add(table)
    assert referring == SHARDED - {DEVICES}


def test_every_table_with_a_device_is_sharded() -> None:
    found = sql(
        "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relkind = 'r' AND attname = 'device_id' AND pg_table_is_visible(pg_class.oid)"
    )
    assert {table for (table,) in found} | {DEVICES} == SHARDED


@time_machine.travel("2025-02-05T12:00:00Z", tick=False)
def test_every_statement_of_every_call_is_about_one_device(phone: Api, settings: Any) -> None:
    settings.PAIR_THROTTLE = ""
    new_food(source_id=FOOD["source_id"], barcode=VALUES["barcode"])
    world = create_rows(phone)
    tried: dict[str, list[str]] = {}
    for call in calls():
        for ids in call.own_ids(world)[-1:]:
            with transaction.atomic():
                with CaptureQueriesContext(connection) as queries:
                    call.send(phone if call.needs_token else Api(), ids)
                transaction.set_rollback(True)
            if (call.method, call.path) in ASKS_ALL:
                continue
            for statement in asked(queries):
                shape = re.sub(r"'[^']*'|\d+", "", statement)
                if shape not in tried:
                    tried[shape] = faults(statement)
                    assert not tried[shape], (str(call), statement, tried[shape])
    assert len(tried) > 100


def test_once_a_code_has_told_the_device_pairing_is_about_that(phone: Api) -> None:
    for typed in (get_code(phone), get_key(phone)):
        with CaptureQueriesContext(connection) as queries:
            assert try_pair(typed).status_code == 200
        of_many = [statement for statement in asked(queries) if faults(statement)]
        assert len(of_many) == 1, of_many
        assert "UNION ALL" in of_many[0]


def test_commands_lock_one_device_at_a_time(phone: Api, other: Api) -> None:
    for each in (phone, other):
        get_code(each)
        each.delete(f"/v1/food-entries/{each.entry()['id']}")
    later = timezone.now() + timedelta(days=400)
    with CaptureQueriesContext(connection) as queries, time_machine.travel(later):
        list(maintenance.purge(later))
        Product.objects.across_devices().update(brand="Acme")
        maintenance.forget_phones()
        assert sum(maintenance.erase_inactive(later)) == 2
    locking = [statement for statement in asked(queries) if " UPDATE" in statement[6:]]
    assert len(locking) >= 3
    for statement in locking:
        assert not faults(statement), statement


def test_what_more_than_one_shard_would_answer_is_noticed(phone: Api) -> None:
    own, any_id = f"device_id = '{uuid.uuid4()}'", uuid.uuid4()
    assert not faults(f"SELECT * FROM products WHERE {own}")
    for statement in (
        "SELECT * FROM products",
        f"SELECT * FROM products WHERE id = '{any_id}'",
        f"SELECT * FROM products JOIN portions ON product_id = products.id WHERE products.{own}",
        f"SELECT * FROM products JOIN catalog_foods USING (id) WHERE {own}",
        f"UPDATE products SET device_id = '{any_id}' WHERE {own}",
        f"UPDATE products SET name = 'x' WHERE id = '{any_id}'",
        "DELETE FROM products WHERE deleted_at < now()",
    ):
        assert faults(statement), statement


def test_no_trigger_joins_what_a_statement_changed_with_a_table() -> None:
    """A shard's trigger sees the rows of its shard, and may ask for one device at a time."""
    seen = set()
    for table, source, transition in sql(TRIGGERS):
        if table not in SHARDED:
            continue
        for statement in re.split(r";|\bLOOP\b", source):
            for name in transition:
                if re.search(rf"\b(FROM|JOIN) {name}\b", statement):
                    seen.add(table)
                    others = re.findall(r"\b(?:FROM|JOIN|UPDATE) (\w+)", statement)
                    assert set(others) == {name}, statement
    assert seen


def test_a_constraint_is_added_by_a_statement_of_its_own() -> None:
    loader = MigrationLoader(connection, replace_migrations=False)
    added = 0
    for key in own_migrations():
        state = loader.project_state(key, at_end=False)
        for statement in plain(sql_of(loader.get_migration(*key), state)):
            altered = ALTER.fullmatch(statement)
            if altered and "ADD CONSTRAINT" in altered[1]:
                assert len(parts(altered[1])) == 1, statement
                added += 1
    assert added > 20


def test_a_refusal_that_a_shard_reports_as_internal_is_still_one(phone: Api) -> None:
    def report_as_internal(*args: Any) -> Any:
        raise InternalError("duplicate key value violates unique constraint")

    assert phone.device is not None
    rows = [Product(name="Rice", kcal_100g=130)]
    with (
        connection.execute_wrapper(report_as_internal),
        pytest.raises(IntegrityError, match="duplicate key"),
    ):
        Product.objects.for_device(phone.device).bulk_save(rows, insert=True)
