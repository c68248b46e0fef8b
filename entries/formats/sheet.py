"""A CSV that another app wrote: what its headers, dates and numbers mean.

Apps write them as the language and the country of the phone want it. What one cell leaves open,
such as which number of a date is the day, the others of its file decide.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property

from rest_framework.serializers import ValidationError

# More than a person writes in 25 years, 10 a day.
MAX_ROWS = 100_000
# More than ten times as many as any app writes.
MAX_COLUMNS = 1000
DELIMITERS = ",;\t"
# A header, and the unit in parentheses at its end.
HEADER = re.compile(r"(?P<name>.*?)\s*(?:\((?P<unit>[^()]*)\))?")
# What one of a unit is in the unit that nutrients are kept in: kcal, or grams.
KEPT = {
    "kcal": Decimal(1),
    "kj": 1 / Decimal("4.184"),
    "g": Decimal(1),
    "mg": Decimal("0.001"),
}
NOTHING = ("", "-", "--", "n/a", "N/A")
NUMBER = {
    # By whether the comma is the decimal sign.
    False: re.compile(r"-?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?", re.ASCII),
    True: re.compile(r"-?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?", re.ASCII),
}
# What can be a decimal sign only: after it come one or two digits, or more than three.
DECIMAL_COMMA = re.compile(r"[\d.]*,(\d{1,2}|\d{4,})", re.ASCII)
DECIMAL_POINT = re.compile(r"[\d,]*\.(\d{1,2}|\d{4,})", re.ASCII)
# Day, month and year, as numbers or in the order of ISO 8601; a time may follow.
ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?", re.ASCII)
LOCAL_DAY = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?: .*)?", re.ASCII)


@dataclass(frozen=True)
class Column:
    """Where a value stands: the index of its column, and what one of its unit is in ours."""

    index: int
    factor: Decimal = Decimal(1)


@dataclass(frozen=True)
class Layout:
    """The file of an app.

    Attributes:
        title: the app and what it calls the file.
        advice: where people find it, as a sentence.
        texts: the names of the columns of texts and days that it must have.
        numbers: by name, the nutrient that a column has, and its unit where the header has none.
    """

    title: str
    advice: str
    texts: tuple[str, ...]
    numbers: Mapping[str, tuple[str, str]]


class Sheet:
    """The rows of a file, and its columns by the names of a layout.

    Raises:
        ValidationError: it is no such file; the sentence says what to do.
    """

    def __init__(self, file: bytes, layout: Layout) -> None:
        self.delimiter = ","
        # By its number, as spreadsheets count: the cells of each row that is not blank.
        self.rows = dict(self._rows(self._decoded(file)))
        self.layout = layout
        header = self.rows.pop(min(self.rows), []) if self.rows else []
        self.headers: dict[str, tuple[int, str]] = {}
        for index, cell in enumerate(header):
            found = HEADER.fullmatch(" ".join(cell.casefold().split()))
            assert found is not None
            self.headers.setdefault(found["name"], (index, found["unit"] or ""))
        self.texts = {name: self.headers[name][0] for name in layout.texts if name in self.headers}

    def missing(self) -> list[str]:
        """Return what columns it must have and has not."""
        missing = [name.title() for name in self.layout.texts if name not in self.texts]
        return missing if "kcal" in self.numbers else [*missing, "of the energy"]

    @cached_property
    def numbers(self) -> dict[str, Column]:
        """The columns of nutrients whose unit is known."""
        found: dict[str, Column] = {}
        for name, (nutrient, unit) in self.layout.numbers.items():
            index, written = self.headers.get(name, (-1, ""))
            factor = KEPT.get(written or unit)
            if index >= 0 and factor is not None:
                found.setdefault(nutrient, Column(index, factor))
        return found

    def cell(self, row: Sequence[str], index: int) -> str:
        """Return a cell; short rows have empty ones."""
        return row[index].strip() if index < len(row) else ""

    def text(self, row: Sequence[str], name: str) -> str:
        """Return the text of a column that the layout has."""
        return self.cell(row, self.texts[name])

    def amount(self, row: Sequence[str], nutrient: str) -> Decimal | None:
        """Return how much of a nutrient a row has, in kcal or grams; None if it does not tell.

        Raises:
            ValueError: the cell has no number.
        """
        column = self.numbers[nutrient]
        number = self.number(self.cell(row, column.index))
        return None if number is None else number * column.factor

    def number(self, cell: str) -> Decimal | None:
        """Return the number that a cell has, or None for one that has none.

        Raises:
            ValueError: it is no number.
        """
        if cell in NOTHING:
            return None
        compact = cell.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
        if not re.search(r"\d", compact) or not NUMBER[self.has_decimal_comma].fullmatch(compact):
            raise ValueError("Not a number.")
        thousands, point = (".", ",") if self.has_decimal_comma else (",", ".")
        return Decimal(compact.replace(thousands, "").replace(point, "."))

    @cached_property
    def has_decimal_comma(self) -> bool:
        """Whether the comma is the decimal sign.

        Where no number tells, it is unless it separates cells.
        """
        columns = self.numbers.values()
        cells = [self.cell(row, column.index) for row in self.rows.values() for column in columns]
        if any(DECIMAL_POINT.fullmatch(cell) for cell in cells):
            return False
        return self.delimiter != "," or any(DECIMAL_COMMA.fullmatch(cell) for cell in cells)

    def day(self, cell: str) -> str:
        """Return the day that a cell has, as `YYYY-MM-DD`.

        Raises:
            ValueError: it has none.
        """
        if found := ISO_DAY.fullmatch(cell):
            return date(*map(int, found.groups())).isoformat()
        return local_day(cell, self.is_day_first).isoformat()

    @cached_property
    def is_day_first(self) -> bool:
        """Whether days stand before months in its dates.

        Raises:
            ValidationError: its dates don't tell, or contradict each other.
        """
        column = self.texts[self.layout.texts[0]]
        cells = {self.cell(row, column) for row in self.rows.values()}
        readings = [
            [_read(cell, is_day_first) for cell in sorted(cells)] for is_day_first in (True, False)
        ]
        day_first, month_first = readings
        unreadable = [
            any(here is None and there is not None for here, there in zip(*pair, strict=True))
            for pair in ((day_first, month_first), (month_first, day_first))
        ]
        match unreadable:
            case [False, True]:
                return True
            case [True, False]:
                return False
            case [True, True]:
                raise ValidationError("Some of its dates have the day first, and others the month.")
        if day_first == month_first:
            return True
        unclear = next(
            cell
            for cell, here, there in zip(sorted(cells), *readings, strict=True)
            if here != there
        )
        raise ValidationError(
            f"Nothing in the file tells whether {unclear} has the day or the month first. Export "
            "more days, of which one is after the 12th of its month."
        )

    def _decoded(self, file: bytes) -> str:
        if file.startswith(b"PK\x03\x04"):
            raise ValidationError(
                "This is a ZIP archive or a workbook. Unpack it, and send the CSV that is in it."
            )
        try:
            text = file.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValidationError(
                "This is no CSV in UTF-8. Send the file as the app exported it."
            ) from error
        if "\0" in text:
            raise ValidationError("This is no CSV: it has NUL characters.")
        return text

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        first_line = text.lstrip("\r\n").partition("\n")[0]
        self.delimiter = max(DELIMITERS, key=first_line.count)
        if first_line.count(self.delimiter) >= MAX_COLUMNS:
            raise ValidationError(f"This is no diary: it has more than {MAX_COLUMNS:,} columns.")
        number = 0
        try:
            for number, row in enumerate(
                csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter), 1
            ):
                if any(map(str.strip, row)):
                    yield number, row
                if number > MAX_ROWS:
                    raise ValidationError(
                        f"The file has more than {MAX_ROWS:,} rows. Send it in parts."
                    )
        except csv.Error as error:
            raise ValidationError(
                f"Row {number + 1} can't be read as CSV: a quote may be open, or a line too long."
            ) from error


def local_day(cell: str, is_day_first: bool) -> date:
    """Return the day of a date in numbers.

    Raises:
        ValueError: it is no date, or there is no such day.
    """
    found = LOCAL_DAY.fullmatch(cell)
    if found is None:
        raise ValueError("Not a date.")
    first, sign, second, year = found.groups()
    # With dots between them, the day comes first everywhere.
    day, month = (first, second) if is_day_first or sign == "." else (second, first)
    return date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))


def _read(cell: str, is_day_first: bool) -> date | None:
    try:
        return local_day(cell, is_day_first)
    except ValueError:
        return None
