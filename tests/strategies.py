"""Hypothesis inputs: streams with every field type, features over them, and events that sit on the edges.

`cases()` draws few events with every edge in them, `long_cases()` many events of few keys, made from a seed:
the engine keeps a short history of a key in another shape than a long one, and these cross from one to the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import fastfeat as ff
from fastfeat import Stream, col
from fastfeat.schema import NO_DEFAULT
from hypothesis import strategies as st

Expr = Any
Strategy = st.SearchStrategy

CARDS = ("a", "b", "ç")
MERCHANTS = ("m1", "m2", "")
CATEGORIES = ("chip", "swipe", "online")
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
WINDOWS_NS = {"5us": 5_000, "3ms": 3_000_000, "1s": 10**9, "7s": 7 * 10**9, "1m": 60 * 10**9, "1h30m": 5400 * 10**9}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# What has broken sums, extremes and casts elsewhere.
SHARP_FLOATS = (
    *(0.0, -0.0, 0.1, -0.1, 0.2, 0.3, 1.0, -1.0, 2.5, 1e15, -1e15, 1e15 + 0.125, 1e-15, 1e9 + 1, 1e9 + 2),
    *(1e300, -1e300, 5e-324, -5e-324, 2.2250738585072014e-308, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63)),
    *(1.7976931348623157e308, -1.7976931348623157e308, 1e-300, 1e154, 1e-162),
)
SHARP_INTS = (0, 1, -1, 2, 3, 7, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63))
NOT_FINITE = (math.nan, math.inf, -math.inf)


@dataclass(frozen=True, repr=False)
class Case:
    """Features, and events in order of arrival as (stream, event)."""

    features: Any
    streams: tuple[Stream, ...]
    events: list[tuple[str, dict[str, Any]]]

    def __repr__(self) -> str:
        """Failures print the case: the definition, and no more events than one reads."""
        shown = self.events if len(self.events) <= 40 else [*self.events[:3], "...", *self.events[-3:]]
        lines = [self.features.to_json(), *map(repr, shown), f"{len(self.events)} events"]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


# --- Streams -----------------------------------------------------------------------------------------------------


@st.composite
def payment_streams(draw: Callable[..., Any], units: Sequence[str] = tuple(UNITS)) -> Stream:
    """A stream with fields of every type; which of them are nullable, have defaults or allow NaN is drawn."""
    flag = st.booleans()
    return Stream(
        "payments",
        {
            "card": ff.String(max_bytes=8),
            "merchant": ff.String(nullable=draw(flag), default="m1") if draw(flag) else ff.String(nullable=True),
            "amount": ff.Float64(allow_nan=draw(flag), nullable=draw(flag)),
            "ratio": ff.Float64(allow_nan=True, nullable=True),
            "quantity": ff.Int64(nullable=True) if draw(flag) else ff.Int64(default=draw(st.sampled_from(SHARP_INTS))),
            "user": ff.Int64(nullable=draw(flag)),
            "declined": ff.Boolean(nullable=draw(flag), default=draw(flag)),
            "online": ff.Boolean(nullable=True),
            "entry": ff.Categorical(CATEGORIES, nullable=draw(flag)),
            "ts": ff.Timestamp(draw(st.sampled_from(units))),
            "opened": ff.Timestamp("us", nullable=True),
        },
        time="ts",
    )


@st.composite
def login_streams(draw: Callable[..., Any], units: Sequence[str] = tuple(UNITS)) -> Stream:
    flag = st.booleans()
    return Stream(
        "logins",
        {
            "at": ff.Timestamp(draw(st.sampled_from(units))),
            "customer": ff.String(nullable=draw(flag)),
            "user": ff.Int64(nullable=draw(flag)),
            "score": ff.Float64(allow_nan=draw(flag), nullable=True),
            "failed": ff.Boolean(default=False),
            "tries": ff.Int64(nullable=draw(flag)),
            "device": ff.Categorical(CATEGORIES, nullable=True),
        },
        time="at",
    )


# --- Expressions over the fields of one event ----------------------------------------------------------------------


@dataclass(frozen=True)
class Columns:
    """The columns of a stream by type, as expressions."""

    floats: tuple[Expr, ...]
    ints: tuple[Expr, ...]
    booleans: tuple[Expr, ...]
    texts: tuple[Expr, ...]
    times: tuple[Expr, ...]

    @property
    def all(self) -> tuple[Expr, ...]:
        return self.floats + self.ints + self.booleans + self.texts + self.times


PAYMENT_COLUMNS = Columns(
    floats=(col("amount"), col("ratio")),
    ints=(col("quantity"), col("user")),
    booleans=(col("declined"), col("online")),
    texts=(col("card"), col("merchant"), col("entry")),
    times=(col("ts"), col("opened")),
)


def login_columns(logins: Stream) -> Columns:
    bound = {name: logins.col(name) for name in ("score", "user", "tries", "failed", "customer", "device", "at")}
    return Columns(
        floats=(bound["score"],),
        ints=(bound["user"], bound["tries"]),
        booleans=(bound["failed"],),
        texts=(bound["customer"], bound["device"]),
        times=(bound["at"],),
    )


def numbers(columns: Columns, depth: int = 2, leaves: Strategy | None = None) -> Strategy:
    """Expressions of numbers. `leaves` are aggregations, where a feature may hold them."""
    leaf = st.sampled_from(columns.floats + columns.ints)
    leaf = leaf if leaves is None else leaf | leaves
    if depth == 0:
        return leaf
    inner = numbers(columns, depth - 1, leaves)
    constant = st.sampled_from((0, 1, 2, -3, 0.0, -0.0, 0.5, 1e15, 2**53 + 1))
    operand = inner | constant
    arithmetic = st.sampled_from(
        (
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: b - a,
            lambda a, b: a * b,
            lambda a, b: a / b,
            lambda a, b: b / a,
            lambda a, b: a // b,
            lambda a, b: a % b,
            lambda a, b: a.fill_null(b),
        )
    )
    unary = st.sampled_from(
        (
            lambda a: -a,
            lambda a: a.abs(),
            lambda a: a.sqrt(),
            lambda a: a.floor(),
            lambda a: a.cast(ff.Int64()),
            lambda a: a.cast(ff.Float64()),
        )
    )
    condition = booleans(columns, 0, leaves)
    return st.one_of(
        leaf,
        st.builds(lambda f, a, b: f(a, b), arithmetic, inner, operand),
        st.builds(lambda f, a: f(a), unary, inner),
        st.builds(lambda c, a, b: ff.when(c).then(a).otherwise(b), condition, operand, inner),
        st.builds(lambda a, b, c: ff.coalesce(a, b, c), inner, inner, operand),
        st.builds(lambda a: a.cast(ff.Float64()), st.sampled_from(columns.booleans)),
        st.builds(lambda a: a.cast(ff.Int64()), st.sampled_from(columns.booleans)),
        st.builds(lambda a, b: a - b, st.sampled_from(columns.times), st.sampled_from(columns.times)),
    )


def booleans(columns: Columns, depth: int = 1, leaves: Strategy | None = None) -> Strategy:
    number = numbers(columns, 0, leaves)
    compare = st.sampled_from(
        (
            lambda a, b: a == b,
            lambda a, b: a != b,
            lambda a, b: a < b,
            lambda a, b: a <= b,
            lambda a, b: a > b,
            lambda a, b: a >= b,
        )
    )
    constant = st.sampled_from((0, 1, 0.1, -0.0, 1e15, 2**53 + 1, 2.0**53))
    text = st.sampled_from(columns.texts)
    leaf = st.one_of(
        st.sampled_from(columns.booleans),
        st.builds(lambda f, a, b: f(a, b), compare, number, number | constant),
        st.builds(lambda f, a, b: f(a, b), compare, text, text | st.sampled_from((*CARDS, "m1", "chip"))),
        st.builds(lambda f, a, b: f(a, b), compare, *(2 * [st.sampled_from(columns.times)])),
        st.builds(lambda a: a.is_null(), st.sampled_from(columns.all)),
    )
    if depth == 0:
        return leaf
    inner = booleans(columns, depth - 1, leaves)
    logic = st.sampled_from((lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b))
    return st.one_of(
        leaf,
        st.builds(lambda f, a, b: f(a, b), logic, inner, inner),
        st.builds(lambda a: ~a, inner),
        st.builds(lambda a, b: a.fill_null(b), inner, st.booleans()),
    )


def anything(columns: Columns, depth: int = 1) -> Strategy:
    """Row expressions of any type."""
    text = st.sampled_from(columns.texts)
    return st.one_of(
        numbers(columns, depth),
        booleans(columns, depth),
        text,
        st.sampled_from(columns.times),
        st.builds(lambda a, b: ff.coalesce(a, b, "none"), text, text),
        st.builds(lambda c, a: ff.when(c).then(a).otherwise("other"), booleans(columns, 0), text),
    )


# --- Aggregations ------------------------------------------------------------------------------------------------

NUMERIC = ("sum", "mean", "min", "max")
INEXACT = ("var", "std")


@st.composite
def over(draw: Callable[..., Any], own: bool, windows: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Expr]]:
    """Keys, single, composite, computed or none, and windows or all time, as the arguments of `over`."""
    window = draw(st.sampled_from((*((window,) for window in windows), ())))
    if not own:
        by_text = {"customer": draw(st.sampled_from((col("card"), col("merchant"))))}
        by_number = {"user": draw(st.sampled_from((col("user"), col("quantity"), col("quantity") % 2)))}
        return window, draw(st.sampled_from((by_text, by_number, {**by_text, **by_number}, {})))
    names = st.sampled_from(((), ("card",), ("merchant",), ("card", "merchant"), ("user", "entry"), ("ratio",)))
    computed = st.sampled_from(
        (
            {},
            {},
            {"parity": col("user") % 2},
            {"large": col("amount") > 1.0},
            {"rest": col("amount") % 1.0},
            {"shop": ff.coalesce(col("merchant"), col("card"))},
        )
    )
    return draw(names) + window, draw(computed)


@st.composite
def aggregations(
    draw: Callable[..., Any],
    columns: Columns,
    windows: Sequence[str],
    kinds: Sequence[str] | None = None,
    stream: Stream | None = None,
) -> Expr:
    """One aggregation over one window; of another stream where one is given."""
    kinds = kinds or (*NUMERIC, "count", "first", "last", "lag", "n_unique", "time_since_last")
    kind = draw(st.sampled_from(kinds))
    column = draw(st.sampled_from(columns.all) | anything(columns))
    if kind in ("min", "max"):
        column = draw(numbers(columns, 1) | st.sampled_from(columns.booleans + columns.times))
    elif kind in (*NUMERIC, *INEXACT):
        column = draw(st.sampled_from(columns.floats + columns.ints + columns.booleans) | numbers(columns, 1))
    if kind == "lag":
        made = column.lag(draw(st.sampled_from((1, 1, 2, 3, 40))))
    elif kind in ("count", "time_since_last") and draw(st.booleans()):
        made = getattr(ff if stream is None else stream, kind)()
    else:
        made = column.agg(kind)
    if draw(st.booleans()):
        made = made.where(draw(booleans(columns)))
    positional, named = draw(over(stream is None, windows))
    return made.over(*positional, **named)


@st.composite
def feature_expressions(draw: Callable[..., Any], windows: Sequence[str], logins: Stream | None) -> Expr:
    """A feature: an aggregation, or an expression of some."""
    own = aggregations(PAYMENT_COLUMNS, windows)
    other = own if logins is None else aggregations(login_columns(logins), windows, stream=logins)
    either = own | other
    number = aggregations(PAYMENT_COLUMNS, windows, kinds=("count", "sum", "mean", "n_unique", "time_since_last"))
    inexact = aggregations(PAYMENT_COLUMNS, windows, kinds=INEXACT)
    return draw(
        st.one_of(
            either,
            either,
            anything(PAYMENT_COLUMNS),
            numbers(PAYMENT_COLUMNS, 2, number),
            booleans(PAYMENT_COLUMNS, 1, number),
            inexact,
            # Nothing here turns a small error into a large one, as a difference or a comparison would.
            st.builds(lambda a, b: a / b, st.sampled_from(PAYMENT_COLUMNS.floats), inexact),
            st.builds(lambda a: a.is_null(), either),
        )
    )


# --- Events --------------------------------------------------------------------------------------------------------


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
    here = (0, -60 * 10**9, 1_700_000_000 * 10**9)
    first, last = (
        (datetime(1, 1, 1), datetime(9999, 12, 30)) if tick > 1 else (datetime(1678, 1, 1), datetime(2261, 12, 30))
    )
    ends = [
        (moment.replace(tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1) * 1_000 for moment in (first, last)
    ]
    return st.sampled_from((*here, *ends) if far else here)


def steps(windows_ns: Sequence[int], tick: int) -> Strategy:
    """Ties, one tick, and exactly, just under and just over a window."""
    edges = [length // tick * tick + shift for length in windows_ns for shift in (-tick, 0, tick)]
    parts = [length // part // tick * tick for length in windows_ns for part in (2, 3, 10)]
    edges = [step for step in edges if step >= 0]
    return st.sampled_from((0, 0, tick, *edges, *parts))


@st.composite
def event_lists(
    draw: Callable[..., Any],
    streams: Sequence[Stream],
    windows_ns: Sequence[int],
    max_size: int = 30,
    complete: bool = False,
    aligned: bool = False,
) -> list[tuple[str, dict[str, Any]]]:
    """Events in order of arrival; each stream in order of its own time, one stream sometimes ahead of the other."""
    tick = max([UNITS[stream.fields[stream.time].unit] for stream in streams]) if aligned else tick_ns(streams)
    start = draw(start_times(tick, far=not aligned))
    times = dict.fromkeys((stream.name for stream in streams), start - start % tick)
    step = steps(windows_ns, tick)
    shape = st.just("int") if aligned else st.sampled_from(("int", "int", "datetime", "text"))
    which = st.sampled_from(list(streams))
    strategies = {stream.name: event_strategy(stream, complete) for stream in streams}
    events = []
    for _ in range(draw(st.integers(0, max_size))):
        stream = draw(which)
        newest = max(times.values()) if draw(st.booleans()) else times[stream.name]
        times[stream.name] = newest + draw(step)
        event = dict(draw(strategies[stream.name]))
        event[stream.time] = in_unit(times[stream.name], stream.fields[stream.time].unit, draw(shape))
        events.append((stream.name, event))
    return events


@st.composite
def cases(draw: Callable[..., Any], complete: bool = False, aligned: bool = False, max_size: int = 30) -> Case:
    """One or two streams, some features, few events. `aligned` times are whole numbers in their unit, as in tables."""
    units = ("us", "us", "ns", "ms", "s")
    payments = draw(payment_streams(units))
    logins = draw(st.none() | login_streams(units))
    windows = draw(st.lists(st.sampled_from(sorted(WINDOWS_NS)), min_size=1, max_size=3, unique=True))
    expressions = draw(st.lists(feature_expressions(windows, logins), min_size=1, max_size=4))
    features = payments.features(**{f"f{index}": expression for index, expression in enumerate(expressions)})
    streams = features.streams
    lengths = [WINDOWS_NS[window] for window in windows]
    return Case(features, streams, draw(event_lists(streams, lengths, max_size, complete, aligned)))


# --- Long histories from a seed --------------------------------------------------------------------------------------


def long_run(
    seed: int, streams: Sequence[Stream], windows_ns: Sequence[int], size: int, sharp: float, gaps: float
) -> list[tuple[str, dict[str, Any]]]:
    """Many events, most of them of one key. `sharp` is the share of sharp values, `gaps` that of window-long steps."""
    random_ = random.Random(seed)
    tick = max(UNITS[stream.fields[stream.time].unit] for stream in streams)
    time_ns = 1_700_000_000 * 10**9
    edges = [length + shift for length in windows_ns for shift in (-tick, 0, tick)]
    events = []
    for _ in range(size):
        stream = random_.choice(streams)
        if random_.random() < gaps:
            time_ns += random_.choice(edges)
        else:
            time_ns += random_.randrange(0, 1 + max(1, min(windows_ns) // random_.choice((5, 50, 300)) // tick)) * tick
        event: dict[str, Any] = {
            name: random_value(random_, name, field, sharp)
            for name, field in stream.fields.items()
            if name != stream.time
        }
        unit = stream.fields[stream.time].unit
        event[stream.time] = in_unit(time_ns, unit)
        events.append((stream.name, event))
    return events


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


@st.composite
def long_cases(draw: Callable[..., Any], max_size: int = 1_500) -> Case:
    """Hundreds of events of one key inside a window: both shapes of a history and the change between them are met."""
    payments = draw(payment_streams(("us", "ns")))
    logins = draw(st.none() | login_streams(("us", "ns")))
    windows = draw(st.lists(st.sampled_from(("3ms", "1s", "7s", "1m")), min_size=1, max_size=3, unique=True))
    expressions = draw(st.lists(feature_expressions(windows, logins), min_size=1, max_size=4))
    features = payments.features(**{f"f{index}": expression for index, expression in enumerate(expressions)})
    streams = features.streams
    events = long_run(
        draw(st.integers(0, 2**32)),
        streams,
        [WINDOWS_NS[window] for window in windows],
        draw(st.sampled_from((100, 300, 700, max_size))),
        draw(st.sampled_from((0.0, 0.05, 0.5))),
        draw(st.sampled_from((0.0, 0.002, 0.02))),
    )
    return Case(features, streams, events)
