"""Definitions written by hand as the dicts of their JSON, for the judge's own tests. Knows nothing of fastfeat."""

import math

from reference import Reference, bits

SECOND = 1_000_000_000


def field(name, kind, **rules):
    return {"name": name, "type": kind, **rules}


def stream(name="payments", *fields, time="ts", lateness=0, on_late="reject"):
    fields = [field(time, "timestamp", unit="s"), *fields]
    return {"name": name, "time": time, "lateness_ns": lateness * SECOND, "on_late": on_late, "fields": fields}


def column(name):
    return {"op": "column", "name": name}


def constant(value):
    kind = {bool: "bool", int: "int", float: "float", str: "text"}[type(value)]
    content = str(value) if isinstance(value, float) and not math.isfinite(value) else value
    return {"op": "literal", "value": {kind: content}}


NULL = {"op": "literal", "value": "null"}


def call(function, *arguments):
    return {"op": "call", "function": function, "arguments": list(arguments)}


def rolling(seconds, **rest):
    return {"kind": "rolling", "length_ns": seconds * SECOND, **rest}


def tumbling(seconds, **rest):
    return {"kind": "tumbling", "length_ns": seconds * SECOND, **rest}


def hopping(seconds, every):
    return {"kind": "hopping", "length_ns": seconds * SECOND, "every_ns": every * SECOND}


def session(seconds):
    return {"kind": "session", "gap_ns": seconds * SECOND}


def last(count):
    return {"kind": "last", "count": count}


def since(condition):
    return {"kind": "since", "condition": condition}


def aggregate(kind, *arguments, keys=("card",), seconds=None, parameters=(), window=None, **rest):
    window = window or ({"kind": "all"} if seconds is None else rolling(seconds))
    return {
        "op": "aggregate",
        "kind": kind,
        "arguments": list(arguments),
        "parameters": [{"float" if isinstance(each, float) else "int": each} for each in parameters],
        "keys": [{"name": key} if isinstance(key, str) else key for key in keys],
        "window": window,
        **rest,
    }


def features(streams, on="payments", lookups=(), **expressions):
    made = [{"name": name, "stream": on, "expression": value} for name, value in expressions.items()]
    return {"version": 1, "streams": streams, "lookups": list(lookups), "features": made}


PAYMENTS = stream(
    "payments",
    field("card", "string", nullable=True),
    field("x", "float64", nullable=True, allow_nan=True),
    field("y", "float64", nullable=True, allow_nan=True),
    field("n", "int64", nullable=True),
    field("b", "boolean", nullable=True),
    field("text", "string", nullable=True),
    field("at", "timestamp", unit="s", nullable=True),
    field("kind", "categorical", categories=["low", "high"], nullable=True),
)


def payment(event):
    """(seconds, x), (seconds, x, y), or a dict, as an event of card `c`."""
    if isinstance(event, tuple):
        return {"card": "c", **dict(zip(("ts", "x", "y"), event, strict=False))}
    return {"card": "c", **event}


def values(expression, events, **options):
    """What one feature says after each event. `options` are those of the stream."""
    reference = Reference(features([{**PAYMENTS, **options}], it=expression))
    return [reference.push(payment(event))["it"] for event in events]


def same(found, expected):
    def comparable(value):
        return (type(value), bits(value) if isinstance(value, float) and value == value else str(value))

    return list(map(comparable, found)) == list(map(comparable, expected))


def evaluated(expression, **event):
    return values(expression, [{"ts": 0, "card": "c", **event}])[0]
