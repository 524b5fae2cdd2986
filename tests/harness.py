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
import pytest
from fastfeat import Engine, LateEvent, Stream
from reference import Moment, Reference
from reference_expressions import Instant
from reference_input import LateError

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# DESIGN 3.4: sums, extremes, counts and order to the bit; what has a root, a division or a logarithm in it to some
# units of the last place; the rest as docs/semantics.md says.
TOLERANCES = {
    **dict.fromkeys(("var", "std", "skew", "kurtosis", "cov", "corr", "slope", "ewm_sum", "ewm_mean"), 1e-9),
    **dict.fromkeys(("quantile", "median", "entropy"), 1e-12),
    **dict.fromkeys(("pow", "exp", "log1p"), 1e-14),
    "rate": 1e-15,
    "haversine": 1e-9,
    "approx_quantile": 0.01,
}
# Of HyperLogLog with 1,024 registers; six of them in any of some thousand rows would be a bug.
UNIQUE_EXACT_UP_TO, UNIQUE_STANDARD_ERROR = 128, 0.033

PAYMENTS = Stream(
    "payments",
    {
        "ts": ff.Timestamp("s"),
        "card": ff.String(nullable=True),
        "x": ff.Float64(nullable=True, allow_nan=True),
        "y": ff.Float64(nullable=True, allow_nan=True),
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
    features: Any,
    events: Sequence[tuple[str, Mapping[str, Any]]],
    rows: Iterable[int] | None = None,
    lookups: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
) -> Engine:
    """Each row of the engine (or the `rows` asked for) is what the judge recomputes from the raw events. `lookups`
    are the rows of the reference data that the features hold as tables."""
    engine, reference = Engine(features), Reference(definition(features), lookups)
    asked = None if rows is None else set(rows)
    for place, (stream, event) in enumerate(events):
        moment, row = push_both(engine, reference, event, stream)
        if moment is not None and (asked is None or place in asked):
            assert_row(reference, moment, row, f"row {place} of {stream} {event}")
    return engine


def push_both(engine: Engine, reference: Reference, event: Mapping[str, Any], stream: str) -> tuple[Any, Any]:
    """The moment and the engine's row; None and None when both found the event late."""
    late, moment = None, None
    try:
        moment = reference.accept(event, stream)
    except LateError as error:
        late = error
    if late is None:
        return moment, engine.push(event, stream=stream)
    with pytest.raises(LateEvent) as caught:
        engine.push(event, stream=stream)
    assert caught.value.behind_us == late.behind_ticks * 1_000_000 // reference.ticks_per_second
    return None, None


def assert_row(reference: Reference, moment: Moment, row: Any, where: str = "") -> None:
    """One row, by name and as a float vector."""
    expected = reference.row(moment)
    if expected is None:
        assert row is None, where
        return
    assert row is not None, where
    found = row.to_dict()
    assert list(found) == list(expected), where
    stream = moment.event.stream
    exact = {}
    for feature in reference.features[stream]:
        name, expression = feature["name"], feature["expression"]
        relative, absolute = tolerance(expression), 0.0
        message = f"{name} in {where}"
        if expression.get("kind") == "approx_n_unique":
            assert_about_unique(found[name], expected[name], message)
            exact[name] = False
            continue
        if relative > 0.0:
            absolute = relative * reference.scale(expression, moment)
        exact[name] = relative == 0.0
        assert_value(found[name], expected[name], relative, message, reference.ticks_per_second, absolute)
    vector = numpy.asarray(row)
    assert vector.dtype == numpy.float64, where
    for name, bits, expected_bits in zip(
        expected, vector.view(numpy.uint64).tolist(), reference.vector(expected, stream), strict=True
    ):
        if exact[name] or is_nan_bits(expected_bits) or is_nan_bits(bits):
            assert bits == expected_bits, f"bits of {name}: {bits:#x} is not {expected_bits:#x} in {where}"


def assert_about_unique(found: Any, exact: int, where: str) -> None:
    assert type(found) is int, where
    error = 0.0 if exact <= UNIQUE_EXACT_UP_TO else 6 * UNIQUE_STANDARD_ERROR * exact
    assert abs(found - exact) <= error, f"{found} is not about {exact}: {where}"


def assert_value(
    found: Any,
    expected: Any,
    relative: float = 0.0,
    where: str = "",
    ticks: int = 1_000_000,
    absolute: float = 0.0,
) -> None:
    """None is not NaN, 1 is not 1.0, 0.0 is not -0.0."""
    found = comparable(found)
    if isinstance(expected, Instant):
        expected = Instant(expected.ticks * 1_000_000 // ticks)
    message = f"{found!r} is not {expected!r}: {where}"
    assert type(found) is type(expected), message
    if isinstance(expected, list):
        assert len(found) == len(expected), message
        for one, other in zip(found, expected, strict=True):
            assert_value(one, other, relative, message, ticks)
    elif not isinstance(expected, float):
        assert found == expected, message
    elif math.isnan(expected) or math.isnan(found):
        assert math.isnan(found) == math.isnan(expected), message
    elif relative == 0.0:
        assert bits_of(found) == bits_of(expected), message
    else:
        assert math.isclose(found, expected, rel_tol=relative, abs_tol=max(absolute, 1e-320)), message


def comparable(value: Any) -> Any:
    """A timestamp as whole microseconds, which is all that a datetime holds."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    return Instant((value - EPOCH) // timedelta(microseconds=1)) if isinstance(value, datetime) else value


def tolerance(expression: Mapping[str, Any]) -> float:
    """How far a feature may be from the judge's value: zero, unless something in it rounds more than once."""
    names = [name for part in parts(expression) for name in (part.get("kind"), part.get("function"))]
    return max((TOLERANCES.get(name, 0.0) for name in names if name is not None), default=0.0)


def parts(expression: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield expression
    for argument in (*expression.get("arguments", []), *filter(None, [expression.get("key")])):
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


def sorted_by_time(case):
    """The same events in order of time, those of equal times as they arrived."""
    times = Reference(definition(case.features))
    at = [times.schemas[name].check(event)[times.schemas[name].time].ticks for name, event in case.events]
    order = sorted(range(len(at)), key=lambda place: (at[place], place))
    return [case.events[place] for place in order]


# --- Tables of cases: one feature `it` over PAYMENTS ---------------------------------------------------------------


def payment(event: Any) -> dict[str, Any]:
    """`(seconds, x)`, `(seconds, x, y)`, or a dict, as an event of card `c`."""
    if isinstance(event, tuple):
        return {"card": "c", **dict(zip(("ts", "x", "y"), event, strict=False))}
    return {"card": "c", **event}


def answers(feature: Any, events: Iterable[Any], stream: Stream = PAYMENTS) -> list[Any]:
    """What the feature is after each event."""
    engine = Engine(stream.features(it=feature))
    return [comparable(engine.push(payment(event)).to_dict()["it"]) for event in events]


def answer(feature: Any, events: Iterable[Any], stream: Stream = PAYMENTS) -> Any:
    """What the feature is after the last event."""
    return answers(feature, events, stream)[-1]


def with_lateness(lateness: str, on_late: str = "reject") -> Stream:
    """PAYMENTS that takes events out of order."""
    return Stream("payments", dict(PAYMENTS.fields), time="ts", lateness=lateness, on_late=on_late)


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
