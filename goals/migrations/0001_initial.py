"""Goals, body weights and water, under their triggers."""

import datetime
import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.db import migrations, models

import countonme.scope.constraints
import countonme.scope.keys
import goals.models
from countonme.scope.migrations import DeviceScopedTable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("devices", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="BodyWeight",
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
                    "weight_kg",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(500),
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
            ],
            options={
                "verbose_name": "body weight",
                "db_table": "body_weights",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
                "constraints": [
                    countonme.scope.constraints.DeviceUniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("device", "date"),
                        name="body_weights_one_a_day",
                        violation_error_message="A day has one body weight.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "date__range",
                                (datetime.date(2000, 1, 1), datetime.date(2100, 12, 31)),
                            )
                        ),
                        name="body_weights_date_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("weight_kg__range", (Decimal("0.01"), 500))),
                        name="body_weights_weight_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Goal",
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
                    "goal_type",
                    models.CharField(
                        choices=[("calculated", "Calculated"), ("manual", "Manual")], max_length=10
                    ),
                ),
                (
                    "gender",
                    models.CharField(
                        choices=[("male", "Male"), ("female", "Female")], max_length=6, null=True
                    ),
                ),
                ("birth_date", models.DateField(null=True, validators=[goals.models.validate_age])),
                (
                    "height_cm",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(50),
                            django.core.validators.MaxValueValidator(300),
                        ],
                    ),
                ),
                (
                    "current_weight_kg",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(10),
                            django.core.validators.MaxValueValidator(500),
                        ],
                    ),
                ),
                (
                    "activity_level",
                    models.CharField(
                        choices=[
                            ("sedentary", "Sedentary"),
                            ("light", "Light"),
                            ("moderate", "Moderate"),
                            ("active", "Active"),
                            ("very_active", "Very active"),
                        ],
                        max_length=11,
                        null=True,
                    ),
                ),
                (
                    "weight_goal_type",
                    models.CharField(
                        choices=[("lose", "Lose"), ("maintain", "Maintain"), ("gain", "Gain")],
                        max_length=8,
                        null=True,
                    ),
                ),
                (
                    "target_weight_kg",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.01")),
                            django.core.validators.MaxValueValidator(500),
                        ],
                    ),
                ),
                (
                    "weight_change_pace",
                    models.CharField(
                        choices=[
                            ("slow", "Slow"),
                            ("moderate", "Moderate"),
                            ("aggressive", "Aggressive"),
                        ],
                        max_length=10,
                        null=True,
                    ),
                ),
                (
                    "bmr_kcal",
                    models.SmallIntegerField(
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(15000),
                        ],
                    ),
                ),
                (
                    "tdee_kcal",
                    models.SmallIntegerField(
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(15000),
                        ],
                    ),
                ),
                (
                    "healthy_weight_min_kg",
                    models.DecimalField(
                        decimal_places=1,
                        max_digits=4,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(225),
                        ],
                    ),
                ),
                (
                    "healthy_weight_max_kg",
                    models.DecimalField(
                        decimal_places=1,
                        max_digits=4,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(225),
                        ],
                    ),
                ),
                (
                    "current_bmi",
                    models.DecimalField(
                        decimal_places=1,
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(2000),
                        ],
                    ),
                ),
                (
                    "bmi_category",
                    models.CharField(
                        choices=[
                            ("underweight", "Underweight"),
                            ("normal", "Normal"),
                            ("overweight", "Overweight"),
                            ("obese", "Obese"),
                        ],
                        max_length=11,
                        null=True,
                    ),
                ),
                (
                    "daily_calories_kcal",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(15000),
                        ]
                    ),
                ),
                (
                    "protein_percent",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ]
                    ),
                ),
                (
                    "carbs_percent",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ]
                    ),
                ),
                (
                    "fat_percent",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100),
                        ]
                    ),
                ),
                (
                    "protein_grams",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(3750),
                        ]
                    ),
                ),
                (
                    "carbs_grams",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(3750),
                        ]
                    ),
                ),
                (
                    "fat_grams",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(3750),
                        ]
                    ),
                ),
                (
                    "water_ml",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(16500),
                        ]
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
            ],
            options={
                "verbose_name": "goal",
                "db_table": "goals",
                "abstract": False,
                "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
                "default_manager_name": "objects",
                "constraints": [
                    countonme.scope.constraints.DeviceUniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("device",),
                        name="goals_one_live",
                        violation_error_message="A device has one goal.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("activity_level", None),
                                ("birth_date", None),
                                ("bmi_category", None),
                                ("bmr_kcal", None),
                                ("current_bmi", None),
                                ("current_weight_kg", None),
                                ("gender", None),
                                ("goal_type", "manual"),
                                ("healthy_weight_max_kg", None),
                                ("healthy_weight_min_kg", None),
                                ("height_cm", None),
                                ("target_weight_kg", None),
                                ("tdee_kcal", None),
                                ("weight_change_pace", None),
                                ("weight_goal_type", None),
                            ),
                            models.Q(
                                ("activity_level__isnull", False),
                                ("birth_date__isnull", False),
                                ("bmi_category__isnull", False),
                                ("bmr_kcal__isnull", False),
                                ("current_bmi__isnull", False),
                                ("current_weight_kg__isnull", False),
                                ("gender__isnull", False),
                                ("goal_type", "calculated"),
                                ("healthy_weight_max_kg__isnull", False),
                                ("healthy_weight_min_kg__isnull", False),
                                ("height_cm__isnull", False),
                                ("tdee_kcal__isnull", False),
                                ("weight_goal_type__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="goals_type_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("weight_goal_type", None),
                            models.Q(
                                ("target_weight_kg", None),
                                ("weight_change_pace", None),
                                ("weight_goal_type", "maintain"),
                            ),
                            models.Q(
                                models.Q(
                                    models.Q(
                                        ("target_weight_kg__lt", models.F("current_weight_kg")),
                                        ("weight_goal_type", "lose"),
                                    ),
                                    models.Q(
                                        ("target_weight_kg__gt", models.F("current_weight_kg")),
                                        ("weight_goal_type", "gain"),
                                    ),
                                    _connector="OR",
                                ),
                                ("target_weight_kg__isnull", False),
                                ("weight_change_pace__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="goals_weight_change_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "protein_percent",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.Value(100), "-", models.F("carbs_percent")
                                    ),
                                    "-",
                                    models.F("fat_percent"),
                                ),
                            )
                        ),
                        name="goals_percents_are_100",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("gender__in", ["male", "female"])),
                        name="goals_gender_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "activity_level__in",
                                ["sedentary", "light", "moderate", "active", "very_active"],
                            )
                        ),
                        name="goals_activity_level_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("weight_goal_type__in", ["lose", "maintain", "gain"])),
                        name="goals_weight_goal_type_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("weight_change_pace__in", ["slow", "moderate", "aggressive"])
                        ),
                        name="goals_weight_change_pace_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("bmi_category__in", ["underweight", "normal", "overweight", "obese"])
                        ),
                        name="goals_bmi_category_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "birth_date__range",
                                (datetime.date(1850, 1, 1), datetime.date(2100, 12, 31)),
                            )
                        ),
                        name="goals_birth_date_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("height_cm__range", (50, 300))),
                        name="goals_height_cm_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("current_weight_kg__range", (10, 500))),
                        name="goals_current_weight_kg_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("target_weight_kg__range", (Decimal("0.01"), 500))),
                        name="goals_target_weight_kg_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bmr_kcal__range", (1, 15000))),
                        name="goals_bmr_kcal_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("tdee_kcal__range", (1, 15000))),
                        name="goals_tdee_kcal_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("healthy_weight_min_kg__range", (0, 225))),
                        name="goals_healthy_weight_min_kg_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("healthy_weight_max_kg__range", (0, 225))),
                        name="goals_healthy_weight_max_kg_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("current_bmi__range", (0, 2000))),
                        name="goals_current_bmi_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("daily_calories_kcal__range", (1, 15000))),
                        name="goals_daily_calories_kcal_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("protein_percent__range", (0, 100))),
                        name="goals_protein_percent_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("carbs_percent__range", (0, 100))),
                        name="goals_carbs_percent_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fat_percent__range", (0, 100))),
                        name="goals_fat_percent_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("protein_grams__range", (0, 3750))),
                        name="goals_protein_grams_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("carbs_grams__range", (0, 3750))),
                        name="goals_carbs_grams_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fat_grams__range", (0, 3750))),
                        name="goals_fat_grams_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("water_ml__range", (0, 16500))),
                        name="goals_water_ml_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WaterEntry",
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
                    "ml",
                    models.SmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(10000),
                        ]
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
            ],
            options={
                "verbose_name": "water entry",
                "verbose_name_plural": "water entries",
                "db_table": "water_entries",
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
                        name="water_entries_by_day",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "date__range",
                                (datetime.date(2000, 1, 1), datetime.date(2100, 12, 31)),
                            )
                        ),
                        name="water_entries_date_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ml__range", (1, 10000))),
                        name="water_entries_ml_in_range",
                    ),
                ],
            },
        ),
        DeviceScopedTable("Goal"),
        DeviceScopedTable("BodyWeight"),
        DeviceScopedTable("WaterEntry"),
    ]
