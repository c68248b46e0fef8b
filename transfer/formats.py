"""The files of other apps that can be imported. Apps register how each becomes their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from transfer.importing import File

# A function that reads a file. It raises ValidationError with what a person needs to know if it is
# none of this format.
Read = Callable[[bytes], File]
R = TypeVar("R", bound=Read)

_registered: dict[str, Read] = {}


def register(name: str) -> Callable[[R], R]:
    """Return a decorator: the function reads files of the format with this name."""

    def add(read: R) -> R:
        _registered[name] = read
        return read

    return add


def formats() -> dict[str, Read]:
    """Return the functions by the names of their formats."""
    return dict(sorted(_registered.items()))
