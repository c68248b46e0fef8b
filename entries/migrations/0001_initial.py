"""Food entries, under their triggers."""

import datetime
import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import countonme.scope.keys
import products.names
from countonme.scope.migrations import DeviceScopedTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("devices", "0001_initial"),
        ("products", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="FoodEntry",
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
                    "date",
                    models.DateField(
                        validators=[
                            django.core.validators.MinValueValidator(datetime.date(2000, 1, 1)),
                            django.core.validators.MaxValueValidator(datetime.date(2100, 12, 31)),
                        ]
                    ),
                ),
                (
                    "meal_type",
                    models.CharField(
                        choices=[
                            ("breakfast", "Breakfast"),
                            ("lunch", "Lunch"),
                            ("dinner", "Dinner"),
                            ("snacks", "Snacks"),
                        ],
                        max_length=9,
                    ),
                ),
                ("name", products.names.NameField(max_length=100)),
                (
                    "name_folded",
                    products.names.FoldedField(
                        blank=True, db_collation="C", editable=False, source="name"
                    ),
                ),
                (
                    "unit",
                    models.CharField(choices=[("g", "g"), ("ml", "ml")], default="g", max_length=2),
                ),
                (
                    "grams",
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
                    "kcal",
                    models.DecimalField(
                        decimal_places=2,
                        help_text="In kcal.",
                        max_digits=8,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100000),
                        ],
                    ),
                ),
                (
                    "protein",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "carbs",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "fat",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "fiber",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "sugars",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "saturated_fat",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                (
                    "salt",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="In g.",
                        max_digits=7,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(10000),
                        ],
                    ),
                ),
                ("eaten_at", models.DateTimeField(blank=True, null=True)),
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
                    "portion",
                    countonme.scope.keys.ScopedForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="entries",
                        to="products.portion",
                    ),
                ),
                (
                    "product",
                    countonme.scope.keys.ScopedForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="entries",
                        to="products.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "food entry",
                "verbose_name_plural": "food entries",
                "db_table": "food_entries",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
                "indexes": [
                    models.Index(
                        models.F("device"),
                        models.OrderBy(models.F("date"), descending=True),
                        models.F("created_at"),
                        models.F("id"),
                        condition=models.Q(("deleted_at", None)),
                        name="food_entries_by_day",
                    ),
                    models.Index(
                        models.F("device"),
                        models.F("product"),
                        models.OrderBy(models.F("date"), descending=True),
                        models.F("created_at"),
                        models.F("id"),
                        condition=models.Q(("product__isnull", False)),
                        include=("meal_type", "deleted_at"),
                        name="food_entries_by_product",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "name__regex",
                                "^[^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"
                                "( [^\\u0001-\\u001f\\u007f-\\u009f\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+)*$",
                            ),
                        ),
                        name="food_entries_name_is_clean",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("unit__in", ["g", "ml"])),
                        name="food_entries_unit",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("meal_type__in", ["breakfast", "lunch", "dinner", "snacks"])
                        ),
                        name="food_entries_meal_type",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("portion", None), ("product", None), ("quantity", None)),
                            models.Q(
                                ("grams__isnull", False),
                                ("portion", None),
                                ("product__isnull", False),
                                ("quantity", None),
                            ),
                            models.Q(
                                ("grams__isnull", False),
                                ("portion__isnull", False),
                                ("product__isnull", False),
                                ("quantity__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="food_entries_amount_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "date__range",
                                (datetime.date(2000, 1, 1), datetime.date(2100, 12, 31)),
                            )
                        ),
                        name="food_entries_date_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("grams__range", (Decimal("0.01"), 10000))),
                        name="food_entries_grams_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__range", (Decimal("0.01"), 10000))),
                        name="food_entries_quantity_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kcal__range", (0, 100000))),
                        name="food_entries_kcal_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("protein__range", (0, 10000))),
                        name="food_entries_protein_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("carbs__range", (0, 10000))),
                        name="food_entries_carbs_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fat__range", (0, 10000))),
                        name="food_entries_fat_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fiber__range", (0, 10000))),
                        name="food_entries_fiber_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sugars__range", (0, 10000))),
                        name="food_entries_sugars_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("saturated_fat__range", (0, 10000))),
                        name="food_entries_saturated_fat_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("salt__range", (0, 10000))),
                        name="food_entries_salt_in_range",
                    ),
                ],
            },
        ),
        DeviceScopedTable("FoodEntry", foreign_keys=[("product",), ("product", "portion")]),
    ]
