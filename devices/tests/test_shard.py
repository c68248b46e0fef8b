"""`manage.py shard`: what has Citus shard the tables of devices."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from countonme.scope.models import device_scoped_models


def printed() -> str:
    out = StringIO()
    call_command("shard", stdout=out)
    return out.getvalue()


def test_it_prints_a_statement_for_each_table_of_devices() -> None:
    tables = re.findall(r"create_distributed_table\('(\w+)', '(\w+)'", printed())
    of_devices = {
        model._meta.db_table
        for model in apps.get_models()
        if any(field.column == "device_id" for field in model._meta.concrete_fields)
    }
    assert dict(tables) == {"devices": "id"} | dict.fromkeys(of_devices, "device_id")


def test_a_table_comes_after_those_that_it_refers_to() -> None:
    tables = re.findall(r"create_distributed_table\('(\w+)'", printed())
    assert tables[:3] == ["devices", "phones", "pairing_codes"]
    assert tables[4:] == [model._meta.db_table for model in device_scoped_models()]


def test_all_rows_of_a_device_are_on_one_node() -> None:
    first, *others = printed().splitlines()
    assert "colocate_with" not in first
    assert all("colocate_with => 'devices'" in line for line in others)


@pytest.mark.django_db
def test_without_the_extension_it_says_so() -> None:
    with pytest.raises(CommandError, match="lacks the extension citus: install Citus on every"):
        call_command("shard", "--run")
