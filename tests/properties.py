"""The properties that every aggregation has, for the tests in `aggregations/`. x formulas"""

from __future__ import annotations

import math
import random
from typing import Any

from fastfeat import Engine
from harness import PAYMENTS, assert_equals_reference, row_bits, with_lateness
from hypothesis import given, settings
from hypothesis import strategies as st

HUGE = (1e300, -1e300, 1.7976931348623157e308, 1e15, math.inf, -math.inf, math.nan, 5e-324)
PLAIN = (0.1, 0.2, 1.0, 2.5, -3.0, 1e9 + 1, 1e9 + 2, 0.0, -0.0, 7.77, None)
WINDOW_SECONDS = 10
LATENESS_SECONDS = 4
# From a handful of live events to far beyond where a history changes its shape.
SIZES = (3, 12, 60, 200, 500)


def history(random_: random.Random, size: int, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Events of one key, about `size` of them in three windows, many at equal times."""
    time, events = 0, []
    for _ in range(size):
        time += random_.random() < 3 * WINDOW_SECONDS / size
        x = random_.choice(values)
        event = {"ts": time, "card": "c", "x": x, "n": random_.choice((1, 2, -5, None)), "b": random_.random() < 0.7}
        event |= {"y": random_.choice((x, *values))}
        events.append(event | {"text": random_.choice("abcde"), "kind": random_.choice(("low", "high", None))})
    return events


def shuffled(random_: random.Random, events: list[dict[str, Any]], lateness: int) -> list[dict[str, Any]]:
    """The same events in an order in which none is more than the lateness behind one that came before."""
    arrival = {id(event): event["ts"] + random_.randint(0, lateness) for event in events}
    return sorted(events, key=lambda event: arrival[id(event)])


def made(stream: Any, features: tuple[Any, ...]) -> Any:
    return stream.features(**{f"f{place}": feature for place, feature in enumerate(features)})


def equals_reference(*features: Any) -> None:
    """It is what the judge says, over short and long histories, sharp values and plain ones, in any order."""
    in_order, in_any_order = made(PAYMENTS, features), made(with_lateness(f"{LATENESS_SECONDS}s"), features)

    @given(st.integers(0, 2**32), st.sampled_from(SIZES), st.sampled_from((PLAIN, PLAIN + HUGE)), st.booleans())
    @settings(max_examples=max(10, settings().max_examples // 4))
    def check(seed: int, size: int, values: tuple[Any, ...], is_shuffled: bool) -> None:
        random_ = random.Random(seed)
        events = history(random_, size, values)
        if is_shuffled:
            events = shuffled(random_, events, LATENESS_SECONDS)
        named = [("payments", event) for event in events]
        rows = random_.sample(range(size), min(size, 40))
        assert_equals_reference(in_any_order if is_shuffled else in_order, named, rows)

    check()


def leaves_no_trace(*features: Any) -> None:
    """A value that entered and left, however large, is as if it never was: `features` have windows of 10 s."""
    whole = made(PAYMENTS, features)

    @given(st.integers(0, 2**32), st.sampled_from(SIZES), st.integers(1, 50), st.sampled_from(HUGE))
    @settings(max_examples=max(10, settings().max_examples // 4))
    def check(seed: int, size: int, guests: int, huge: float) -> None:
        random_ = random.Random(seed)
        events = history(random_, size, PLAIN)
        place = random_.randrange(size)
        visited, alone = Engine(whole), Engine(whole)
        for index, event in enumerate(events):
            if index == place:
                guest = {**event, "x": huge, "y": -huge, "n": 2**63 - 1, "text": "guest"}
                for _ in range(guests):
                    visited.push(guest)
            found, expected = row_bits(visited.push(event)), row_bits(alone.push(event))
            if event["ts"] >= events[place]["ts"] + WINDOW_SECONDS:
                assert found == expected

    check()


def order_of_arrival_does_not_matter(*features: Any) -> None:
    """Whatever order within the lateness events came in, later rows and lookups have the same bits.

    Events of one instant keep their order, as that is their order by definition.
    """
    whole = made(with_lateness(f"{LATENESS_SECONDS}s"), features)

    @given(st.integers(0, 2**32), st.sampled_from(SIZES), st.sampled_from((PLAIN, PLAIN + HUGE)))
    @settings(max_examples=max(10, settings().max_examples // 4))
    def check(seed: int, size: int, values: tuple[Any, ...]) -> None:
        random_ = random.Random(seed)
        events = history(random_, size, values)
        delays = {event["ts"]: random_.randint(0, LATENESS_SECONDS) for event in events}
        in_order, in_disorder = Engine(whole), Engine(whole)
        for event in events:
            in_order.push(event)
        for event in sorted(events, key=lambda event: event["ts"] + delays[event["ts"]]):
            in_disorder.push(event)
        newest = events[-1]["ts"]
        for at in range(newest - LATENESS_SECONDS, newest + 2 * WINDOW_SECONDS, 3):
            asked = [row_bits(engine.lookup({"card": "c"}, at=at)) for engine in (in_order, in_disorder)]
            assert asked[0] == asked[1]
        for event in history(random_, 10, values):
            later = {**event, "ts": newest + event["ts"]}
            assert row_bits(in_disorder.push(later)) == row_bits(in_order.push(later))

    check()
