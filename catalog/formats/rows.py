"""The rows of a CSV file, those that are whole and those that are not."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from catalog.formats.files import BrokenFile
from catalog.records import Unreadable


class Rows:
    """The rows of a CSV file that has a header line.

    Attributes:
        header: the names of the columns, in lower case.
    """

    def __init__(self, lines: Iterable[str], file: str, delimiter: str = ",") -> None:
        """Read the header.

        Args:
            file: what the file is called in messages.

        Raises:
            BrokenFile: the file is empty, or its header can't be read.
        """
        self.file = file
        # Strict, so that a quote that is never closed is an error.
        self.reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next(self.reader, [])
        except csv.Error as error:
            raise BrokenFile(f"{file} has no header.") from error
        if not header:
            raise BrokenFile(f"{file} is empty.")
        self.header = [name.strip().lower() for name in header]

    def __iter__(self) -> Iterator[list[str] | Unreadable]:
        """Yield the rows that are as long as the header, and what is wrong with the others.

        Raises:
            BrokenFile: the last row is shorter than the header, or ends between quotes.
        """
        width = len(self.header)
        # What may have been cut off, if it is the last row.
        incomplete: Unreadable | None = None
        while True:
            try:
                for row in self.reader:
                    if incomplete is not None:
                        yield incomplete
                        incomplete = None
                    if len(row) == width:
                        yield row
                    elif row:
                        wrong = Unreadable("wrong number of columns", self.place)
                        if len(row) < width:
                            incomplete = wrong
                        else:
                            yield wrong
                break
            except csv.Error:
                if incomplete is not None:
                    yield incomplete
                incomplete = Unreadable("wrong quotes", self.place)
        if incomplete is not None:
            raise BrokenFile(f"{self.file} ends too early.")

    @property
    def place(self) -> str:
        """Where the current row ends, for people."""
        return f"line {self.reader.line_num}"
