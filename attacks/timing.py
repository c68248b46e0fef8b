"""Whether the time of an answer tells why it was given."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

WARM_UP = 50


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def assert_alike(calls: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """The medians of all kinds of calls differ by less than the noise.

    Each round makes one call of each kind, in a random order. The noise is the interquartile range
    of the times of one kind: how far a single call may be off.
    """
    times: dict[str, list[float]] = {kind: [] for kind in calls}
    order = list(calls)
    rng = random.Random(1)
    for number in range(WARM_UP + rounds):
        rng.shuffle(order)
        for kind in order:
            spent = timed(calls[kind])
            if number >= WARM_UP:
                times[kind].append(spent)
    medians = {kind: statistics.median(spent) for kind, spent in times.items()}
    quartiles = [statistics.quantiles(spent, n=4) for spent in times.values()]
    noise = statistics.median(upper - lower for lower, _, upper in quartiles)
    for kind, median in medians.items():
        print(f"{kind}: median {median:.3f} ms")
    differs = max(medians.values()) - min(medians.values())
    print(f"medians differ by {differs:.3f} ms, noise {noise:.3f} ms")
    assert differs < noise
