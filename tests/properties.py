"""The properties that every aggregation has, for the tests in `aggregations/`. x formulas"""

from __future__ import annotations

import math
import random
from typing import Any

from fastfeat import Engine
from harness import PAYMENTS, assert_equals_reference, row_bits
from hypothesis import given, settings
from hypothesis import strategies as st

HUGE = (1e300, -1e300, 1.7976931348623157e308, 1e15, math.inf, -math.inf, math.nan, 5e-324)
PLAIN = (0.1, 0.2, 1.0, 2.5, -3.0, 1e9 + 1, 1e9 + 2, 0.0, -0.0, 7.77, None)
WINDOW_SECONDS = 10
# From a handful of live events to far beyond where a history changes its shape.
SIZES = (3, 12, 60, 200, 500)


def history(random_: random.Random, size: int, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Events of one key, about `size` of them in three windows, many at equal times."""
    time, events = 0, []
    for _ in range(size):
        time += random_.random() < 3 * WINDOW_SECONDS / size
        x = random_.choice(values)
        event = {"ts": time, "card": "c", "x": x, "n": random_.choice((1, 2, -5, None)), "b": random_.random() < 0.7}
        events.append(event | {"text": random_.choice("abcde"), "kind": random_.choice(("low", "high", None))})
    return events


def equals_reference(*features: Any) -> None:
    """It is what the judge says, over short and long histories, sharp values and plain ones."""
    made = PAYMENTS.features(**{f"f{place}": feature for place, feature in enumerate(features)})

    @given(st.integers(0, 2**32), st.sampled_from(SIZES), st.sampled_from((PLAIN, PLAIN + HUGE)))
    @settings(max_examples=max(10, settings().max_examples // 4))
    def check(seed: int, size: int, values: tuple[Any, ...]) -> None:
        random_ = random.Random(seed)
        events = [("payments", event) for event in history(random_, size, values)]
        assert_equals_reference(made, events, rows=random_.sample(range(size), min(size, 40)))

    check()


def leaves_no_trace(*features: Any) -> None:
    """A value that entered and left, however large, is as if it never was: `features` have windows of 10 s."""
    made = PAYMENTS.features(**{f"f{place}": feature for place, feature in enumerate(features)})

    @given(st.integers(0, 2**32), st.sampled_from(SIZES), st.integers(1, 50), st.sampled_from(HUGE))
    @settings(max_examples=max(10, settings().max_examples // 4))
    def check(seed: int, size: int, guests: int, huge: float) -> None:
        random_ = random.Random(seed)
        events = history(random_, size, PLAIN)
        place = random_.randrange(size)
        visited, alone = Engine(made), Engine(made)
        for index, event in enumerate(events):
            if index == place:
                guest = {**event, "x": huge, "n": 2**63 - 1, "text": "guest"}
                for _ in range(guests):
                    visited.push(guest)
            found, expected = row_bits(visited.push(event)), row_bits(alone.push(event))
            if event["ts"] >= events[place]["ts"] + WINDOW_SECONDS:
                assert found == expected

    check()
