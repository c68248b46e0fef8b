"""How the rows of other apps become food entries without a product."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, ClassVar

from rest_framework.serializers import ValidationError

from entries.formats.sheet import Layout, Sheet
from entries.models import FoodEntry, MealType
from entries.serializers import FoodEntrySerializer
from sync.changes import sentence
from transfer.importing import File
from transfer.tables import RowReader

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "countonme:import")
TABLE = FoodEntry._meta.db_table
# A gram of sodium is in so much salt, as labels in the EU count it (Regulation 1169/2011, annex I).
SALT_OF_SODIUM = Decimal("2.5")


class Diary:
    """The diary of an app, in a file of that app. Each app has a class of its own."""

    # What `format` says in a call.
    format: ClassVar[str]
    layout: ClassVar[Layout]
    # The names of the columns that have the day and the meal.
    day: ClassVar[str]
    meal: ClassVar[str]

    def __init__(self, file: bytes) -> None:
        self.sheet = Sheet(file, self.layout)

    def describe(self, row: list[str]) -> dict[str, Any]:
        """Return name, grams and unit of what was eaten, as far as a row tells.

        Raises:
            ValueError: it is nothing that was eaten.
        """
        raise NotImplementedError

    @classmethod
    def read(cls, file: bytes, others: Iterable[type[Diary]] = ()) -> File:
        """Return the food entries of a file. Rows that can't be read are left out by number.

        Args:
            others: the diaries of other apps, whose files are told by name.

        Raises:
            ValidationError: it is no such file; the sentence says what to do.
        """
        diary = cls(file)
        if missing := diary.sheet.missing():
            for other in others:
                if not other(file).sheet.missing():
                    raise ValidationError(
                        f"This is {other.layout.title}: send it with format={other.format}."
                    )
            raise ValidationError(
                f"This is not {cls.layout.title}, which has a column {' and one '.join(missing)}. "
                f"{cls.layout.advice}"
            )
        # Before any row: where the file leaves open what its days are, none can be read.
        _ = diary.sheet.is_day_first
        found, rejected = File(), {}
        rows = found.rows[TABLE] = {}
        reader = RowReader(FoodEntrySerializer)
        for number, key, row in diary.numbered():
            try:
                rows[key] = reader.read(diary.record(row)) | {"id": key}
                found.names[key] = str(number)
            except ValidationError as error:
                rejected[str(number)] = sentence(error)
        if rejected:
            found.rejected[TABLE] = rejected
        return found

    def numbered(self) -> Iterator[tuple[int, uuid.UUID, list[str]]]:
        """Yield each row with its number and its id.

        The id follows from what is in the row, and from how often the same came before: two equal
        coffees have two ids, and a file that is sent again has the same ones.
        """
        seen: Counter[str] = Counter()
        for number, row in self.sheet.rows.items():
            # A line break in a cell is written in more than one way.
            content = json.dumps([" ".join(cell.split()) for cell in row])
            seen[content] += 1
            name = f"{self.format}\n{seen[content]}\n{content}"
            yield number, uuid.uuid5(NAMESPACE, name), row

    def record(self, row: list[str]) -> dict[str, Any]:
        """Return a row as a client would send it over REST.

        Raises:
            ValidationError: it lists every column that can't be read.
        """
        sheet = self.sheet
        values: dict[str, Any] = {"meal_type": meal_type(sheet.text(row, self.meal))}
        errors: dict[str, list[str]] = {}

        def read(name: str, function: Callable[..., Any], *args: Any) -> None:
            try:
                values[name] = function(*args)
            except ValueError as error:
                errors[name] = [str(error)]

        read("date", sheet.day, sheet.text(row, self.day))
        for nutrient in sheet.numbers:
            read(nutrient, sheet.amount, row, nutrient)
        sodium = values.pop("sodium", None)
        if "sodium" in errors:
            errors["salt"] = errors.pop("sodium")
        values["salt"] = None if sodium is None else sodium * SALT_OF_SODIUM
        read("name", self.describe, row)
        values |= values.pop("name", {})
        if errors:
            raise ValidationError(errors)
        return {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
        }


def meal_type(text: str) -> str:
    """Return the meal of ours that an app's meal is; one of a person's own making is a snack."""
    known = text.casefold()
    return known if known in MealType.values else MealType.SNACKS
