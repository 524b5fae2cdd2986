"""The judge: every feature in slow obvious Python, recomputed for each row from the raw events.

It takes the definition (the JSON of `rust/engine/src/definition.rs` as a dict) and the events in order of arrival,
and does what `docs/semantics.md` says, sentence by sentence, in exact arithmetic. It imports nothing of fastfeat.
Windows, aggregations, expressions and input have a file each.

Values are Python's: None, float, int, bool, str, lists of these, and `Instant` for timestamps.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reference_aggregations import (
    AGGREGATIONS,
    LOOK_BEFORE,
    Seen,
    correctly_rounded_sum,
    exact_sum,
    is_nan,
    nearest_double,
    result_type,
    same_value,
    scale,
)
from reference_expressions import Instant, evaluate, literal, type_of
from reference_input import CONVERSIONS, LateError, Schema
from reference_windows import WINDOWS, Candidate, inside_late

__all__ = ["AGGREGATIONS", "WINDOWS", "Reference", "bits", "correctly_rounded_sum", "exact_sum", "nearest_double"]

NULL_BITS = 0x7FF8_0000_0000_07A2
NAN_BITS = 0x7FF8_0000_0000_0000
LATE_EVENTS_MAX = 1_000


# --- 1. Time and order -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """An accepted event. Its place in `Reference.events` is its arrival."""

    stream: str
    time: int
    values: Mapping[str, Any]
    lookups: Mapping[str, Any] = field(repr=False)
    """The reference data at its arrival."""


@dataclass(frozen=True)
class Moment:
    """What a row is as of: an event and how many had arrived before it, or a time that was looked up."""

    event: Event
    place: int
    watermark: int | None = None
    """In nanoseconds, where the event was late."""
    is_event: bool = True


class TooFarBackError(Exception):
    """A lookup before the watermark."""


class Reference:
    """What an engine knows, as the list of the events it accepted."""

    def __init__(
        self, definition: Mapping[str, Any], lookups: Mapping[str, Iterable[Mapping[str, Any]]] | None = None
    ) -> None:
        self.definition = definition
        self.ticks_per_second = ticks_per_second(definition)
        self.schemas = {stream["name"]: Schema(stream, self.ticks_per_second) for stream in definition["streams"]}
        self.streams = {stream["name"]: stream for stream in definition["streams"]}
        self.features = {
            name: [feature for feature in definition["features"] if feature["stream"] == name] for name in self.schemas
        }
        self.events: list[Event] = []
        self._newest: dict[str, int] = {}
        self.late = dict.fromkeys(self.schemas, 0)
        self.ledger: list[dict[str, Any]] = []
        self.lookups: Mapping[str, Any] = {}
        for lookup in definition.get("lookups", []):
            self.replace_lookup(lookup["name"], (lookups or {}).get(lookup["name"], []))
        self._candidates: dict[int, list[tuple[Any, Candidate | None]]] = {}

    def accept(self, event: Mapping[str, Any], stream: str | None = None) -> Moment:
        """Checks the event whole, then keeps it. Nothing but the ledger has changed when it raises, nor when the
        event is late and gets a row."""
        try:
            moment = self.moment(event, stream)
        except LateError as late:
            self.note(late.stream, late.time, late.newest, "rejected")
            raise
        made = moment.event
        if moment.watermark is None:
            self.events.append(made)
            self._newest[made.stream] = max(made.time, self._newest.get(made.stream, made.time))
        else:
            self.note(made.stream, made.time, self.newest(made.stream), "emitted")
        return moment

    def moment(self, event: Mapping[str, Any], stream: str | None = None) -> Moment:
        """What the row of this event is as of, if it came now."""
        stream = stream or self.only_stream()
        values = self.schemas[stream].check(event)
        time = values[self.schemas[stream].time].ticks
        made = Event(stream, time, values, self.lookups)
        newest = self.newest(stream)
        if newest is None or self.nanoseconds(newest - time) <= self.streams[stream]["lateness_ns"]:
            return Moment(made, len(self.events))
        if self.streams[stream].get("on_late", "reject") == "reject":
            raise LateError(stream, time, newest)
        return Moment(made, len(self.events), watermark=self.watermark(stream))

    def note(self, stream: str, time: int, newest: int | None, action: str) -> None:
        assert newest is not None
        self.late[stream] += 1
        behind = (newest - time) / self.ticks_per_second
        self.ledger.append({"stream": stream, "time": time, "newest": newest, "late_seconds": behind, "action": action})
        del self.ledger[:-LATE_EVENTS_MAX]

    def push(self, event: Mapping[str, Any], stream: str | None = None) -> dict[str, Any] | None:
        """The row of the event; None when its stream has no features."""
        return self.row(self.accept(event, stream))

    def peek(self, event: Mapping[str, Any], stream: str | None = None) -> dict[str, Any] | None:
        """What `push` would answer; nothing changes."""
        return self.row(self.moment(event, stream))

    def lookup(self, keys: Mapping[str, Any], at: int, stream: str | None = None) -> dict[str, Any] | None:
        """A row at a time (in ticks) without an event of its own; fields that the keys do not give are null."""
        return self.row(self.lookup_moment(keys, at, stream))

    def lookup_moment(self, keys: Mapping[str, Any], at: int, stream: str | None = None) -> Moment:
        stream = stream or self.only_stream()
        watermark = self.watermark(stream)
        if watermark is not None and self.nanoseconds(at) < watermark:
            raise TooFarBackError(at)
        schema = self.schemas[stream]
        values = {each["name"]: None for each in schema.fields}
        for name, value in keys.items():
            field = schema.field(name)
            if value is not None:
                values[name] = CONVERSIONS[field["type"]](value, field, self.ticks_per_second)
            elif not field.get("nullable") and field.get("default") is not None:
                values[name] = literal(field["default"], self.ticks_per_second)  # a given null keeps the field's rules
        values[schema.time] = Instant(at)
        return Moment(Event(stream, at, values, self.lookups), len(self.events), is_event=False)

    def replace_lookup(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Events that came before keep what they found."""
        (definition,) = (each for each in self.definition["lookups"] if each["name"] == name)
        kinds = {column["name"]: column["type"] for column in definition["columns"]}
        table = {}
        for row in rows:
            converted = {
                column: None
                if row.get(column) is None
                else CONVERSIONS[kind](row[column], {"unit": "us"}, self.ticks_per_second)
                for column, kind in kinds.items()
            }
            table[same_value(converted[definition["key"]])] = converted
        self.lookups = {**self.lookups, name: table}

    def row(self, moment: Moment) -> dict[str, Any] | None:
        """The features as of the moment: it sees what arrived before, and its own event, nothing else."""
        features = self.features[moment.event.stream]
        if not features:
            return None
        return {feature["name"]: self.value(feature["expression"], moment) for feature in features}

    def value(self, expression: Mapping[str, Any], moment: Moment) -> Any:
        return evaluate(
            expression,
            moment.event.values,
            self.context(moment.event.stream, moment.event.lookups),
            aggregate=lambda aggregate: self.aggregate(aggregate, moment),
        )

    def context(self, stream: str, lookups: Mapping[str, Any] | None = None) -> Context:
        return Context(self, stream, self.lookups if lookups is None else lookups)

    def only_stream(self) -> str:
        (stream,) = {feature["stream"] for feature in self.definition["features"]}
        return stream

    def newest(self, stream: str) -> int | None:
        """In ticks; every stream has its own."""
        return self._newest.get(stream)

    def watermark(self, stream: str) -> int | None:
        """In nanoseconds, as a lateness need not be whole ticks."""
        newest = self.newest(stream)
        return None if newest is None else self.nanoseconds(newest) - self.streams[stream]["lateness_ns"]

    def nanoseconds(self, ticks: int) -> int:
        return ticks * (1_000_000_000 // self.ticks_per_second)

    # --- 2. and 6. Which events an aggregation sees --------------------------------------------------------------

    def aggregate(self, aggregate: Mapping[str, Any], moment: Moment) -> Any:
        return AGGREGATIONS[aggregate["kind"]](self.seen(aggregate, moment), *self.parameters(aggregate))

    def scale(self, expression: Mapping[str, Any], moment: Moment) -> float:
        """What the error of an inexact aggregation is measured by where its terms cancel; 0 where they do not."""
        if expression["op"] != "aggregate":
            return 0.0
        return scale(expression["kind"], self.seen(expression, moment), *self.parameters(expression))

    def parameters(self, aggregate: Mapping[str, Any]) -> list[Any]:
        return [literal(parameter, self.ticks_per_second) for parameter in aggregate.get("parameters", [])]

    def seen(self, aggregate: Mapping[str, Any], moment: Moment) -> Seen:
        event = moment.event
        inside, own = self.inside(aggregate, moment)
        # Some look at the events before the row's own, which has had its place in the window until here.
        before = [entry for entry in inside if not (aggregate["kind"] in LOOK_BEFORE and entry is own)]
        return Seen(
            [entry for entry in before if entry.counts],
            own if own is not None and own.counts else None,
            self.nanoseconds(event.time),
            self.ticks_per_second,
            aggregate["window"],
            self.result_type(aggregate, event.stream),
            self.categories(aggregate["arguments"][0], source_stream(aggregate, event.stream))
            if aggregate.get("arguments")
            else None,
        )

    def inside(self, aggregate: Mapping[str, Any], moment: Moment) -> tuple[list[Candidate], Candidate | None]:
        """The events in the window, and the row's own event, which is one of them or left out."""
        event, window = moment.event, aggregate["window"]
        key = self.reading_key(aggregate, event)
        if key is None:
            return [], None  # a null key part: not even itself is inside
        own = None
        if moment.is_event and source_stream(aggregate, event.stream) == event.stream:
            own = self.candidate(aggregate, event.stream, event, moment.place)
        without_ties = aggregate.get("ties", "include") == "exclude"
        itself = own if aggregate.get("include_current", True) and not without_ties else None
        row_time = self.nanoseconds(event.time)
        arrived = sorted(
            (
                candidate
                for its_key, candidate in self.candidates(aggregate, event.stream)[: moment.place]
                if candidate is not None and its_key == key
            ),
            key=lambda candidate: (candidate.time, candidate.place),
        )

        def candidates(at: int) -> list[Candidate]:
            return [c for c in arrived if c.time < at or (c.time == at and not without_ties)]

        if moment.watermark is not None:
            known = candidates(moment.watermark)
            return inside_late(window, candidates(row_time), itself, row_time, known, moment.watermark), own
        all_of_them = candidates(row_time) + ([] if itself is None else [itself])
        return WINDOWS[window["kind"]](window, all_of_them, row_time), own

    def candidates(self, aggregate: Mapping[str, Any], reader: str) -> list[tuple[Any, Candidate | None]]:
        """Each event so far with its key, None where the aggregation skips it. Kept, as an event never changes."""
        found = self._candidates.setdefault(id(aggregate), [])
        for place in range(len(found), len(self.events)):
            event = self.events[place]
            key, candidate = None, None
            if event.stream == source_stream(aggregate, reader):
                key = self.writing_key(aggregate, reader, event)
                if key is not None:  # a key part that is null makes no key
                    candidate = self.candidate(aggregate, reader, event, place)
            found.append((key, candidate))
        return found

    def candidate(self, aggregate: Mapping[str, Any], reader: str, event: Event, place: int) -> Candidate:
        context = self.context(source_stream(aggregate, reader), event.lookups)
        condition, since = aggregate.get("where"), aggregate["window"].get("condition")
        values = tuple(evaluate(part, event.values, context) for part in aggregate.get("arguments", []))
        return Candidate(
            place,
            self.nanoseconds(event.time),
            # Null is not true, and aggregations skip null values.
            counts=(condition is None or evaluate(condition, event.values, context) is True) and None not in values,
            values=values,
            starts=since is not None and evaluate(since, event.values, context) is True,
        )

    def reading_key(self, aggregate: Mapping[str, Any], event: Event) -> tuple[Any, ...] | None:
        return whole_key(self.key_part(key, event) for key in aggregate["keys"])

    def writing_key(self, aggregate: Mapping[str, Any], reader: str, event: Event) -> tuple[Any, ...] | None:
        if source_stream(aggregate, reader) == reader:
            return self.reading_key(aggregate, event)  # a computed key is computed on both sides
        return whole_key(event.values[key["name"]] for key in aggregate["keys"])

    def key_part(self, key: Mapping[str, Any], event: Event) -> Any:
        if key.get("expression") is None:
            return event.values[key["name"]]
        return evaluate(key["expression"], event.values, self.context(event.stream, event.lookups))

    # --- 4. and 5. Types -----------------------------------------------------------------------------------------

    def types(self, stream: str | None = None) -> dict[str, str]:
        """The type of each feature of a stream, by name."""
        stream = stream or self.only_stream()
        return {f["name"]: type_of(f["expression"], self.context(stream)) for f in self.features[stream]}

    def result_type(self, aggregate: Mapping[str, Any], reader: str) -> str:
        arguments = aggregate.get("arguments", [])
        source = type_of(arguments[0], self.context(source_stream(aggregate, reader))) if arguments else None
        return result_type(aggregate["kind"], source)

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
        categories: list[str] = self.schemas[stream].field(expression["name"])["categories"]
        return categories


@dataclass(frozen=True)
class Context:
    """What an expression over a stream must know: types of its parts, and reference data."""

    reference: Reference
    stream: str
    lookups: Mapping[str, Any]

    @property
    def ticks_per_second(self) -> int:
        return self.reference.ticks_per_second

    def column_type(self, name: str) -> str:
        return str(self.reference.schemas[self.stream].field(name)["type"])

    def aggregate_type(self, aggregate: Mapping[str, Any]) -> str:
        return self.reference.result_type(aggregate, self.stream)

    def lookup_type(self, lookup: str, column: str) -> str:
        (definition,) = (each for each in self.reference.definition["lookups"] if each["name"] == lookup)
        (found,) = (each["type"] for each in definition["columns"] if each["name"] == column)
        return str(found)

    def find(self, lookup: str, key: Any, column: str) -> Any:
        """Null when there is no row of that key, or the key is null."""
        return None if key is None else self.lookups[lookup].get(same_value(key), {}).get(column)


def ticks_per_second(definition: Mapping[str, Any]) -> int:
    """A plan counts microseconds, or nanoseconds when a stream of it has a `Timestamp("ns")`."""
    fields = [field for stream in definition["streams"] for field in stream["fields"]]
    return 1_000_000_000 if any(field.get("unit") == "ns" for field in fields) else 1_000_000


def source_stream(aggregate: Mapping[str, Any], reader: str) -> str:
    return aggregate.get("stream") or reader


def whole_key(parts: Iterable[Any]) -> tuple[Any, ...] | None:
    key = tuple(same_value(part) for part in parts)
    return None if None in key else key


# --- The vector ----------------------------------------------------------------------------------------------------


def as_bits(value: Any, categories: Sequence[str] | None = None) -> int:
    """A boolean is 0 or 1, a timestamp its ticks, a categorical its code, an Int64 the nearest double, a text and a
    list NaN."""
    if value is None:
        return NULL_BITS
    if isinstance(value, list):
        value = math.nan
    elif isinstance(value, str):
        value = math.nan if categories is None else categories.index(value)
    elif isinstance(value, Instant):
        value = value.ticks
    return NAN_BITS if is_nan(value) else bits(float(value))


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]
