"""Products, their portions and what is in recipes, under their triggers."""

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.lookups
import django.utils.timezone
from django.db import migrations, models

import countonme.scope.constraints
import countonme.scope.keys
import products.gtin
import products.names
from countonme.scope.migrations import DeviceScopedTable

# What a barcode is normalized to: GTIN-14, as products/gtin.py says it in Python.
GTIN = r"""
CREATE FUNCTION expand_upc_e(code text) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(regexp_replace(regexp_replace(regexp_replace(code, '^([01])(..)(...)([0-2])(.)$', '\1\2\40000\3\5'), '^([01])(...)(..)3(.)$', '\1\200000\3\4'), '^([01])(....)(.)4(.)$', '\1\200000\3\4'), '^([01])(.....)([5-9])(.)$', '\1\20000\3\4');

CREATE FUNCTION has_right_check_digit(gtin_14 text) RETURNS boolean IMMUTABLE PARALLEL SAFE
RETURN (3 * (substr(gtin_14, 1, 1)::int + substr(gtin_14, 3, 1)::int + substr(gtin_14, 5, 1)::int + substr(gtin_14, 7, 1)::int + substr(gtin_14, 9, 1)::int + substr(gtin_14, 11, 1)::int + substr(gtin_14, 13, 1)::int) + substr(gtin_14, 2, 1)::int + substr(gtin_14, 4, 1)::int + substr(gtin_14, 6, 1)::int + substr(gtin_14, 8, 1)::int + substr(gtin_14, 10, 1)::int + substr(gtin_14, 12, 1)::int + substr(gtin_14, 14, 1)::int) % 10 = 0;

CREATE FUNCTION to_gtin_14(code text) RETURNS text IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN code !~ '^([0-9]{8}|[0-9]{12,14})$'
        THEN NULL
    WHEN code ~ '^0[0-9]{7}$' AND has_right_check_digit(lpad(expand_upc_e(code), 14, '0'))
        THEN lpad(expand_upc_e(code), 14, '0')
    WHEN has_right_check_digit(lpad(code, 14, '0'))
        THEN lpad(code, 14, '0')
    WHEN has_right_check_digit(lpad(expand_upc_e(code), 14, '0'))
        THEN lpad(expand_upc_e(code), 14, '0')
END;
"""
WITHOUT_GTIN = """
DROP FUNCTION to_gtin_14(text);
DROP FUNCTION has_right_check_digit(text);
DROP FUNCTION expand_upc_e(text);
"""
BARCODE_IS_GTIN = """
ALTER TABLE products ADD CONSTRAINT products_barcode_is_gtin CHECK (
    gtin_14 IS NOT DISTINCT FROM to_gtin_14(barcode)
    AND (barcode IS NULL) = (gtin_14 IS NULL)
)
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("devices", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                ("name", products.names.NameField(max_length=100)),
                (
                    "name_folded",
                    products.names.FoldedField(
                        blank=True, db_collation="C", editable=False, source="name"
                    ),
                ),
                (
                    "name_words",
                    products.names.WordsField(
                        blank=True, db_collation="C", editable=False, source="name"
                    ),
                ),
                ("brand", products.names.NameField(blank=True, max_length=100, null=True)),
                (
                    "brand_words",
                    products.names.WordsField(
                        blank=True, db_collation="C", editable=False, null=True, source="brand"
                    ),
                ),
                (
                    "unit",
                    models.CharField(choices=[("g", "g"), ("ml", "ml")], default="g", max_length=2),
                ),
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
                ("catalog_id", models.UUIDField(blank=True, null=True)),
                (
                    "servings",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="Of a recipe: how many servings it makes.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(100),
                        ],
                    ),
                ),
                (
                    "cooked_grams",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="Of a recipe: the grams of all of it when cooked; null if that is the sum.",
                        max_digits=8,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(100000),
                        ],
                    ),
                ),
                ("plain_100g", models.JSONField(editable=False, null=True)),
                (
                    "device",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="devices.device",
                    ),
                ),
            ],
            options={
                "verbose_name": "product",
                "db_table": "products",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Portion",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                ("name", products.names.NameField(max_length=100)),
                (
                    "name_folded",
                    products.names.FoldedField(
                        blank=True, db_collation="C", editable=False, source="name"
                    ),
                ),
                (
                    "grams",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=7,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                ("is_default", models.BooleanField(default=False)),
                (
                    "device",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="devices.device",
                    ),
                ),
                (
                    "product",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="portions",
                        to="products.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "portion",
                "db_table": "portions",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="RecipeItem",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(editable=False, null=True)),
                ("deleted_at", models.DateTimeField(editable=False, null=True)),
                (
                    "quantity",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "grams",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=7,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "position",
                    models.SmallIntegerField(
                        help_text="Items are listed in this order.",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "device",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        editable=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="devices.device",
                    ),
                ),
                (
                    "product",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="items",
                        to="products.product",
                    ),
                ),
                (
                    "ingredient",
                    countonme.scope.keys.ScopedForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="in_recipes",
                        to="products.product",
                    ),
                ),
                (
                    "portion",
                    countonme.scope.keys.ScopedForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="recipe_items",
                        to="products.portion",
                    ),
                ),
            ],
            options={
                "verbose_name": "recipe item",
                "db_table": "recipe_items",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
            },
        ),
        migrations.AddIndex(
            model_name="product",
            index=models.Index(
                condition=models.Q(("deleted_at", None)),
                fields=["device", "name_folded", "id"],
                name="products_by_name",
            ),
        ),
        migrations.AddIndex(
            model_name="product",
            index=models.Index(
                condition=models.Q(("deleted_at", None), ("gtin_14__isnull", False)),
                fields=["device", "gtin_14"],
                name="products_by_barcode",
            ),
        ),
        migrations.AddIndex(
            model_name="product",
            index=models.Index(
                condition=models.Q(("catalog_id__isnull", False), ("deleted_at", None)),
                fields=["device", "catalog_id"],
                name="products_by_catalog_id",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "name__regex",
                        "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
                        "( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                    ),
                ),
                name="products_name_is_clean",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "brand__regex",
                        "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
                        "( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                    ),
                ),
                name="products_brand_is_clean",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("unit__in", ["g", "ml"])),
                name="products_unit",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("kcal_100g__range", (0, 1000))), name="products_kcal_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("protein_100g__range", (0, 100))),
                name="products_protein_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("carbs_100g__range", (0, 100))),
                name="products_carbs_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("fat_100g__range", (0, 100))),
                name="products_fat_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("fiber_100g__range", (0, 100))),
                name="products_fiber_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("sugars_100g__range", (0, 100))),
                name="products_sugars_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("saturated_fat_100g__range", (0, 100))),
                name="products_saturated_fat_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("salt_100g__range", (0, 100))),
                name="products_salt_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.expressions.CombinedExpression(
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.functions.comparison.Coalesce(
                                models.F("protein_100g"),
                                models.Value(Decimal("0"), output_field=models.DecimalField()),
                            ),
                            "+",
                            django.db.models.functions.comparison.Coalesce(
                                models.F("carbs_100g"),
                                models.Value(Decimal("0"), output_field=models.DecimalField()),
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
                name="products_macros_fit_100g",
            ),
        ),
        migrations.AddConstraint(
            model_name="portion",
            constraint=countonme.scope.constraints.DeviceUniqueConstraint(
                fields=("device", "product", "id"), name="portions_device_product_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="portion",
            constraint=countonme.scope.constraints.DeviceUniqueConstraint(
                condition=models.Q(("deleted_at", None), ("is_default", True)),
                fields=("device", "product"),
                name="portions_one_default",
                violation_error_message="A product has one default portion.",
            ),
        ),
        migrations.AddConstraint(
            model_name="portion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "name__regex",
                        "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
                        "( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                    ),
                ),
                name="portions_name_is_clean",
            ),
        ),
        migrations.AddConstraint(
            model_name="portion",
            constraint=models.CheckConstraint(
                condition=models.Q(("grams__range", (Decimal("0.01"), 10000))),
                name="portions_grams_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("servings__range", (Decimal("0.01"), 100))),
                name="products_servings_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=models.Q(("cooked_grams__range", (Decimal("0.01"), 100000))),
                name="products_cooked_grams_in_range",
            ),
        ),
        migrations.AddIndex(
            model_name="recipeitem",
            index=models.Index(
                fields=["device", "product", "position", "id"], name="recipe_items_listed"
            ),
        ),
        migrations.AddIndex(
            model_name="recipeitem",
            index=models.Index(
                fields=["device", "ingredient", "portion"], name="recipe_items_by_ingredient"
            ),
        ),
        migrations.AddConstraint(
            model_name="recipeitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("portion", None), ("quantity", None)),
                    models.Q(("portion__isnull", False), ("quantity__isnull", False)),
                    _connector="OR",
                ),
                name="recipe_items_amount_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="recipeitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("ingredient", models.F("product")), _negated=True),
                name="recipe_items_not_in_itself",
            ),
        ),
        migrations.AddConstraint(
            model_name="recipeitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__range", (Decimal("0.01"), 10000))),
                name="recipe_items_quantity_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="recipeitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("grams__range", (Decimal("0.01"), 10000))),
                name="recipe_items_grams_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="recipeitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__range", (0, 10000))),
                name="recipe_items_position_in_range",
            ),
        ),
        migrations.RunSQL(GTIN, WITHOUT_GTIN),
        migrations.RunSQL(
            BARCODE_IS_GTIN, "ALTER TABLE products DROP CONSTRAINT products_barcode_is_gtin"
        ),
        DeviceScopedTable("Product"),
        DeviceScopedTable("Portion", foreign_keys=[("product",)]),
        DeviceScopedTable(
            "RecipeItem",
            foreign_keys=[("product",), ("ingredient",), ("ingredient", "portion")],
        ),
    ]
