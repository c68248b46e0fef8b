from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from catalog.models import Source

STARTER = Path(__file__).resolve().parents[2] / "starter.csv"


class Command(BaseCommand):
    help = (
        "Bring some hundred generic foods of USDA FoodData Central into the catalog, unless foods "
        "were imported before. `make run` does it, so that there is something to find."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not Source.objects.exclude(imported_at=None).exists():
            call_command("import_catalog", "csv", str(STARTER), source="fdc", stdout=StringIO())
