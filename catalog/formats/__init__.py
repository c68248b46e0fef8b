"""The formats that `import_catalog` reads.

A format is a module with `SOURCE`, or None where the caller names the source, and `read()`:

    def read(path: str, progress: Progress) -> Iterator[Record | Unreadable]

It yields what the file holds as it reads it. It raises `BrokenFile` if the file can't be read, is
not of the format, or ends too early; what came before that was yielded.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceInfo:
    """What a format says of its `Source`, under the names of its columns."""

    source: str
    name: str
    licence: str
    url: str
