"""What may be sent for a field of each kind, as it stands in a request's text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.helpers.values import (
    DATES_REFUSED,
    HUGE,
    NAMES_KEPT,
    NAMES_REFUSED,
    NOT_IDS,
    NOT_NUMBERS,
    TIMESTAMPS_KEPT,
    TIMESTAMPS_REFUSED,
)

EMPTY_STRINGS = ('""', '"  "', '" \\t "')
# Numbers as phones write them, and what is kept of them with two decimals.
ROUNDED = {
    "0": "0",
    "-0": "0",
    "1": "1",
    "0.00": "0",
    "-0.0": "0",
    "0.30000000000000004": "0.3",
    "72.400000000000006": "72.4",
    "3.5999999046325684": "3.6",
    "81.6466266": "81.65",
    "0.3333333333333333": "0.33",
    "1.005": "1.01",
    "12.100": "12.1",
    "1.25e1": "12.5",
    "12.345": "12.35",
    "0.004": "0",
    "4e-3": "0",
    "0.005": "0.01",
    "-0.004": "0",
    "-0.005": "-0.01",
    "49.994": "49.99",
    "49.995": "50",
    "100.004": "100",
    "100.005": "100.01",
    "1e2": "100",
    "499.99499999999995": "499.99",
    "500.005": "500.01",
    "1000.0049999999999": "1000",
    "10000.004": "10000",
    "10000.005": "10000.01",
    "1e3": "1000",
    "1e4": "10000",
    "1e5": "100000",
    "-80": "-80",
    "1e-400": "0",
    "1e-99999999999999999999": "0",
}
BEYOND_ALL_BOUNDS = {
    "1e400": "max_value",
    "-1e400": "min_value",
    HUGE: "max_value",
    f"-{HUGE}": "min_value",
    "1e999999999": "max_value",
    "1e99999999999999999999": "max_value",
    "-1e99999999999999999999": "min_value",
}


@dataclass(frozen=True)
class Rule:
    """What is kept of a text, and by which code another is refused."""

    kept: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    is_string: bool = False

    @property
    def empty(self) -> tuple[str, ...]:
        """What is null: `null`, and of a string an empty one."""
        return ("null", *EMPTY_STRINGS) if self.is_string else ("null",)

    def nullable(self) -> Rule:
        """Return the rule of a field that may be null."""
        blank = [sent for sent, code in self.refused.items() if code == "blank"]
        return replace(self.with_own_null(), kept=self.kept | dict.fromkeys((*self.empty, *blank)))

    def never_null(self) -> Rule:
        """Return the rule of a field that could be null, where others had another value."""
        return replace(self, refused=self.refused | dict.fromkeys(self.empty, "null"))

    def with_own_null(self) -> Rule:
        """Return the rule of a field of which the app's own tests say when it may be null."""
        refused = {
            sent: code
            for sent, code in self.refused.items()
            if sent not in self.empty and code != "blank"
        }
        return replace(self, refused=refused)

    def keeping(self, *sent: str) -> Rule:
        """Return the same rule where these alone are kept, for other reasons."""
        return replace(self, kept={text: self.kept[text] for text in sent})


# The app's own tests say it all.
OWN = Rule()
NAME = Rule(dict(NAMES_KEPT), dict(NAMES_REFUSED), is_string=True)
DAY = Rule(
    {f'"{day}"': day for day in ("2000-01-01", "2024-02-29", "2025-02-05", "2100-12-31")},
    dict(DATES_REFUSED),
    is_string=True,
)
TIMESTAMP = Rule(
    {f'"{sent}"': answered for sent, answered in TIMESTAMPS_KEPT},
    {"null": "null"} | dict.fromkeys(TIMESTAMPS_REFUSED, "invalid"),
    is_string=True,
)
BOOLEAN = Rule(
    {"true": True, "false": False},
    {"null": "null"}
    | dict.fromkeys(("1", "0", '"true"', '"on"', '""', "[]", "{}", '"\\ud800"'), "invalid"),
)


def decimal(low: str, high: str, *, refused_over: str = "") -> Rule:
    """Return the rule of a number of two decimals.

    Args:
        refused_over: the field's own bound, where another rule allows less.
    """
    numbers = ROUNDED | dict(around(low)) | dict(around(high)) | dict(around(refused_over or high))
    kept, refused = {}, dict(NOT_NUMBERS) | BEYOND_ALL_BOUNDS | {"null": "null"}
    for sent, rounded in numbers.items():
        if Decimal(rounded) < Decimal(low):
            refused[sent] = "min_value"
        elif Decimal(rounded) <= Decimal(high):
            kept[sent] = float(rounded)
        elif Decimal(rounded) > Decimal(refused_over or high):
            refused[sent] = "max_value"
    return Rule(kept, refused)


def around(bound: str) -> Iterable[tuple[str, str]]:
    """Yield numbers at a bound and next to it, with what they are rounded half up to."""
    for off in ("-0.01", "-0.005", "-0.004", "0", "0.00", "0.004", "0.005", "0.01"):
        number = Decimal(bound) + Decimal(off)
        yield str(number), str(number.quantize(Decimal("0.01"), ROUND_HALF_UP))


def whole(low: int, high: int, *, kept: Sequence[int] = ()) -> Rule:
    """Return the rule of an integer, which is what lies within a millionth of one.

    Args:
        kept: what alone may be tried, where other rules allow no more.
    """
    taken, refused = {}, dict(NOT_NUMBERS) | BEYOND_ALL_BOUNDS | {"null": "null"}
    for number in kept or (low, high):
        for off in ("-1e-6", "-5e-7", "-1e-9", "0", "0.0", "1e-9", "5e-7", "1e-6"):
            taken[str(Decimal(number) + Decimal(off))] = number
        for off in ("-0.5", "-0.0000011", "0.0000011", "0.01", "0.5"):
            refused[str(Decimal(number) + Decimal(off))] = "invalid"
    if not kept:
        taken |= {str(low + 1): low + 1, f"{high - 1}.0": high - 1}
    refused |= {
        "1e-1": "invalid",
        "1.5": "invalid",
        str(low - 1): "min_value",
        f"{low - 1}.0000005": "min_value",
    }
    refused |= {str(n): "max_value" for n in (high + 1, 32_768, 40_000)}
    if 0 in (kept or [low]):
        taken |= dict.fromkeys(("-0", "-0.0", "1e-400", "1e-99999999999999999999"), 0)
    return Rule(taken, refused)


def choice(*names: str) -> Rule:
    """Return the rule of a field that takes one of these names."""
    one = names[0]
    others = ("", one.upper(), one.title(), f"{one} ", f"{one}\0", "nonsense")
    refused = [*map(json.dumps, others), '"\\ud800"', "1", "true", "[]", f'["{one}"]', "{}"]
    return Rule(
        {json.dumps(name): name for name in names},
        {"null": "null"} | dict.fromkeys([*refused, f'{{"{one}": 1}}'], "invalid_choice"),
        is_string=True,
    )


def reference(*ids: str) -> Rule:
    """Return the rule of a field that names a row, one of these."""
    spelt = {f'"{text}"': key for key in ids for text in (key, key.upper(), key.title())}
    return Rule(spelt, {"null": "null"} | dict.fromkeys(NOT_IDS, "invalid"), is_string=True)
