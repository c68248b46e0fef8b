"""The catalog's tables, and what each role of operators may do to them."""

import uuid
from decimal import Decimal
from typing import Any

import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.lookups
import django.utils.timezone
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models

import catalog.words
import products.gtin
import products.names
from countonme.scope.migrations import grant

# Whoever writes foods: their source's revision rises, the number of its foods that can be found is
# kept, so that nobody has to count them, and so are the popular foods and the words of all.
NOTE_CHANGE = """
CREATE FUNCTION note_catalog_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    met text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE catalog_sources SET revision = revision + 1, foods = foods + change.live
        FROM (
            SELECT source, count(*) FILTER (WHERE is_live) AS live FROM new_foods GROUP BY source
        ) AS change
        WHERE catalog_sources.source = change.source;
    ELSE
        DELETE FROM catalog_popular_foods USING old_foods WHERE food_id = id;
        UPDATE catalog_sources SET revision = revision + 1, foods = foods + change.live
        FROM (
            SELECT source, sum(live) AS live FROM (
                SELECT source, is_live::int AS live FROM new_foods
                UNION ALL SELECT source, -is_live::int FROM old_foods
            ) AS foods GROUP BY source
        ) AS change
        WHERE catalog_sources.source = change.source;
    END IF;
    INSERT INTO catalog_popular_foods
        (food_id, name_key, words, language, doubtful, is_generic, popularity)
    SELECT id, name_key, words, language, doubtful, is_generic, popularity
    FROM new_foods WHERE is_live AND is_popular;
    met := ARRAY(SELECT DISTINCT unnest(tsvector_to_array(words)) FROM new_foods WHERE is_live);
    IF (SELECT count(*) FROM catalog_words WHERE word = ANY(met)) < cardinality(met) THEN
        -- One transaction after the other: two could wait for each other's words. A lock on the
        -- table would also wait for autovacuum.
        PERFORM pg_advisory_xact_lock('catalog_words'::regclass::oid::bigint);
        INSERT INTO catalog_words SELECT unnest(met) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER note_insert AFTER INSERT ON catalog_foods
    REFERENCING NEW TABLE AS new_foods
    FOR EACH STATEMENT EXECUTE FUNCTION note_catalog_change();
CREATE TRIGGER note_update AFTER UPDATE ON catalog_foods
    REFERENCING OLD TABLE AS old_foods NEW TABLE AS new_foods
    FOR EACH STATEMENT EXECUTE FUNCTION note_catalog_change();
"""
# Foods are never deleted: a phone may name one for ever.
REFUSE_DELETE = """
CREATE FUNCTION refuse_catalog_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'foods of the catalog are withdrawn, not deleted'
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER refuse_delete BEFORE DELETE ON catalog_foods
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_catalog_delete();
"""
# The barcode is a GTIN, as `to_gtin_14()` of the products' migrations has it. Nothing else leads to
# a source: the model has no foreign key.
KEYS = """
ALTER TABLE catalog_foods ADD CONSTRAINT catalog_foods_source_fk
    FOREIGN KEY (source) REFERENCES catalog_sources (source);
ALTER TABLE catalog_foods ADD CONSTRAINT catalog_foods_barcode_is_gtin CHECK (
    gtin_14 IS NOT DISTINCT FROM to_gtin_14(barcode)
    AND (barcode IS NULL) = (gtin_14 IS NULL)
);
"""
ROLES = {"Moderator": ("view", "change"), "Support": ("view",)}


def grant_roles(apps: Apps, schema_editor: Any) -> None:
    for model in ("Source", "Food", "Correction", "Report"):
        grant(apps, "catalog", model, ROLES)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("products", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Source",
            fields=[
                (
                    "source",
                    models.CharField(
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                        validators=[django.core.validators.RegexValidator("^[a-z][a-z0-9_]*$")],
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("licence", models.CharField(max_length=200)),
                ("url", models.URLField()),
                ("imported_at", models.DateTimeField(editable=False, null=True)),
                (
                    "foods",
                    models.IntegerField(
                        default=0, editable=False, help_text="Foods that can be found."
                    ),
                ),
                ("revision", models.BigIntegerField(default=1, editable=False)),
            ],
            options={
                "db_table": "catalog_sources",
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="Food",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("source", models.CharField(editable=False, max_length=32)),
                ("source_id", models.CharField(editable=False, max_length=64)),
                ("name", products.names.NameField(max_length=100)),
                (
                    "name_key",
                    catalog.words.NameKeyField(
                        blank=True, db_collation="C", editable=False, source="name"
                    ),
                ),
                ("brand", products.names.NameField(blank=True, max_length=100, null=True)),
                ("words", catalog.words.WordsVector(blank=True, editable=False, source="name")),
                (
                    "unit",
                    models.CharField(choices=[("g", "g"), ("ml", "ml")], default="g", max_length=2),
                ),
                ("language", models.CharField(blank=True, max_length=2, null=True)),
                (
                    "kcal_100g",
                    models.SmallIntegerField(
                        help_text="In kcal per 100 g.",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                    ),
                ),
                (
                    "protein_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "carbs_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "fat_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "fiber_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "sugars_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "saturated_fat_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "salt_100g",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g per 100 g.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                ("barcode", products.gtin.BarcodeField(blank=True, max_length=14, null=True)),
                (
                    "gtin_14",
                    products.gtin.NormalizedField(
                        blank=True, db_collation="C", editable=False, null=True, source="barcode"
                    ),
                ),
                ("portions", models.JSONField(blank=True, default=list)),
                (
                    "doubtful",
                    models.BooleanField(
                        default=False,
                        help_text="Its energy does not fit its macros. Searches show it last.",
                    ),
                ),
                ("is_generic", models.BooleanField(default=False, editable=False)),
                (
                    "popularity",
                    models.IntegerField(
                        default=0,
                        editable=False,
                        help_text="How many people scanned it, as its source says.",
                    ),
                ),
                ("is_hidden", models.BooleanField(default=False, help_text="Nobody can find it.")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "updated_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("source_updated_at", models.DateTimeField(editable=False, null=True)),
                ("source_digest", models.BigIntegerField(default=0, editable=False)),
                ("withdrawn_at", models.DateTimeField(editable=False, null=True)),
                (
                    "is_live",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Q(("is_hidden", False), ("withdrawn_at", None)),  # type: ignore[arg-type]
                        output_field=models.BooleanField(),
                    ),
                ),
                (
                    "is_popular",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Q(  # type: ignore[arg-type]
                            ("is_generic", True), ("popularity__gte", 20), _connector="OR"
                        ),
                        output_field=models.BooleanField(),
                    ),
                ),
            ],
            options={
                "db_table": "catalog_foods",
                "default_permissions": ("view", "change"),
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        condition=models.Q(
                            ("is_live", True), ("is_popular", False), ("popularity__gt", 0)
                        ),
                        fastupdate=False,
                        fields=["words"],
                        name="catalog_foods_known_words",
                    ),
                    django.contrib.postgres.indexes.GinIndex(
                        condition=models.Q(
                            ("is_live", True), ("is_popular", False), ("popularity__lte", 0)
                        ),
                        fastupdate=False,
                        fields=["words"],
                        name="catalog_foods_other_words",
                    ),
                    models.Index(fields=["name_key"], name="catalog_foods_by_name"),
                    models.Index(
                        condition=models.Q(("gtin_14__isnull", False), ("is_live", True)),
                        fields=["gtin_14"],
                        name="catalog_foods_by_barcode",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "name__regex",
                                "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                            )
                        ),
                        name="catalog_foods_name_is_clean",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "brand__regex",
                                "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                            )
                        ),
                        name="catalog_foods_brand_is_clean",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("unit__in", ["g", "ml"])), name="catalog_foods_unit"
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.LessThanOrEqual(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.functions.comparison.Coalesce(
                                        models.F("protein_100g"),
                                        models.Value(
                                            Decimal("0"), output_field=models.DecimalField()
                                        ),
                                    ),
                                    "+",
                                    django.db.models.functions.comparison.Coalesce(
                                        models.F("carbs_100g"),
                                        models.Value(
                                            Decimal("0"), output_field=models.DecimalField()
                                        ),
                                    ),
                                ),
                                "+",
                                django.db.models.functions.comparison.Coalesce(
                                    models.F("fat_100g"),
                                    models.Value(Decimal("0"), output_field=models.DecimalField()),
                                ),
                            ),
                            models.Value(105),
                        ),
                        name="catalog_foods_macros_fit_100g",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kcal_100g__range", (0, 1000))),
                        name="catalog_foods_kcal_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("protein_100g__range", (0, 100))),
                        name="catalog_foods_protein_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("carbs_100g__range", (0, 100))),
                        name="catalog_foods_carbs_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fat_100g__range", (0, 100))),
                        name="catalog_foods_fat_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fiber_100g__range", (0, 100))),
                        name="catalog_foods_fiber_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sugars_100g__range", (0, 100))),
                        name="catalog_foods_sugars_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("saturated_fat_100g__range", (0, 100))),
                        name="catalog_foods_saturated_fat_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("salt_100g__range", (0, 100))),
                        name="catalog_foods_salt_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Correction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("field", models.CharField(editable=False, max_length=30)),
                ("value", models.JSONField(editable=False, null=True)),
                ("source_value", models.JSONField(editable=False, null=True)),
                ("reason", models.CharField(max_length=500)),
                (
                    "made_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("review_since", models.DateTimeField(editable=False, null=True)),
                ("undone_at", models.DateTimeField(editable=False, null=True)),
                (
                    "made_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "undone_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "food",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="corrections",
                        to="catalog.food",
                    ),
                ),
            ],
            options={
                "db_table": "catalog_corrections",
                "default_permissions": ("view", "change"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("undone_at", None)),
                        fields=("food", "field"),
                        name="catalog_corrections_one_in_force",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("wrong_values", "wrong values"),
                            ("wrong_name", "wrong name"),
                            ("wrong_barcode", "wrong barcode"),
                            ("duplicate", "duplicate"),
                            ("offensive", "offensive"),
                            ("other", "other"),
                        ],
                        max_length=20,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("closed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "closed_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "food",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reports",
                        to="catalog.food",
                    ),
                ),
            ],
            options={
                "db_table": "catalog_reports",
                "default_permissions": ("view", "change"),
                "indexes": [
                    models.Index(
                        fields=["-closed_at", "reason", "created_at", "id"],
                        name="catalog_reports_listed",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PopularFood",
            fields=[
                (
                    "food",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="catalog.food",
                    ),
                ),
                ("name_key", models.TextField(db_collation="C")),
                ("words", catalog.words.WordsVector(blank=True, editable=False, source="name")),
                ("language", models.CharField(max_length=2, null=True)),
                ("doubtful", models.BooleanField()),
                ("is_generic", models.BooleanField()),
                ("popularity", models.IntegerField()),
            ],
            options={
                "db_table": "catalog_popular_foods",
                "default_permissions": (),
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fastupdate=False, fields=["words"], name="catalog_popular_foods_words"
                    ),
                    models.Index(fields=["name_key"], name="catalog_popular_foods_by_name"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Word",
            fields=[
                (
                    "word",
                    models.TextField(db_collation="C", primary_key=True, serialize=False),
                ),
            ],
            options={
                "db_table": "catalog_words",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Seen",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run",
                        "food_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("run", models.DateTimeField()),
                ("food_id", models.UUIDField()),
            ],
            options={
                "db_table": "catalog_seen",
                "default_permissions": (),
            },
        ),
        migrations.RunSQL(
            KEYS,
            """
            ALTER TABLE catalog_foods DROP CONSTRAINT catalog_foods_source_fk;
            ALTER TABLE catalog_foods DROP CONSTRAINT catalog_foods_barcode_is_gtin;
            """,
        ),
        migrations.RunSQL(
            "ALTER TABLE catalog_seen SET UNLOGGED", "ALTER TABLE catalog_seen SET LOGGED"
        ),
        migrations.RunSQL(NOTE_CHANGE, "DROP FUNCTION note_catalog_change() CASCADE"),
        migrations.RunSQL(REFUSE_DELETE, "DROP FUNCTION refuse_catalog_delete() CASCADE"),
        migrations.RunPython(grant_roles, migrations.RunPython.noop),
    ]
