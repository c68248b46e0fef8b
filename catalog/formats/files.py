"""Files as the formats read them: gzipped or not, from disk or from standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

# Called with the number of bytes that were read since the last call.
Progress = Callable[[int], Any]
STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
BUFFER = 1024 * 1024


class BrokenFile(Exception):
    """A file can't be read, is not of its format, or ends too early. The message is a sentence."""


class _Counted(io.RawIOBase):
    """A stream that says how many bytes were read from it."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self.stream = stream
        self.progress = progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.progress(len(data))
        return len(data)


@contextmanager
def opened(path: str, progress: Progress) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for `-`, and unpack it if it is gzipped.

    Args:
        progress: called with the bytes that were read of the file as it is, packed or not.

    Raises:
        BrokenFile: it can't be opened or read, or ends in the middle of what gzip packed.
    """
    try:
        with sys.stdin.buffer if path == STANDARD_INPUT else Path(path).open("rb") as file:
            counted = io.BufferedReader(_Counted(file, progress), BUFFER)
            is_packed = counted.peek(len(GZIP)).startswith(GZIP)
            yield gzip.GzipFile(fileobj=counted) if is_packed else counted  # type: ignore[misc]  # is a stream
    except EOFError as error:
        raise BrokenFile(f"{path} ends too early.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise BrokenFile(f"{path} is damaged.") from error
    except OSError as error:
        raise BrokenFile(f"{path} can't be read: {error.strerror or error}.") from error


def size_of(path: str) -> int | None:
    """Return the size in bytes of a file, or of all files in a folder; None if it is not known."""
    if path == STANDARD_INPUT:
        return None
    try:
        files = Path(path).iterdir() if Path(path).is_dir() else [Path(path)]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return None
