"""Definitions as JSON and back: the contract with the Rust compiler (`rust/engine/src/definition.rs`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn

from fastfeat.errors import DefinitionError, shown
from fastfeat.nodes import Aggregate, Call, Column, Constant, Key, Node, rebuild
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
from fastfeat.windows import AllTime, Rolling, Window

__all__ = ["Feature", "decode", "encode"]

DEFINITION_VERSION: Final = 1
_TYPES: Final[Mapping[str, Callable[..., FieldType]]] = {
    kind.kind: kind for kind in (Timestamp, String, Categorical, Int64, Float64, Boolean)
}
_LITERALS: Final = {"string": "text", "categorical": "text", "int64": "int", "float64": "float", "boolean": "bool"}
_BOUNDS: Final = ("ge", "gt", "le", "lt")
# What Python does not write otherwise; a definition that says something else was written by another face.
_AS_IS: Final = {"include_current": True, "ties": "include", "offset_ns": 0, "closed": "right"}


class Feature(NamedTuple):
    """One column of the row: its name and how it is computed."""

    name: str
    node: Node


def encode(stream: Stream, streams: tuple[Stream, ...], features: tuple[Feature, ...]) -> str:
    """The definition as JSON; equal definitions are equal texts."""
    definition = {
        "version": DEFINITION_VERSION,
        "streams": [_stream(each) for each in streams],
        "features": [
            {"name": each.name, "stream": stream.name, "expression": _expression(each.node)} for each in features
        ],
    }
    return json.dumps(definition, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode(text: str) -> tuple[Stream, tuple[Stream, ...], tuple[Feature, ...]]:
    """The stream of the features, all streams, and the features. The compiler has checked the shape before."""
    definition = json.loads(text)
    if definition["version"] != DEFINITION_VERSION:
        _refuse(f"it has version {definition['version']} and this release reads {DEFINITION_VERSION}; update fastfeat")
    streams = {each["name"]: _read_stream(each) for each in definition["streams"]}
    owners = {each["stream"] for each in definition["features"]}
    if len(owners) != 1:
        _refuse(f"its features are of {len(owners)} streams; write one definition for each")
    owner = streams[owners.pop()]
    features = tuple(
        Feature(each["name"], _read_expression(each["expression"], owner, streams)) for each in definition["features"]
    )
    return owner, tuple(streams.values()), features


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "name": stream.name,
        "time": stream.time,
        "lateness_ns": stream.lateness_ns,
        "on_late": stream.on_late,
        "fields": [_field(name, kind) for name, kind in stream.fields.items()],
    }


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
    assert isinstance(node, Aggregate), "aliases go when a feature is made"
    aggregate: dict[str, Any] = {
        "op": "aggregate",
        "kind": node.kind,
        "arguments": [] if node.input is None else [_expression(node.input)],
        "parameters": [{"int": parameter} for parameter in node.parameters],
    }
    if node.condition is not None:
        aggregate["where"] = _expression(node.condition)
    if node.stream is not None:
        aggregate["stream"] = node.stream.name
    aggregate["keys"] = [_key(key) for key in node.keys]
    aggregate["window"] = _window(node.window)
    return aggregate | {name: _AS_IS[name] for name in ("include_current", "ties")}


def _key(key: Key) -> dict[str, Any]:
    return {"name": key.name} | ({} if key.expression is None else {"expression": _expression(key.expression)})


def _window(window: Window) -> dict[str, Any]:
    if isinstance(window, AllTime):
        return {"kind": "all"}
    return {"kind": "rolling", "length_ns": window.length_ns} | {name: _AS_IS[name] for name in ("offset_ns", "closed")}


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


def _read_expression(data: dict[str, Any], owner: Stream, streams: Mapping[str, Stream]) -> Node:
    if data["op"] == "column":
        return Column(data["name"])
    if data["op"] == "literal":
        kind: Any = "null" if data["value"] == "null" else next(iter(data["value"]))
        return Constant(kind, _read_literal(data["value"]))
    if data["op"] == "call":
        return Call(data["function"], tuple(_read_expression(each, owner, streams) for each in data["arguments"]))
    for name, value in (data | data["window"]).items():
        if name in _AS_IS and value != _AS_IS[name]:
            _refuse(f"{name} is {shown(value)} and this release knows {shown(_AS_IS[name])}; update fastfeat")
    source = streams[data.get("stream") or owner.name]
    other = None if source is owner else source

    def read(part: dict[str, Any] | None) -> Node | None:
        return None if part is None else _bound(_read_expression(part, owner, streams), other)

    keys = [(each["name"], each.get("expression")) for each in data["keys"]]
    window = data["window"]
    return Aggregate(
        kinds=(data["kind"],),
        input=read(next(iter(data.get("arguments", [])), None)),
        parameters=tuple(_read_literal(each) for each in data.get("parameters", [])),
        condition=read(data.get("where")),
        stream=other,
        keys=tuple(Key(name, part and _read_expression(part, owner, streams)) for name, part in keys),
        windows=(AllTime() if window["kind"] == "all" else Rolling(window["length_ns"]),),
    )


def _bound(node: Node, stream: Stream | None) -> Node:
    if isinstance(node, Column):
        return Column(node.name, stream)
    return rebuild(node, lambda part: _bound(part, stream))


def _refuse(message: str) -> NoReturn:
    raise DefinitionError("definition", message)
