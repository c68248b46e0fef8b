"""The undocumented names of Django, DRF, drf-spectacular, gunicorn and psycopg that are used here.

A new version may drop any of them without notice. Then a test fails here and says which code needs
the name. Without that, a method that overrides a dropped one would silently never be called.
"""

from __future__ import annotations

import ast
import inspect
import runpy
from collections.abc import Iterator
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.validators import validate_slug
from django.db import connection, models
from django.utils.log import log_response
from gunicorn.config import KNOWN_SETTINGS
from psycopg import Cursor

from tests.helpers.processes import ROOT

# Module and attribute, and the code that uses it.
NAMES = {
    # Device scope: the query refuses to compile, to combine and to change its class.
    "django.db.models.sql:Query.get_compiler": "scope.query.ScopedQuery",
    "django.db.models.sql:Query.chain": "scope.query.ScopedQuery",
    "django.db.models.sql:Query.is_empty": "scope.query.ScopedQuery",
    "django.db.models.sql:Query.is_sliced": "scope.query.DeviceScopedQuerySet",
    "django.db.models.query:QuerySet._merge_sanity_check": "scope.query.DeviceScopedQuerySet",
    "django.db.models.query:QuerySet._combinator_query": "scope.query.DeviceScopedQuerySet",
    "django.db.models.query:QuerySet._raw_delete": "scope.query.DeviceScopedQuerySet",
    "django.db.models.query:QuerySet._update": "countonme/tests/test_scope.py",
    "django.db.models:Model._do_update": "scope.models.DeviceScoped",
    "django.db.models:Model._get_field_expression_map": "scope.constraints.DeviceUniqueConstraint",
    # Keys and managers that carry the device.
    "django.db.models:ForeignKey.forward_related_accessor_class": ("scope.keys.ScopedForeignKey"),
    "django.db.models:ForeignKey.related_accessor_class": "scope.keys.ScopedForeignKey",
    "django.db.models:ForeignKey.get_reverse_path_info": "scope.keys.ScopedForeignKey",
    "django.db.models:ForeignKey.get_reverse_related_filter": "scope.keys.ScopedForeignKey",
    "django.db.models.fields.related_descriptors:ForwardManyToOneDescriptor.get_object": (
        "scope.keys.ScopedForwardDescriptor"
    ),
    "django.db.models.fields.related_descriptors:ReverseManyToOneDescriptor.related_manager_cls": (
        "scope.keys.ScopedReverseDescriptor"
    ),
    # Statements that are compiled once.
    "django.db.backends.base.base:BaseDatabaseWrapper.wrap_database_errors": "scope.prepared",
    "django.db.backends.base.base:BaseDatabaseWrapper.validate_no_broken_transaction": (
        "scope.prepared"
    ),
    "django.db.backends.base.base:BaseDatabaseWrapper.queries_logged": "scope.prepared",
    # Operators' forms, roles and migrations.
    "django.forms:ModelForm._post_clean": "operators.base.ScopedForm",
    "django.forms.models:construct_instance": "operators.base.ScopedForm",
    "django.contrib.auth.management:create_permissions": "countonme.operators",
    "django.contrib.admin.helpers:ACTION_CHECKBOX_NAME": "operators.base",
    "django.db.migrations.executor:MigrationExecutor.migration_plan": "countonme.health",
    # Requests.
    "django.db:close_old_connections": "countonme.wsgi",
    "django.db:reset_queries": "countonme.wsgi",
    "django.core.cache:close_caches": "countonme.wsgi",
    "django.utils.http:parse_etags": "countonme.api.conditional",
    "rest_framework.fields:get_error_detail": "countonme.api.errors, sync.push",
    "rest_framework.throttling:BaseThrottle.get_ident": "countonme.operators, devices.throttling",
    "rest_framework.throttling:SimpleRateThrottle.parse_rate": "devices.throttling",
    "rest_framework.utils.urls:replace_query_param": "countonme.api.query",
    "rest_framework.viewsets:ViewSetMixin": "countonme.api.views",
    "rest_framework.views:APIView.initial": "countonme.api.views",
    "rest_framework.views:APIView.finalize_response": "countonme.api.views",
    "rest_framework.views:APIView.default_response_headers": "countonme.api.views",
    # The OpenAPI document.
    "drf_spectacular.openapi:AutoSchema._get_serializer": "countonme.api.schema",
    "drf_spectacular.openapi:AutoSchema._get_request_body": "countonme.api.schema",
    "drf_spectacular.openapi:AutoSchema._get_response_for_code": "countonme.api.schema",
    "drf_spectacular.openapi:AutoSchema._insert_field_validators": "countonme.api.schema",
    "drf_spectacular.openapi:AutoSchema._is_list_view": "countonme.api.schema",
    "drf_spectacular.openapi:AutoSchema._map_basic_serializer": "countonme.api.schema",
    "drf_spectacular.plumbing:force_instance": "countonme.api.schema",
    # Bodies that were not read.
    "gunicorn.http.parser:_DRAIN_MAX_BYTES": "gunicorn.conf.py",
    # The access log.
    "gunicorn.glogging:Logger.atoms": "gunicorn.conf.py",
    "gunicorn.glogging:Logger.now": "gunicorn.conf.py",
    "gunicorn.http.wsgi:Response.start_response": "gunicorn.conf.py, for its `sent` and `headers`",
}
# Documented names, and Python's own.
PROMISED = {"_meta", "_state", "_base_manager", "_default_manager", "_asdict"}
# Names that only instances have; each has a test below.
OF_INSTANCES = {"_validators", "_result_cache", "_table", "_has_been_logged", "_connections"}
ROOMS = [*settings.OWN_APPS, "tests", "attacks", "bench", "conftest.py", "gunicorn.conf.py"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_still_there(name: str) -> None:
    module, _, attribute = name.partition(":")
    try:
        attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{name} is gone, which {NAMES[name]} needs: {error}", pytrace=False)


def test_a_field_keeps_its_own_validators_apart() -> None:
    """scope.bounds."""
    assert models.BigIntegerField(validators=[validate_slug])._validators == [validate_slug]  # type: ignore[attr-defined]  # private


def test_a_queryset_keeps_its_rows_in_result_cache() -> None:
    """A prefetched one has some: countonme.scope.keys.ScopedReverseDescriptor."""
    assert ContentType.objects.all()._result_cache is None


def test_the_database_cache_keeps_its_tables_name() -> None:
    """server.cache.AtomicDatabaseCache."""
    cache: Any = DatabaseCache("name of a table", {})
    assert cache._table == "name of a table"


def test_the_caches_handler_keeps_them_by_thread() -> None:
    """conftest.forget_caches."""
    assert "_connections" in vars(caches)


def test_django_asks_whether_an_answer_was_logged() -> None:
    """countonme.api.views.ApiView."""
    assert "_has_been_logged" in inspect.getsource(log_response)


def test_django_wraps_a_cursor_of_psycopg_that_has_a_format(db: None) -> None:
    """scope.prepared.Statement."""
    with connection.cursor() as wrapper:
        cursor = wrapper.cursor
        assert isinstance(cursor, Cursor)
        assert hasattr(cursor, "format")


def test_gunicorn_counts_the_bytes_of_an_answer() -> None:
    """The access log in gunicorn.conf.py."""
    response = import_module("gunicorn.http.wsgi").Response(None, None, None)
    assert {"sent", "headers", "status"} <= vars(response).keys()


def test_every_setting_is_one_that_gunicorn_knows() -> None:
    """gunicorn silently ignores settings that it does not know."""
    ours = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    named = {
        name
        for name, value in ours.items()
        if name.islower() and not name.startswith("_") and not inspect.ismodule(value)
    }
    known = {setting.name for setting in KNOWN_SETTINGS}
    assert named - known == {"annotations", "timedelta"}


def sources() -> Iterator[Path]:
    for room in ROOMS:
        path = ROOT / room
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def test_no_other_private_name_is_used() -> None:
    """A name with an underscore that the project does not define belongs to a library."""
    trees = {path: ast.parse(path.read_text()) for path in sources()}
    ours = set()
    used: dict[str, str] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    ours.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    ours.add(name)
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    ours.add(name)
            if type(node) is ast.Attribute and node.attr.startswith("_"):
                used.setdefault(node.attr, f"{path.relative_to(ROOT)}:{node.lineno}")
    named = {name.rpartition(".")[2] for name in NAMES} | PROMISED | OF_INSTANCES
    unnamed = {
        name: place
        for name, place in used.items()
        if name not in ours | named and not name.startswith("__")
    }
    assert unnamed == {}
