"""Definitions as JSON and back: the contract with the Rust compiler (`rust/engine/src/definition.rs`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn

from fastfeat.durations import Duration
from fastfeat.errors import DefinitionError, shown
from fastfeat.lookups import COLUMN_TYPES, Lookup
from fastfeat.nodes import Aggregate, Call, Column, Constant, Key, LookupColumn, Node, Parameter, rebuild
from fastfeat.schema import (
    NO_DEFAULT,
    TICK_NS,
    Boolean,
    Categorical,
    FieldType,
    Float64,
    Int64,
    String,
    Timestamp,
    instant,
    instant_ns,
)
from fastfeat.streams import Stream
from fastfeat.windows import AllTime, Hopping, Last, Rolling, Session, Since, Tumbling, Window

__all__ = ["Definition", "Feature", "decode", "encode"]

DEFINITION_VERSION: Final = 1
_TYPES: Final[Mapping[str, Callable[..., FieldType]]] = {
    kind.kind: kind for kind in (Timestamp, String, Categorical, Int64, Float64, Boolean)
}
_LITERALS: Final = {"string": "text", "categorical": "text", "int64": "int", "float64": "float", "boolean": "bool"}
_BOUNDS: Final = ("ge", "gt", "le", "lt")
# Their parameter is a length of time, in nanoseconds.
_TIMED: Final = ("ewm_mean", "ewm_sum")


class Feature(NamedTuple):
    """One column of the row: its name and how it is computed."""

    name: str
    node: Node


class Definition(NamedTuple):
    """What features are made of."""

    stream: Stream
    """That of the features."""
    streams: tuple[Stream, ...]
    lookups: tuple[Lookup, ...]
    features: tuple[Feature, ...]


def encode(
    stream: Stream, streams: tuple[Stream, ...], lookups: tuple[Lookup, ...], features: tuple[Feature, ...]
) -> str:
    """The definition as JSON; equal definitions are equal texts."""
    definition = {
        "version": DEFINITION_VERSION,
        "streams": [_stream(each) for each in streams],
        "lookups": [_lookup(each) for each in lookups],
        "features": [
            {"name": each.name, "stream": stream.name, "expression": _expression(each.node)} for each in features
        ],
    }
    return json.dumps(definition, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode(text: str) -> Definition:
    """What `encode` wrote; its lookups have no rows. The compiler has checked the shape before."""
    definition = json.loads(text)
    if definition["version"] != DEFINITION_VERSION:
        _refuse(f"it has version {definition['version']} and this release reads {DEFINITION_VERSION}; update fastfeat")
    streams = {each["name"]: _read_stream(each) for each in definition["streams"]}
    owners = {each["stream"] for each in definition["features"]}
    if len(owners) != 1:
        _refuse(f"its features are of {len(owners)} streams; write one definition for each")
    owner = streams[owners.pop()]
    lookups = {each["name"]: _read_lookup(each) for each in definition.get("lookups", ())}
    reader = _Reader(owner, streams, lookups)
    features = tuple(Feature(each["name"], reader.expression(each["expression"])) for each in definition["features"])
    return Definition(owner, tuple(streams.values()), tuple(lookups.values()), features)


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "name": stream.name,
        "time": stream.time,
        "lateness_ns": stream.lateness_ns,
        "on_late": stream.on_late,
        "fields": [_field(name, kind) for name, kind in stream.fields.items()],
    }


def _lookup(lookup: Lookup) -> dict[str, Any]:
    columns = [{"name": name, "type": kind.kind} for name, kind in lookup.columns.items()]
    return {"name": lookup.name, "key": lookup.key, "columns": columns}


def _field(name: str, kind: FieldType) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": kind.kind, "nullable": kind.nullable}
    for rule in (*_BOUNDS, "default"):
        value = getattr(kind, rule, None)
        if value is not None and value is not NO_DEFAULT:
            field[rule] = _field_literal(kind, value)
    if getattr(kind, "one_of", None) is not None:
        field["one_of"] = [_field_literal(kind, value) for value in getattr(kind, "one_of", ())]
    for rule in ("pattern", "max_bytes", "unit", "categories"):
        if getattr(kind, rule, None) is not None:
            field[rule] = getattr(kind, rule)
    if isinstance(kind, Float64):
        field["allow_nan"] = kind.allow_nan
    return field


def _field_literal(kind: FieldType, value: Any) -> dict[str, Any]:
    if isinstance(kind, Timestamp):
        is_instant = isinstance(value, datetime)
        return {"time": instant_ns("default", value) if is_instant else value * TICK_NS[kind.unit]}
    return {_LITERALS[kind.kind]: _double(value) if isinstance(value, float) else value}


def _expression(node: Node) -> dict[str, Any]:
    if isinstance(node, Column):
        return {"op": "column", "name": node.name}
    if isinstance(node, Constant):
        value = _double(node.value) if isinstance(node.value, float) else node.value
        return {"op": "literal", "value": "null" if node.kind == "null" else {node.kind: value}}
    if isinstance(node, Call):
        return {"op": "call", "function": node.function, "arguments": [_expression(each) for each in node.arguments]}
    if isinstance(node, LookupColumn):
        return {"op": "lookup", "lookup": node.lookup.name, "key": _expression(node.key), "column": node.column}
    assert isinstance(node, Aggregate), "aliases go when a feature is made"
    aggregate: dict[str, Any] = {
        "op": "aggregate",
        "kind": node.kind,
        "arguments": [_expression(argument) for argument in node.arguments],
        "parameters": [_parameter(parameter) for parameter in node.parameters],
    }
    if node.condition is not None:
        aggregate["where"] = _expression(node.condition)
    if node.stream is not None:
        aggregate["stream"] = node.stream.name
    aggregate["keys"] = [_key(key) for key in node.keys]
    aggregate["window"] = _window(node.window)
    return aggregate | {"include_current": node.include_current, "ties": node.ties}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Duration):
        return {"int": parameter.nanoseconds}
    return {"float": _double(parameter)} if isinstance(parameter, float) else {"int": parameter}


def _key(key: Key) -> dict[str, Any]:
    return {"name": key.name} | ({} if key.expression is None else {"expression": _expression(key.expression)})


def _window(window: Window) -> dict[str, Any]:
    if isinstance(window, Rolling):
        length, offset = window.length.nanoseconds, window.offset.nanoseconds
        return {"kind": "rolling", "length_ns": length, "offset_ns": offset, "closed": window.closed}
    if isinstance(window, Tumbling):
        zone = {} if window.timezone is None else {"timezone": window.timezone}
        return {"kind": "tumbling", "length_ns": window.length.nanoseconds} | zone
    if isinstance(window, Hopping):
        return {"kind": "hopping", "length_ns": window.length.nanoseconds, "every_ns": window.every.nanoseconds}
    if isinstance(window, Session):
        return {"kind": "session", "gap_ns": window.gap.nanoseconds}
    if isinstance(window, Last):
        return {"kind": "last", "count": window.count}
    if isinstance(window, Since):
        return {"kind": "since", "condition": _expression(window.condition)}
    return {"kind": "all"}


def _double(value: float) -> float | str:
    """JSON has no number for the infinities and NaN."""
    return value if math.isfinite(value) else str(value)


def _read_stream(data: dict[str, Any]) -> Stream:
    fields = {each["name"]: _read_field(each) for each in data["fields"]}
    lateness = f"{data['lateness_ns']}ns"
    return Stream(data["name"], fields, time=data["time"], lateness=lateness, on_late=data.get("on_late", "reject"))


def _read_field(data: dict[str, Any]) -> FieldType:
    written = {name: value for name, value in data.items() if value is not None and value is not False}
    rules = {name: value for name, value in written.items() if name not in ("name", "type")}
    for name in (*_BOUNDS, "default"):
        if name in rules:
            rules[name] = _read_literal(rules[name])
    if "one_of" in rules:
        rules["one_of"] = [_read_literal(each) for each in rules["one_of"]]
    if "unit" in rules and "default" in rules:
        ticks, rest = divmod(rules["default"], TICK_NS[rules["unit"]])
        rules["default"] = instant(rules["default"]) if rest else ticks
    return _TYPES[data["type"]](**rules)


def _read_literal(data: Any) -> Any:
    if data == "null":
        return None
    ((kind, value),) = data.items()
    return float(value) if kind == "float" else value


def _read_lookup(data: dict[str, Any]) -> Lookup:
    columns = {each["name"]: COLUMN_TYPES[each["type"]] for each in data["columns"]}
    return Lookup(data["name"], key=data["key"], columns=columns)


class _Reader:
    """From JSON to expressions: names of streams and lookups become the streams and lookups."""

    def __init__(self, owner: Stream, streams: Mapping[str, Stream], lookups: Mapping[str, Lookup]) -> None:
        self.owner = owner
        self.streams = streams
        self.lookups = lookups

    def expression(self, data: dict[str, Any]) -> Node:
        if data["op"] == "column":
            return Column(data["name"])
        if data["op"] == "literal":
            kind: Any = "null" if data["value"] == "null" else next(iter(data["value"]))
            return Constant(kind, _read_literal(data["value"]))
        if data["op"] == "call":
            return Call(data["function"], tuple(self.expression(each) for each in data["arguments"]))
        if data["op"] == "lookup":
            return LookupColumn(self.lookups[data["lookup"]], self.expression(data["key"]), data["column"])
        return self.aggregate(data)

    def aggregate(self, data: dict[str, Any]) -> Node:
        source = self.streams[data.get("stream") or self.owner.name]
        other = None if source is self.owner else source

        def read(part: dict[str, Any]) -> Node:
            return _bound(self.expression(part), other)

        keys = [(each["name"], each.get("expression")) for each in data["keys"]]
        return Aggregate(
            kinds=(data["kind"],),
            arguments=tuple(read(each) for each in data.get("arguments", [])),
            parameters=tuple(_read_parameter(data["kind"], each) for each in data.get("parameters", [])),
            condition=read(data["where"]) if data.get("where") else None,
            stream=other,
            keys=tuple(Key(name, part and self.expression(part)) for name, part in keys),
            windows=(_read_window(data["window"], read),),
            include_current=data.get("include_current", True),
            ties=data.get("ties", "include"),
        )


def _read_parameter(kind: str, data: dict[str, Any]) -> Parameter:
    value: int | float = _read_literal(data)
    return Duration(value) if kind in _TIMED and isinstance(value, int) else value


def _read_window(data: dict[str, Any], read: Callable[[dict[str, Any]], Node]) -> Window:
    kind = data["kind"]
    if kind == "rolling":
        offset = Duration(data.get("offset_ns", 0))
        return Rolling(Duration(data["length_ns"]), offset, data.get("closed", "right"))
    if kind == "tumbling":
        return Tumbling(Duration(data["length_ns"]), data.get("timezone"))
    if kind == "hopping":
        return Hopping(Duration(data["length_ns"]), Duration(data["every_ns"]))
    if kind == "session":
        return Session(Duration(data["gap_ns"]))
    if kind == "last":
        return Last(data["count"])
    if kind == "since":
        return Since(read(data["condition"]))
    if kind == "all":
        return AllTime()
    _refuse(f"its window is {shown(kind)}, which this release does not know; update fastfeat")


def _bound(node: Node, stream: Stream | None) -> Node:
    if isinstance(node, Column):
        return Column(node.name, stream)
    return rebuild(node, lambda part: _bound(part, stream))


def _refuse(message: str) -> NoReturn:
    raise DefinitionError("definition", message)
