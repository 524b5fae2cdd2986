"""Hypothesis inputs: event histories that sit on the edges of windows, in order and out of it.

Gaps between events are often exactly, just under and just over a length of a window; events out of order lie often
exactly at the watermark, just inside it and, where the caller asks for it, just beyond.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import fastfeat as ff
from fastfeat import Stream
from fastfeat.schema import NO_DEFAULT
from hypothesis import strategies as st
from strategies_expressions import CARDS

Strategy = st.SearchStrategy
Named = tuple[str, dict[str, Any]]

MERCHANTS = ("m1", "m2", "")
CATEGORIES = ("chip", "swipe", "online")
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
PLAIN_START_NS = 1_700_000_000 * 10**9
# Europe, and Havana, change their clocks in the hours and days after these. Rules of the future differ between
# releases of the tz database, those of the past do not.
CLOCK_CHANGES_NS = (1_711_832_400 * 10**9, 1_729_976_400 * 10**9, 1_730_592_000 * 10**9)
QUIET_NS = 40 * 86_400 * 10**9
IN_ORDER, WITHIN, BEYOND = "in order", "within the lateness", "beyond the lateness"

# What has broken sums, extremes and casts elsewhere.
SHARP_FLOATS = (
    *(0.0, -0.0, 0.1, -0.1, 0.2, 0.3, 1.0, -1.0, 2.5, 1e15, -1e15, 1e15 + 0.125, 1e-15, 1e9 + 1, 1e9 + 2),
    *(1e300, -1e300, 5e-324, -5e-324, 2.2250738585072014e-308, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63)),
    *(1.7976931348623157e308, -1.7976931348623157e308, 1e-300, 1e154, 1e-162),
)
SHARP_INTS = (0, 1, -1, 2, 3, 7, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63))
NOT_FINITE = (math.nan, math.inf, -math.inf)


# --- Values --------------------------------------------------------------------------------------------------------


def floats(allow_nan: bool) -> Strategy:
    finite = st.sampled_from(SHARP_FLOATS) | st.floats(allow_nan=False, allow_infinity=False)
    cents = st.integers(1, 100_000).map(lambda cents: cents / 100)
    return st.one_of(finite, cents, st.sampled_from(NOT_FINITE)) if allow_nan else st.one_of(finite, cents)


def value_strategy(name: str, field: Any) -> Strategy:
    """Values that the field takes, null among them where it does."""
    if name in ("card", "customer"):
        values = st.sampled_from(CARDS)
    elif name == "merchant":
        values = st.sampled_from(MERCHANTS)
    elif name == "user":
        values = st.sampled_from((1, 2, -(2**63)))
    elif isinstance(field, ff.Float64):
        values = floats(field.allow_nan)
    elif isinstance(field, ff.Int64):
        values = st.sampled_from(SHARP_INTS) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)
    elif isinstance(field, ff.Boolean):
        values = st.booleans()
    elif isinstance(field, ff.Categorical):
        values = st.sampled_from(CATEGORIES)
    else:
        values = st.integers(-3, 3) | st.sampled_from((-(10**12), 10**15))
    return st.none() | values if takes_null(field) else values


def takes_null(field: Any) -> bool:
    return field.nullable or field.default is not NO_DEFAULT


def event_strategy(stream: Stream, complete: bool) -> Strategy:
    """Events of a stream without their time. Unless `complete`, fields that may be absent sometimes are."""
    required, optional = {}, {}
    for name, field in stream.fields.items():
        if name == stream.time:
            continue
        (optional if takes_null(field) and not complete else required)[name] = value_strategy(name, field)
    return st.fixed_dictionaries(required, optional=optional)


# --- Times ---------------------------------------------------------------------------------------------------------


def in_unit(time_ns: int, unit: str, shape: str = "int") -> Any:
    """A time as an event may carry it: a whole number in the unit where it is one, a datetime, or ISO 8601 text."""
    if shape == "int" and time_ns % UNITS[unit] == 0:
        return time_ns // UNITS[unit]
    moment = EPOCH + timedelta(microseconds=time_ns // 1_000)
    if shape == "datetime" and time_ns % 1_000 == 0:
        return moment
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}.{time_ns % 10**9:09d}Z"


def tick_ns(streams: Sequence[Stream]) -> int:
    units = [field.unit for stream in streams for field in stream.fields.values() if isinstance(field, ff.Timestamp)]
    return 1 if "ns" in units else 1_000


def start_times(tick: int, far: bool) -> Strategy:
    """Plain days, before 1970, and the ends of time."""
    here = (0, -60 * 10**9, PLAIN_START_NS)
    first, last = (
        (datetime(1, 1, 1), datetime(9999, 12, 30)) if tick > 1 else (datetime(1678, 1, 1), datetime(2261, 12, 30))
    )
    ends = [
        (moment.replace(tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1) * 1_000 for moment in (first, last)
    ]
    return st.sampled_from((*here, *ends) if far else here)


def edges_of(lengths_ns: Sequence[int], tick: int) -> list[int]:
    """Exactly, just under and just over each length."""
    edges = [length // tick * tick + shift for length in lengths_ns for shift in (-tick, 0, tick)]
    return [step for step in edges if step >= 0]


def steps(lengths_ns: Sequence[int], tick: int) -> Strategy:
    """Ties, one tick, the edges of windows, and parts of them."""
    parts = [length // part // tick * tick for length in lengths_ns for part in (2, 3, 10)]
    return st.sampled_from((0, 0, tick, *edges_of(lengths_ns, tick), *parts))


def steps_back(lateness_ns: int, lengths_ns: Sequence[int], tick: int, disorder: str) -> list[int]:
    """How far behind the newest event another may come."""
    allowed = lateness_ns // tick * tick
    back = {0, tick, allowed, allowed - tick, allowed // 2 // tick * tick, *edges_of(lengths_ns, tick)}
    found = [step for step in back if 0 <= step <= allowed]
    if disorder == BEYOND:
        found += [allowed + tick, 2 * allowed + 3 * tick, *(allowed + edge for edge in edges_of(lengths_ns, tick))]
    return sorted(found)


@st.composite
def event_lists(
    draw: Callable[..., Any],
    streams: Sequence[Stream],
    lengths_ns: Sequence[int],
    max_size: int = 30,
    complete: bool = False,
    aligned: bool = False,
    disorder: str = IN_ORDER,
    local: bool = False,
) -> list[Named]:
    """Events in order of arrival, one stream sometimes ahead of the other. `aligned` times are whole numbers in their
    unit; `local` ones lie where local clocks change."""
    tick = max([UNITS[stream.fields[stream.time].unit] for stream in streams]) if aligned else tick_ns(streams)
    start = draw(st.sampled_from(CLOCK_CHANGES_NS) if local else start_times(tick, far=not aligned))
    newest = dict.fromkeys((stream.name for stream in streams), start - start % tick)
    step = steps(lengths_ns, tick)
    back = {s.name: st.sampled_from(steps_back(s.lateness_ns, lengths_ns, tick, disorder)) for s in streams}
    is_behind = st.sampled_from((False, False, True)) if disorder != IN_ORDER else st.just(False)
    shape = st.just("int") if aligned else st.sampled_from(("int", "int", "datetime", "text"))
    which = st.sampled_from(list(streams))
    strategies = {stream.name: event_strategy(stream, complete) for stream in streams}
    begun: set[str] = set()
    events = []
    for _ in range(draw(st.integers(0, max_size))):
        stream = draw(which)
        if draw(is_behind) and stream.name in begun:
            time = max(newest[stream.name] - draw(back[stream.name]), start - start % tick)
        else:
            time = max(newest.values()) if draw(st.booleans()) else newest[stream.name]
            time += draw(step)
            newest[stream.name] = time
        begun.add(stream.name)
        event = dict(draw(strategies[stream.name]))
        event[stream.time] = in_unit(time, stream.fields[stream.time].unit, draw(shape))
        events.append((stream.name, event))
    return events


# --- Long histories from a seed --------------------------------------------------------------------------------------


def long_run(
    seed: int,
    streams: Sequence[Stream],
    lengths_ns: Sequence[int],
    size: int,
    sharp: float,
    gaps: float,
    disorder: str = IN_ORDER,
    local: bool = False,
) -> list[Named]:
    """Many events, most of them of one key. `sharp` is the share of sharp values, `gaps` that of window-long steps."""
    random_ = random.Random(seed)
    tick = max(UNITS[stream.fields[stream.time].unit] for stream in streams)
    lengths = [length for length in lengths_ns if length >= tick] or [10**9 // tick * tick or tick]
    time_ns = random_.choice(CLOCK_CHANGES_NS) if local else PLAIN_START_NS
    edges = [length // tick * tick + shift for length in lengths for shift in (-tick, 0, tick)]
    newest: dict[str, int] = {}
    events = []
    for _ in range(size):
        stream = random_.choice(streams)
        if random_.random() < gaps:
            time_ns += random_.choice(edges) if random_.random() < 0.95 else QUIET_NS
        else:
            time_ns += random_.randrange(0, 1 + max(1, min(lengths) // random_.choice((5, 50, 300)) // tick)) * tick
        time = time_ns
        if disorder != IN_ORDER and random_.random() < 0.4 and stream.name in newest:
            time = behind(random_, newest[stream.name], stream.lateness_ns, lengths, tick, disorder)
        newest[stream.name] = max(time, newest.get(stream.name, time))
        event: dict[str, Any] = {
            name: random_value(random_, name, field, sharp)
            for name, field in stream.fields.items()
            if name != stream.time
        }
        event[stream.time] = in_unit(time, stream.fields[stream.time].unit)
        events.append((stream.name, event))
    return events


def behind(
    random_: random.Random, newest: int, lateness_ns: int, lengths_ns: Sequence[int], tick: int, disorder: str
) -> int:
    """A time within the lateness, at its edge, or now and then beyond it."""
    if random_.random() < 0.3:
        return newest - random_.choice(steps_back(lateness_ns, lengths_ns, tick, disorder))
    return newest - random_.randrange(0, lateness_ns // tick + 1) * tick


def random_value(random_: random.Random, name: str, field: Any, sharp: float) -> Any:
    if takes_null(field) and random_.random() < 0.1:
        return None
    is_sharp = random_.random() < sharp
    if name in ("card", "customer"):
        return random_.choices(CARDS, (20, 3, 1))[0]
    if name == "merchant":
        return random_.choice(MERCHANTS)
    if isinstance(field, ff.Float64):
        if is_sharp:
            return random_.choice(SHARP_FLOATS + (NOT_FINITE if field.allow_nan and random_.random() < 0.2 else ()))
        return random_.randrange(1, 100_000) / 100
    if isinstance(field, ff.Int64):
        return random_.choice(SHARP_INTS) if is_sharp and name != "user" else random_.randrange(1, 5)
    if isinstance(field, ff.Boolean):
        return random_.random() < 0.3
    if isinstance(field, ff.Categorical):
        return random_.choice(CATEGORIES)
    return random_.randrange(-(10**9), 10**9)
