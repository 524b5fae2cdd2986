"""The judge: every feature in slow obvious Python, recomputed for each row from the raw events.

It takes the definition (the JSON of `rust/engine/src/definition.rs` as a dict) and the events in order of arrival,
and does what `docs/semantics.md` says, sentence by sentence, in exact arithmetic. It imports nothing of fastfeat.

Values are Python's: None, float, int, bool, str, and `Instant` for timestamps.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reference_expressions import Instant, evaluate, literal, seconds, type_of
from reference_input import LateError, Schema

NULL_BITS = 0x7FF8_0000_0000_07A2
NAN_BITS = 0x7FF8_0000_0000_0000


# --- 1. Time and order -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """An accepted event. Its place in `Reference.events` is its arrival."""

    stream: str
    time: int
    values: Mapping[str, Any]


class Reference:
    """What an engine knows, as the list of the events it accepted."""

    def __init__(self, definition: Mapping[str, Any]):
        self.definition = definition
        self.ticks_per_second = ticks_per_second(definition)
        self.schemas = {stream["name"]: Schema(stream, self.ticks_per_second) for stream in definition["streams"]}
        self.features = {
            name: [feature for feature in definition["features"] if feature["stream"] == name] for name in self.schemas
        }
        self.events: list[Event] = []
        self.late = dict.fromkeys(self.schemas, 0)
        self._entries: dict[int, list[Entry | None]] = {}

    def accept(self, event: Mapping[str, Any], stream: str | None = None) -> int:
        """Checks the event whole, then keeps it; returns its place. Nothing has changed when it raises."""
        stream = stream or self.only_stream()
        values = self.schemas[stream].check(event)
        time = values[self.schemas[stream].time].ticks
        newest = self.newest(stream)
        if newest is not None and time < newest:
            self.late[stream] += 1
            raise LateError(stream, newest - time)
        self.events.append(Event(stream, time, values))
        return len(self.events) - 1

    def push(self, event: Mapping[str, Any], stream: str | None = None) -> dict[str, Any] | None:
        """The row of the event; None when its stream has no features."""
        return self.row(self.accept(event, stream))

    def peek(self, event: Mapping[str, Any], stream: str | None = None) -> dict[str, Any] | None:
        """What `push` would answer; nothing changes."""
        late = dict(self.late)
        try:
            place = self.accept(event, stream)
        finally:
            self.late = late
        row = self.row(place)
        self.forget(place)
        return row

    def forget(self, place: int) -> None:
        """As if the events from this place on had never come."""
        del self.events[place:]
        for entries in self._entries.values():
            del entries[place:]

    def row(self, place: int) -> dict[str, Any] | None:
        """The features of the event at this place: it sees itself and what arrived before it, nothing else."""
        event = self.events[place]
        features = self.features[event.stream]
        if not features:
            return None
        return {feature["name"]: self.value(feature["expression"], place) for feature in features}

    def value(self, expression: Mapping[str, Any], place: int) -> Any:
        return evaluate(
            expression,
            self.events[place].values,
            self.context(self.events[place].stream),
            aggregate=lambda aggregate: self.aggregate(aggregate, place),
        )

    def context(self, stream: str) -> Context:
        return Context(self, stream)

    def only_stream(self) -> str:
        (stream,) = self.schemas
        return stream

    def newest(self, stream: str) -> int | None:
        """Every stream has its own newest event: the one taken last, as none older than it is taken."""
        return next((event.time for event in reversed(self.events) if event.stream == stream), None)

    # --- 2. and 6. Which events an aggregation sees --------------------------------------------------------------

    def aggregate(self, aggregate: Mapping[str, Any], place: int) -> Any:
        event = self.events[place]
        own_stream = source_stream(aggregate, event.stream) == event.stream
        key = self.reading_key(aggregate, event)
        compute = AGGREGATIONS[aggregate["kind"]]
        parameters = [literal(parameter, self.ticks_per_second) for parameter in aggregate.get("parameters", [])]
        if key is None:
            seen = []  # a null key part: not even itself is inside
        else:
            looks_before = aggregate["kind"] in LOOK_BEFORE or not aggregate.get("include_current", True)
            inside = [
                entry
                for entry in self.entries(aggregate, event.stream)[: place + 1]
                if entry is not None
                and entry.key == key
                and is_inside(aggregate["window"], entry.time, event.time, self.ticks_per_second)
                and not (own_stream and looks_before and entry.place == place)
                and not (aggregate.get("ties") == "exclude" and entry.time == event.time)
            ]
            seen = sorted(inside, key=lambda entry: (entry.time, entry.place))  # the total order
        return compute(
            Seen(seen, event.time, self.ticks_per_second, self.result_type(aggregate, event.stream)), *parameters
        )

    def entries(self, aggregate: Mapping[str, Any], reader: str) -> list[Entry | None]:
        """Each event so far as this aggregation sees it, None where it skips it. Kept, as an event never changes."""
        entries = self._entries.setdefault(id(aggregate), [])
        for place in range(len(entries), len(self.events)):
            entries.append(self.entry(aggregate, reader, place))
        return entries

    def entry(self, aggregate: Mapping[str, Any], reader: str, place: int) -> Entry | None:
        event = self.events[place]
        source = source_stream(aggregate, reader)
        if event.stream != source:
            return None
        key = self.writing_key(aggregate, reader, event)
        if key is None:
            return None  # a key part that is null makes no key
        condition = aggregate.get("where")
        if condition is not None and evaluate(condition, event.values, self.context(source)) is not True:
            return None  # null is not true
        arguments = aggregate.get("arguments", [])
        if not arguments:
            return Entry(place, event.time, key, None)  # `count()` counts events
        value = evaluate(arguments[0], event.values, self.context(source))
        if value is None:
            return None  # aggregations skip null values
        return Entry(place, event.time, key, value)

    def reading_key(self, aggregate: Mapping[str, Any], event: Event) -> tuple[Any, ...] | None:
        return whole_key(self.key_part(key, event) for key in aggregate["keys"])

    def writing_key(self, aggregate: Mapping[str, Any], reader: str, event: Event) -> tuple[Any, ...] | None:
        if source_stream(aggregate, reader) == reader:
            return self.reading_key(aggregate, event)  # a computed key is computed on both sides
        return whole_key(event.values[key["name"]] for key in aggregate["keys"])

    def key_part(self, key: Mapping[str, Any], event: Event) -> Any:
        if key.get("expression") is None:
            return event.values[key["name"]]
        return evaluate(key["expression"], event.values, self.context(event.stream))

    # --- 4. and 5. Types -----------------------------------------------------------------------------------------

    def types(self, stream: str | None = None) -> dict[str, str]:
        """The type of each feature of a stream, by name."""
        stream = stream or self.only_stream()
        return {f["name"]: type_of(f["expression"], self.context(stream)) for f in self.features[stream]}

    def result_type(self, aggregate: Mapping[str, Any], reader: str) -> str:
        kind = aggregate["kind"]
        if kind in ("count", "n_unique"):
            return "int64"
        if kind in ("sum", "mean", "var", "std", "time_since_last"):
            return "float64"
        source = type_of(aggregate["arguments"][0], self.context(source_stream(aggregate, reader)))
        return "float64" if kind in ("min", "max") and source == "boolean" else source

    def vector(self, row: Mapping[str, Any], stream: str | None = None) -> list[int]:
        """The row as the bits of its float vector: null is one particular NaN, a computed NaN the canonical one."""
        stream = stream or self.only_stream()
        return [
            as_bits(row[feature["name"]], self.categories(feature["expression"], stream))
            for feature in self.features[stream]
        ]

    def categories(self, expression: Mapping[str, Any], stream: str) -> list[str] | None:
        """The categories of the column that a categorical feature comes from."""
        if type_of(expression, self.context(stream)) != "categorical":
            return None
        if expression["op"] == "aggregate":
            return self.categories(expression["arguments"][0], source_stream(expression, stream))
        if expression["op"] == "call":
            found = (self.categories(part, stream) for part in expression["arguments"])
            return next(categories for categories in found if categories is not None)
        return self.schemas[stream].field(expression["name"])["categories"]


@dataclass(frozen=True)
class Context:
    """What an expression over a stream must know to find its type."""

    reference: Reference
    stream: str

    @property
    def ticks_per_second(self) -> int:
        return self.reference.ticks_per_second

    def column_type(self, name: str) -> str:
        return self.reference.schemas[self.stream].field(name)["type"]

    def aggregate_type(self, aggregate: Mapping[str, Any]) -> str:
        return self.reference.result_type(aggregate, self.stream)


@dataclass(frozen=True)
class Entry:
    """One event as an aggregation sees it."""

    place: int
    time: int
    key: tuple[Any, ...]
    value: Any


def ticks_per_second(definition: Mapping[str, Any]) -> int:
    """A plan counts microseconds, or nanoseconds when a stream of it has a `Timestamp("ns")`."""
    fields = [field for stream in definition["streams"] for field in stream["fields"]]
    return 1_000_000_000 if any(field.get("unit") == "ns" for field in fields) else 1_000_000


def source_stream(aggregate: Mapping[str, Any], reader: str) -> str:
    return aggregate.get("stream") or reader


def is_inside(window: Mapping[str, Any], time: int, row_time: int, ticks_per_second: int) -> bool:
    """Whether an event of `time` is in the window of a row at `row_time`. Events with a later time are never seen."""
    if window["kind"] == "all":
        return time <= row_time
    newest = row_time * 1_000_000_000 - window.get("offset_ns", 0) * ticks_per_second
    oldest = newest - window["length_ns"] * ticks_per_second
    time *= 1_000_000_000
    return {
        "right": oldest < time <= newest,
        "left": oldest <= time < newest,
        "both": oldest <= time <= newest,
        "neither": oldest < time < newest,
    }[window.get("closed", "right")]


def whole_key(parts: Iterable[Any]) -> tuple[Any, ...] | None:
    key = tuple(same_value(part) for part in parts)
    return None if None in key else key


def same_value(value: Any) -> Any:
    """Equal for equal values: 0.0 equals -0.0, every NaN equals every NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value + 0.0)
    return None if value is None else (type(value).__name__, value)


# --- 4. Aggregations ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """The entries inside a window in total order, nulls and filtered events taken out."""

    entries: list[Entry]
    row_time: int
    ticks_per_second: int
    result_type: str

    @property
    def values(self) -> list[Any]:
        return [entry.value for entry in self.entries]

    @property
    def numbers(self) -> list[Any]:
        """Booleans count as 0 and 1 where a number is asked for."""
        return [int(value) if isinstance(value, bool) else value for value in self.values]


def count(seen: Seen) -> int:
    return len(seen.entries)


def sum_(seen: Seen) -> float:
    return correctly_rounded_sum(seen.numbers)


def mean(seen: Seen) -> float | None:
    """The exact sum, rounded once, by the count; beyond the largest double it rounds as if there were larger ones."""
    if not seen.entries:
        return None
    count, total = len(seen.entries), correctly_rounded_sum(seen.numbers)
    if math.isinf(total) and all(math.isfinite(number) for number in seen.numbers):
        smaller = nearest_double(exact_sum(seen.numbers) / HUGE_POWER) / count
        return nearest_double(Fraction(smaller) * HUGE_POWER)
    return total / count


def var(seen: Seen) -> float | None:
    """ddof = 1; null below two values; NaN with any NaN or infinity inside."""
    numbers = seen.numbers
    if len(numbers) < 2:
        return None
    if not all(math.isfinite(number) for number in numbers):
        return math.nan
    total, squares = exact_sum(numbers), exact_sum(numbers, power=2)
    return nearest_double((squares - total * total / len(numbers)) / (len(numbers) - 1))


def std(seen: Seen) -> float | None:
    variance = var(seen)
    return None if variance is None else math.sqrt(variance)


def min_(seen: Seen) -> Any:
    return extreme(seen, min)


def max_(seen: Seen) -> Any:
    return extreme(seen, max)


def extreme(seen: Seen, choose: Callable[..., Any]) -> Any:
    """NaN is ignored unless nothing else is there; of 0.0 and -0.0 the latter is the smaller."""
    if not seen.entries:
        return None
    values = [value for value in seen.values if not is_nan(value)]
    if not values:
        return math.nan
    chosen = choose(values, key=lambda value: (value, math.copysign(1.0, value)) if value == 0 else (value, 0.0))
    return float(chosen) if seen.result_type == "float64" else chosen


def first(seen: Seen) -> Any:
    return seen.values[0] if seen.entries else None


def last(seen: Seen) -> Any:
    return seen.values[-1] if seen.entries else None


def lag(seen: Seen, n: int) -> Any:
    """The row's own event is not among the entries: see `LOOK_BEFORE`."""
    return seen.values[-n] if len(seen.entries) >= n else None


def n_unique(seen: Seen) -> int:
    return len({same_value(value) for value in seen.values})


def time_since_last(seen: Seen) -> float | None:
    return seconds(seen.row_time - seen.entries[-1].time, seen.ticks_per_second) if seen.entries else None


AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "count": count,
    "sum": sum_,
    "mean": mean,
    "var": var,
    "std": std,
    "min": min_,
    "max": max_,
    "first": first,
    "last": last,
    "lag": lag,
    "n_unique": n_unique,
    "time_since_last": time_since_last,
}
LOOK_BEFORE = ("lag", "time_since_last")
WINDOWS = ("rolling", "all")


# --- Exact arithmetic --------------------------------------------------------------------------------------------

# Every finite double is a whole number of these.
SMALLEST_EXPONENT = 1074
HUGE_POWER = 2**200


def exact_sum(numbers: list[Any], power: int = 1) -> Fraction:
    units = 0
    for number in numbers:
        numerator, denominator = number.as_integer_ratio()
        units += (numerator << (SMALLEST_EXPONENT - denominator.bit_length() + 1)) ** power
    return Fraction(units, 1 << (SMALLEST_EXPONENT * power))


def correctly_rounded_sum(numbers: list[Any]) -> float:
    """NaN with a NaN or both infinities inside, that infinity with one, else the exact sum rounded once."""
    special = [number for number in numbers if not math.isfinite(number)]
    if special:
        return sum(special)
    return nearest_double(exact_sum(numbers))


def nearest_double(number: Fraction) -> float:
    """Ties to even; beyond the largest double an infinity."""
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def as_bits(value: Any, categories: list[str] | None = None) -> int:
    """A boolean is 0 or 1, a timestamp its ticks, a categorical its code, an Int64 the nearest double, a text NaN."""
    if value is None:
        return NULL_BITS
    if isinstance(value, str):
        value = math.nan if categories is None else categories.index(value)
    elif isinstance(value, Instant):
        value = value.ticks
    return NAN_BITS if is_nan(value) else bits(float(value))


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]
