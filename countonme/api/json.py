"""JSON in, JSON out, whatever `Accept` says."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import IO, Any

import orjson
from django.http import HttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request


class AlwaysJSON(BaseContentNegotiation):
    """Choose the parser by the body's media type. `Accept` is ignored: every answer is JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        media_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == media_type), None)


class JSONParser(BaseParser):
    """Parse a JSON object in UTF-8. Its numbers become ints and doubles, as on phones."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the object.

        Raises:
            ParseError: the body is not JSON, is nested too deep, or is no object.
        """
        try:
            # Windows programs write a byte order mark, which RFC 8259 (8.1) lets us ignore.
            text = stream.read().removeprefix(BOM_UTF8).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError("The body is not in UTF-8") from error
        try:
            data = json.loads(
                text,
                parse_int=_parse_int,
                parse_constant=_refuse,
            )
        except (ValueError, RecursionError) as error:
            raise ParseError("The body is not valid JSON") from error
        if not isinstance(data, dict):
            raise ParseError("The body is not a JSON object")
        return data


class JSONAnswer(HttpResponse):
    """Plain data as JSON: UUIDs, dates and timestamps become strings, decimals numbers."""

    def __init__(
        self, data: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = dumps(data)
        length = {"Content-Length": str(len(body))}
        super().__init__(body, "application/json", status, headers=length | dict(headers or {}))


def dumps(data: Any) -> bytes:
    """Return plain data as JSON."""
    return orjson.dumps(data, default=_number, option=orjson.OPT_UTC_Z)


def stream_tables(
    head: Mapping[str, Any], tables: Iterable[tuple[str, Iterable[Sequence[Any]]]]
) -> Iterator[bytes]:
    """Yield an object as JSON, piece by piece: what is in `head`, and then `rows`, by table.

    Args:
        tables: each table's name, and its rows in batches, which are read as they are sent.
    """
    yield dumps(head)[:-1] + b',"rows":{'
    for place, (name, batches) in enumerate(tables):
        yield (b"],\n" if place else b"\n") + dumps(name) + b":["
        for number, batch in enumerate(batches):
            yield (b",\n" if number else b"\n") + b",\n".join(map(dumps, batch))
    yield b"]}}\n"


def _parse_int(digits: str) -> int | float:
    """Read a long number as a float, and leave it to the field to call it too large.

    Python refuses to read thousands of digits as an int.
    """
    return int(digits) if len(digits) <= 20 else float(digits)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _number(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError
