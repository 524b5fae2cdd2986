"""What the tests share: an engine beside the judge, and a small stream for tables of cases. x formulas"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import fastfeat as ff
import numpy
from fastfeat import Engine, Stream
from reference import Reference
from reference_expressions import Instant

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# DESIGN 3.4: sums, extremes, counts and order to the bit; a transcendental function to some units of the last place.
TOLERANCES = {"var": 1e-9, "std": 1e-9, "pow": 1e-14, "exp": 1e-14, "log1p": 1e-14}

PAYMENTS = Stream(
    "payments",
    {
        "ts": ff.Timestamp("s"),
        "card": ff.String(nullable=True),
        "x": ff.Float64(nullable=True, allow_nan=True),
        "n": ff.Int64(nullable=True),
        "b": ff.Boolean(nullable=True),
        "text": ff.String(nullable=True),
        "kind": ff.Categorical(["low", "high"], nullable=True),
        "at": ff.Timestamp("s", nullable=True),
    },
    time="ts",
)


def definition(features: Any) -> dict[str, Any]:
    return json.loads(features.to_json())


# --- An engine beside the judge ----------------------------------------------------------------------------------


def assert_equals_reference(
    features: Any, events: Sequence[tuple[str, Mapping[str, Any]]], rows: Iterable[int] | None = None
) -> None:
    """Each row of the engine (or the `rows` asked for) is what the judge recomputes from the raw events."""
    engine, reference = Engine(features), Reference(definition(features))
    asked = None if rows is None else set(rows)
    for place, (stream, event) in enumerate(events):
        row = engine.push(event, stream=stream)
        assert reference.accept(event, stream) == place
        if asked is None or place in asked:
            assert_row(reference, place, row, f"row {place} of {stream} {event}")


def assert_row(reference: Reference, place: int, row: Any, where: str = "") -> None:
    """One row, by name and as a float vector."""
    expected = reference.row(place)
    if expected is None:
        assert row is None, where
        return
    assert row is not None, where
    found = row.to_dict()
    assert list(found) == list(expected), where
    stream = reference.events[place].stream
    tolerances = {f["name"]: tolerance(f["expression"]) for f in reference.features[stream]}
    for name, value in expected.items():
        assert_value(found[name], value, tolerances[name], f"{name} in {where}", reference.ticks_per_second)
    vector = numpy.asarray(row)
    assert vector.dtype == numpy.float64, where
    for name, bits, expected_bits in zip(
        expected, vector.view(numpy.uint64).tolist(), reference.vector(expected, stream), strict=True
    ):
        if tolerances[name] == 0.0 or is_nan_bits(expected_bits) or is_nan_bits(bits):
            assert bits == expected_bits, f"bits of {name}: {bits:#x} is not {expected_bits:#x} in {where}"


def assert_value(found: Any, expected: Any, relative: float = 0.0, where: str = "", ticks: int = 1_000_000) -> None:
    """None is not NaN, 1 is not 1.0, 0.0 is not -0.0."""
    found = comparable(found)
    if isinstance(expected, Instant):
        expected = Instant(expected.ticks * 1_000_000 // ticks)
    message = f"{found!r} is not {expected!r}: {where}"
    assert type(found) is type(expected), message
    if not isinstance(expected, float):
        assert found == expected, message
    elif math.isnan(expected) or math.isnan(found):
        assert math.isnan(found) == math.isnan(expected), message
    elif relative == 0.0:
        assert bits_of(found) == bits_of(expected), message
    else:
        assert math.isclose(found, expected, rel_tol=relative, abs_tol=1e-320), message


def comparable(value: Any) -> Any:
    """A timestamp as whole microseconds, which is all that a datetime holds."""
    return Instant((value - EPOCH) // timedelta(microseconds=1)) if isinstance(value, datetime) else value


def tolerance(expression: Mapping[str, Any]) -> float:
    """How far a feature may be from the judge's value: zero, unless something in it rounds more than once."""
    names = [name for part in parts(expression) for name in (part.get("kind"), part.get("function"))]
    return max((TOLERANCES.get(name, 0.0) for name in names if name is not None), default=0.0)


def parts(expression: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield expression
    for argument in expression.get("arguments", []):
        yield from parts(argument)


def bits_of(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def is_nan_bits(bits: int) -> bool:
    return bits & 0x7FFF_FFFF_FFFF_FFFF > 0x7FF0_0000_0000_0000


def row_bits(row: Any) -> Any:
    """A row as what must be equal for it to be the same: its typed values and the bits of its vector."""
    if row is None:
        return None
    typed = [(name, type(value).__name__, repr(value)) for name, value in row.to_dict().items()]
    return typed, numpy.asarray(row).view(numpy.uint64).tolist()


# --- Tables of cases: one feature `it` over PAYMENTS ---------------------------------------------------------------


def payment(event: Any) -> dict[str, Any]:
    """`(seconds, x)`, or a dict, as an event of card `c`."""
    if isinstance(event, tuple):
        return {"ts": event[0], "card": "c", "x": event[1]}
    return {"card": "c", **event}


def answers(feature: Any, events: Iterable[Any]) -> list[Any]:
    """What the feature is after each event."""
    engine = Engine(PAYMENTS.features(it=feature))
    return [comparable(engine.push(payment(event)).to_dict()["it"]) for event in events]


def answer(feature: Any, events: Iterable[Any]) -> Any:
    """What the feature is after the last event."""
    return answers(feature, events)[-1]


def seconds(values: Iterable[Any]) -> list[tuple[int, Any]]:
    """The values of `x`, one a second."""
    return list(enumerate(values))


def assert_same(found: Any, expected: Any, relative: float = 0.0) -> None:
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_value(one, other, relative, f"value {index} of {found}")
    else:
        assert_value(found, expected, relative)
