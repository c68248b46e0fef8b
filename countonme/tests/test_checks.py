"""System checks: a model that could leave a device's scope stops every command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, Error
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, models
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import isolate_apps

from countonme.scope import checks
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped, device_scoped_models
from countonme.scope.query import AllObjectsManager, LiveManager
from devices.models import Device
from goals.models import Goal
from products.models import Product
from tests.helpers.samples import MODELS, Model, scoped_keys

NO_ACTION = models.DO_NOTHING


@pytest.fixture
def own_apps() -> Iterator[None]:
    """Let a test define models that no other sees."""
    before = set(vars(Device))
    with isolate_apps("countonme") as registry:
        assert registry is not None
        registry.register_model("devices", Device)
        yield
    for accessor in set(vars(Device)) - before:
        delattr(Device, accessor)


def found(model: type[models.Model]) -> list[tuple[str | None, str]]:
    """Return what is wrong with a model: ids and sentences."""
    return ids(checks.check_model(model))


def ids(messages: Any) -> list[tuple[str | None, str]]:
    listed: list[CheckMessage] = list(messages)
    assert all(message.is_serious() and message.hint for message in listed)
    return [(message.id, message.msg) for message in listed]


def only(code: str, model: type[models.Model]) -> str:
    """Return the sentence of the one thing that is wrong with a model."""
    ((found_id, sentence),) = found(model)
    assert found_id == f"countonme.{code}"
    return sentence


def test_the_project_passes(db: None) -> None:
    call_command("check", databases=["default"])
    assert checks.check_models() == []
    assert checks.check_tables(databases=["default"]) == []


def test_a_model_of_the_project_that_does_not_stops_every_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "check_model", lambda model: [Error("No.", obj=model)])
    with pytest.raises(SystemCheckError):
        call_command("check")


@pytest.mark.usefixtures("own_apps")
class TestModels:
    def test_a_scoped_one_passes(self) -> None:
        class Recipe(DeviceScoped):
            product = ScopedForeignKey(Product, related_name="+")

        assert found(Recipe) == []

    def test_one_that_no_device_owns_passes_if_it_is_listed(self, settings: Any) -> None:
        class Nutrient(models.Model):
            parent = models.ForeignKey("self", NO_ACTION)
            content_type = models.ForeignKey(ContentType, NO_ACTION, related_name="+")
            target = GenericForeignKey()

        assert "every device sees" in only("E007", Nutrient)
        settings.GLOBAL_MODELS = [Nutrient._meta.label]
        assert found(Nutrient) == []

    def test_one_of_another_project_need_not_be_listed(self) -> None:
        assert list(checks.check_model(ContentType)) == []

    @pytest.mark.parametrize("kind", [models.ForeignKey, models.OneToOneField, ScopedForeignKey])
    @pytest.mark.parametrize("target", [Device, Product])
    def test_one_that_names_a_device_or_its_rows_derives_from_device_scoped(
        self, kind: Any, target: type[models.Model]
    ) -> None:
        class Note(models.Model):
            of = kind(target, on_delete=NO_ACTION, related_name="+")

        assert "by of" in only("E001", Note)

    @pytest.mark.parametrize("target", [Device, Product])
    def test_one_that_names_many_of_them_does_too(self, target: type[models.Model]) -> None:
        class Note(models.Model):
            of = models.ManyToManyField(target, related_name="+")

        assert "by of" in only("E001", Note)

    def test_one_with_a_column_of_devices_does_too(self) -> None:
        class Note(models.Model):
            owner = models.UUIDField(db_column="device_id")

        assert "by owner" in only("E001", Note)

    def test_one_of_the_devices_own_app_need_not(self) -> None:
        class Watch(models.Model):
            device = models.ForeignKey(Device, NO_ACTION, related_name="+")

            class Meta:
                app_label = Device._meta.app_label

        assert found(Watch) == []


@pytest.mark.usefixtures("own_apps")
class TestManagers:
    @pytest.mark.parametrize("name", ["objects", "all_objects", "others"])
    def test_a_plain_one_is_refused(self, name: str) -> None:
        body: dict[str, Any] = {name: models.Manager(), "__module__": __name__}
        recipe = type("Recipe", (DeviceScoped,), body)
        assert {code for code, _ in found(recipe)} == {"countonme.E002"}
        assert any(f"manager {name} " in sentence for _, sentence in found(recipe))

    def test_one_that_answers_across_devices_is_refused(self) -> None:
        class Everyone(AllObjectsManager):
            def get_queryset(self) -> Any:
                return super().get_queryset().across_devices()

        class Recipe(DeviceScoped):
            everyone = Everyone()

        assert "everyone" in only("E002", Recipe)

    def test_one_that_answers_with_a_plain_queryset_is_refused(self) -> None:
        class Plain(LiveManager):
            def get_queryset(self) -> Any:
                return models.QuerySet(self.model)

        class Recipe(DeviceScoped):
            plain = Plain()

        assert "plain" in only("E002", Recipe)

    def test_another_base_manager_is_refused(self) -> None:
        class Recipe(DeviceScoped):
            class Meta(DeviceScoped.Meta):
                base_manager_name = "objects"

        assert "base manager" in only("E002", Recipe)


@pytest.mark.usefixtures("own_apps")
class TestReferences:
    @pytest.mark.parametrize("kind", [models.ForeignKey, models.OneToOneField])
    @pytest.mark.parametrize("target", [Device, Product])
    def test_a_plain_key_is_refused(self, kind: Any, target: type[models.Model]) -> None:
        class Recipe(DeviceScoped):
            of = kind(target, on_delete=NO_ACTION, related_name="+")

        assert "field of " in only("E003", Recipe)

    def test_a_plain_key_to_its_device_is_refused(self) -> None:
        class Recipe(DeviceScoped):
            device = models.ForeignKey(Device, NO_ACTION, related_name="+")

        assert "field device " in only("E003", Recipe)

    @pytest.mark.parametrize("target", [Product, ContentType])
    def test_one_to_many_rows_is_refused(self, target: type[models.Model]) -> None:
        class Recipe(DeviceScoped):
            of = models.ManyToManyField(target, related_name="+")

        assert "field of " in only("E003", Recipe)

    def test_a_parent_table_is_refused(self) -> None:
        class Recipe(Product):
            pass

        assert "field product_ptr " in only("E003", Recipe)

    def test_a_generic_one_is_refused(self) -> None:
        class Recipe(DeviceScoped):
            content_type = models.ForeignKey(ContentType, NO_ACTION, related_name="+")
            target = GenericForeignKey()

        assert "field target " in only("E003", Recipe)

    def test_a_generic_one_backwards_is_refused(self) -> None:
        class Recipe(DeviceScoped):
            notes = GenericRelation(Product)

        assert "field notes " in only("E003", Recipe)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db
class TestTables:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("trigger", checks.TRIGGERS)
    def test_one_without_a_trigger_is_named(self, model: Model, trigger: str) -> None:
        table = model._meta.db_table
        execute(f"DROP TRIGGER {trigger} ON {table}")
        (error,) = checks.check_tables(databases=["default"])
        assert (error.id, error.obj) == ("countonme.E004", model)
        assert trigger in error.msg
        assert f'DeviceScopedTable("{model.__name__}")' in str(error.hint)

    def test_a_trigger_that_is_off_is_none(self) -> None:
        execute("ALTER TABLE products DISABLE TRIGGER guard_hard_delete")
        (error,) = checks.check_tables(databases=["default"])
        assert "guard_hard_delete" in error.msg

    @pytest.mark.parametrize(
        ("model", "column"),
        [
            (model, key)
            for model in device_scoped_models()
            for key in ["device_id", *(key.column for key in scoped_keys(model))]
        ],
    )
    def test_one_without_a_foreign_key_is_named(self, model: Model, column: str) -> None:
        table = model._meta.db_table
        execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fk")
        (error,) = checks.check_tables(databases=["default"])
        assert (error.id, error.obj) == ("countonme.E005", model)
        assert column in error.msg
        operation = "DeviceScopedTable" if column == "device_id" else "DeviceScopedForeignKey"
        assert f'{operation}("{model.__name__}"' in str(error.hint)

    @pytest.mark.parametrize(
        "key",
        [
            "FOREIGN KEY (device_id, product_id) REFERENCES products (device_id, id) NOT VALID",
            "FOREIGN KEY (device_id) REFERENCES devices (id)",
        ],
    )
    def test_a_foreign_key_that_holds_less_is_none(self, key: str) -> None:
        execute(f"ALTER TABLE portions DROP CONSTRAINT portions_product_id_fk, ADD {key}")
        assert [error.id for error in checks.check_tables(databases=["default"])] == [
            "countonme.E005"
        ]

    @pytest.mark.parametrize(
        "key", ["", ", ADD PRIMARY KEY (id)", ", ADD PRIMARY KEY (id, device_id)"]
    )
    def test_another_primary_key_is_named(self, key: str) -> None:
        execute(f"ALTER TABLE goals DROP CONSTRAINT goals_pkey{key}")
        error, *_ = checks.check_tables(databases=["default"])
        assert (error.id, error.obj) == ("countonme.E006", Goal)
        assert "goals is not device_id, id" in error.msg

    @pytest.mark.parametrize("place", ["INDEX x ON goals (id)", "INDEX x ON goals (lower(gender))"])
    def test_what_is_unique_among_all_devices_rows_is_named(self, place: str) -> None:
        execute(f"CREATE UNIQUE {place}")
        (error,) = checks.check_tables(databases=["default"])
        assert (error.id, error.obj) == ("countonme.E006", Goal)
        assert "unique among all devices' rows" in error.msg

    def test_what_is_missing_stops_a_migration(self) -> None:
        execute("DROP TRIGGER guard_hard_delete ON products")
        with pytest.raises(SystemCheckError, match="guard_hard_delete"):
            call_command("migrate", skip_checks=False, verbosity=0)

    def test_what_a_migration_may_bring_yet_is_not_missed(self) -> None:
        execute("DROP TRIGGER guard_hard_delete ON products")
        MigrationRecorder(connection).record_unapplied("entries", "0001_initial")
        assert checks.check_tables(databases=["default"]) == []

    def test_no_database_is_asked_unless_it_is_named(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert checks.check_tables(databases=None) == []
            assert checks.check_models() == []
