"""What is left of a test whose transactions are real: see `management/commands/flush.py`."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from tests.helpers.databases import rows
from tests.helpers.world import fill


@pytest.mark.django_db(transaction=True)
def test_all_rows_go_but_for_those_of_migrations() -> None:
    before = rows()
    fill()
    call_command("flush", interactive=False)
    # The cache is no model's table.
    assert rows() | {"cache": []} == before | {"cache": []}
