"""A refused event has changed nothing and says what was wrong: the field and the rule, or how much too late it is."""

import json
import math
from datetime import datetime, timezone
from decimal import Decimal

import fastfeat as ff
import numpy
import pytest
from fastfeat import Engine, FastfeatError, InvalidEvent, LateEvent, Stream, col, count
from harness import definition, row_bits
from hypothesis import given, note
from hypothesis import strategies as st
from reference import Reference
from reference_input import LateError, RefusedError
from strategies import cases
from strategies_events import in_unit

RULES = Stream(
    "rules",
    {
        "ts": ff.Timestamp("us"),
        "x": ff.Float64(ge=0, lt=100),
        "y": ff.Float64(gt=-1, le=1, nullable=True),
        "any": ff.Float64(allow_nan=True, default=0.0),
        "n": ff.Int64(one_of=[1, 2, 3]),
        "m": ff.Int64(ge=-5, le=5, default=0),
        "s": ff.String(max_bytes=4),
        "p": ff.String(pattern="[a-z]+", nullable=True),
        "o": ff.String(one_of=["a", "b"], default="a"),
        "c": ff.Categorical(["low", "high"], nullable=True),
        "b": ff.Boolean(default=False),
        "at": ff.Timestamp("ms", nullable=True),
    },
    time="ts",
)
FEATURES = RULES.features(
    n=count().over("s", "1s"),
    total=col("x").sum().over("s", "1s"),
    kinds=col("p").n_unique().over(),
    before=col("x").lag(1).over("s"),
)
GOOD = {"ts": 1_000_000, "x": 1.0, "y": None, "n": 1, "s": "é", "p": "abc"}

WRONG = [
    ({"x": -0.5}, [("x", "ge")]),
    ({"x": 100.0}, [("x", "lt")]),
    ({"x": math.nan}, [("x", "allow_nan")]),
    ({"x": math.inf}, [("x", "allow_nan")]),
    ({"x": "1"}, [("x", "type")]),
    ({"x": True}, [("x", "type")]),
    ({"x": None}, [("x", "not_null")]),
    ({"x": [1]}, [("x", "type")]),
    ({"y": -1}, [("y", "gt")]),
    ({"y": 1.5}, [("y", "le")]),
    ({"n": 4}, [("n", "one_of")]),
    ({"n": 1.0}, [("n", "type")]),
    ({"n": True}, [("n", "type")]),
    ({"n": 2**63}, [("n", "range")]),
    ({"n": -(10**30)}, [("n", "range")]),
    ({"m": 6}, [("m", "le")]),
    ({"s": "ééé"}, [("s", "max_bytes")]),
    ({"s": b"ab"}, [("s", "type")]),
    ({"s": 3}, [("s", "type")]),
    ({"p": "ABC"}, [("p", "pattern")]),
    ({"p": "abc\n"}, [("p", "pattern")]),
    ({"p": ""}, [("p", "pattern")]),
    ({"o": "c"}, [("o", "one_of")]),
    ({"c": "middle"}, [("c", "one_of")]),
    ({"c": 0}, [("c", "type")]),
    ({"b": 1}, [("b", "type")]),
    ({"b": "true"}, [("b", "type")]),
    ({"at": 1.5}, [("at", "type")]),
    ({"at": "2024-02-30"}, [("at", "type")]),
    ({"at": "noon"}, [("at", "type")]),
    ({"at": 2**62}, [("at", "range")]),
    ({"at": True}, [("at", "type")]),
    ({"ts": None}, [("ts", "not_null")]),
    ({"ts": 2**63 - 1}, [("ts", "range")]),
    ({"ts": 10**40}, [("ts", "range")]),
    ({"x": -1, "n": 9, "s": 1, "b": 0}, [("x", "ge"), ("n", "one_of"), ("s", "type"), ("b", "type")]),
]


def problems(engine, event):
    with pytest.raises(InvalidEvent) as caught:
        engine.push(event)
    return [(problem.field, problem.rule) for problem in caught.value.problems]


@pytest.mark.parametrize(("change", "expected"), WRONG, ids=lambda value: str(value)[:40])
def test_broken_rules_are_named_all_at_once(change, expected):
    assert problems(Engine(FEATURES), {**GOOD, **change}) == expected


@pytest.mark.parametrize(("change", "expected"), WRONG, ids=lambda value: str(value)[:40])
def test_the_reference_refuses_the_same(change, expected):
    with pytest.raises(RefusedError) as caught:
        Reference(definition(FEATURES)).push({**GOOD, **change})
    assert caught.value.problems == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [wrong for wrong in WRONG if not isinstance(next(iter(wrong[0].values())), bytes)],
    ids=lambda value: str(value)[:40],
)
def test_json_is_refused_for_the_same_reasons(change, expected):
    with pytest.raises(InvalidEvent) as caught:
        Engine(FEATURES).push_json(json.dumps({**GOOD, **change}).encode())
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == expected


def test_absent_fields_are_named():
    assert problems(Engine(FEATURES), {"ts": 0}) == [("x", "required"), ("n", "required"), ("s", "required")]
    assert problems(Engine(FEATURES), {}) == [
        ("ts", "required"),
        ("x", "required"),
        ("n", "required"),
        ("s", "required"),
    ]


def test_problem_shows_the_value_and_not_a_megabyte_of_it():
    with pytest.raises(InvalidEvent) as caught:
        Engine(FEATURES).push({**GOOD, "s": "z" * 1_000_000})
    (problem,) = caught.value.problems
    assert problem.field == "s"
    assert "zzz" in problem.value
    assert len(str(caught.value)) < 1_000
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FastfeatError)


def test_lone_surrogate_is_an_invalid_event_and_no_other_error():
    assert [field for field, _ in problems(Engine(FEATURES), {**GOOD, "s": "\ud800"})] == ["s"]


@pytest.mark.parametrize("event", [None, 3, "text", [("ts", 1)], {"ts": object()}])
def test_what_is_no_event_is_refused_without_a_trace(event):
    engine = Engine(FEATURES)
    with pytest.raises((FastfeatError, TypeError)):
        engine.push(event)
    assert engine.push(GOOD)["n"] == 1


class Unreadable:
    def __float__(self):
        raise RuntimeError("no")

    def __index__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("field", ["x", "n", "ts"])
def test_a_value_that_raises_when_read_changes_nothing(field):
    engine = Engine(FEATURES)
    engine.push(GOOD)
    with pytest.raises((InvalidEvent, RuntimeError)):
        engine.push({**GOOD, field: Unreadable()})
    assert engine.push(GOOD)["n"] == 2


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"x": 3}, "x", 3.0),
        ({"x": Decimal("0.1")}, "x", 0.1),
        ({"x": numpy.float32(0.5)}, "x", 0.5),
        ({"x": numpy.int64(2)}, "x", 2.0),
        ({"any": 2**53 + 1}, "any", float(2**53)),
        ({"any": -(10**25)}, "any", -1e25),
        ({"any": math.nan}, "any", math.nan),
        ({"any": None}, "any", 0.0),
        ({"n": numpy.int32(2)}, "n", 2),
        ({"m": None}, "m", 0),
        ({"o": None}, "o", "a"),
        ({"s": ""}, "s", ""),
        ({"s": "\0"}, "s", "\0"),
        ({"c": "high"}, "c", "high"),
        ({"b": numpy.bool_(True)}, "b", True),
        ({"at": "1970-01-01T00:00:01+00:00"}, "at", datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
        ({"at": datetime(1970, 1, 1, 0, 0, 1)}, "at", datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
        ({"at": 1_000}, "at", datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
        ({"extra": object()}, "b", False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_values_that_are_taken(change, name, value):
    row = Engine(RULES.features(it=col(name))).push({**GOOD, **change})
    assert repr(row.to_dict()["it"]) == repr(value)


def test_late_event_says_by_how_much():
    engine = Engine(FEATURES)
    engine.push(GOOD)
    with pytest.raises(LateEvent) as caught:
        engine.push({**GOOD, "ts": GOOD["ts"] - 7})
    assert caught.value.stream == "rules"
    assert caught.value.behind_us == 7
    assert caught.value.newest.startswith("1970-01-01T00:00:01")
    assert caught.value.time.startswith("1970-01-01T00:00:00.999993")
    assert engine.push(GOOD)["n"] == 2


def test_event_that_is_invalid_and_late_is_invalid():
    """An event is checked whole before its time is looked at."""
    engine = Engine(FEATURES)
    engine.push(GOOD)
    assert problems(engine, {**GOOD, "ts": 0, "x": -1.0}) == [("x", "ge")]


def test_invalid_event_does_not_move_time():
    engine = Engine(FEATURES)
    engine.push(GOOD)
    assert problems(engine, {**GOOD, "ts": 10**12, "x": -1.0}) == [("x", "ge")]
    assert engine.push(GOOD)["n"] == 2


def test_refused_events_are_counted_by_kind():
    engine = Engine(FEATURES)
    engine.push(GOOD)
    for change in ({"x": -1.0}, {"x": -1.0}, {"ts": 0}):
        with pytest.raises((InvalidEvent, LateEvent)):
            engine.push({**GOOD, **change})
    stats = engine.stats()
    counted = {"events": 1, "late": 1, "invalid": 2}
    assert {name: stats[name] for name in counted} == counted
    assert {name: stats["streams"]["rules"][name] for name in counted} == counted


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'{"ts": 1',
        b'{"ts": 1} x',
        b"\xff\xfe",
        b'{"s": "\xff"}',
        b'{"s": "\\ud800"}',
        b'{"ts": 1, "x": 1.0, "n": 01}',
        b"{'ts': 1}",
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b'{"s": "' + b"z" * 2_000_000 + b'"}',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_json_object_is_refused_without_a_trace(text):
    engine = Engine(FEATURES)
    with pytest.raises(InvalidEvent) as caught:
        engine.push_json(text)
    assert caught.value.problems
    assert len(str(caught.value)) < 2_000
    assert engine.push(GOOD)["n"] == 1


def test_last_of_two_json_fields_of_one_name_wins():
    row = Engine(RULES.features(it=col("x"))).push_json(b'{"x": -1, "ts": 1, "n": 1, "s": "a", "x": 2.5}')
    assert row["it"] == 2.5


def test_json_numbers_are_read_to_the_nearest_double():
    engine = Engine(RULES.features(it=col("any")))
    for text in (
        "0.1",
        "1e308",
        "5e-324",
        "-0.0",
        "9007199254740993",
        "123456789012345678901234567890",
        "NaN",
        "-Infinity",
    ):
        row = engine.push_json(b'{"ts": 1, "x": 1, "n": 1, "s": "a", "any": ' + text.encode() + b"}")
        assert repr(row["it"]) == repr(float(json.loads(text)))


# --- Any case, with bad events between the good ones -------------------------------------------------------------


def spoilt(random, stream, event, newest_ns):
    """An event that must be refused: a wrong type, an absent time, or one older than the lateness allows."""
    kind = random.choice(("type", "absent", "late"))
    if kind == "late" and newest_ns is not None:
        return {**event, stream.time: newest_ns}
    names = [name for name in event if name != stream.time]
    if kind == "type" and names:
        return {**event, random.choice(names): object()}
    return {name: value for name, value in event.items() if name != stream.time}


@given(cases(max_size=20), st.randoms(use_true_random=False))
def test_engine_with_bad_events_between_equals_one_without(case, random):
    note(case.features.to_json())
    streams = {stream.name: stream for stream in case.streams}
    tried, clean = Engine(case.features), Engine(case.features)
    reference = Reference(definition(case.features), case.lookups)
    for name, event in case.events:
        for _ in range(random.randrange(3)):
            newest = reference.newest(name)
            behind = streams[name].lateness_ns
            earlier = None if newest is None else earlier_text(newest, behind, reference.ticks_per_second)
            bad = spoilt(random, streams[name], event, earlier)
            with pytest.raises((RefusedError, LateError)) as expected:
                reference.accept(bad, name)
            with pytest.raises((InvalidEvent, LateEvent)) as found:
                tried.push(bad, stream=name)
            assert isinstance(found.value, LateEvent) == isinstance(expected.value, LateError)
            if isinstance(found.value, InvalidEvent):
                assert [(p.field, p.rule) for p in found.value.problems] == expected.value.problems
        reference.accept(event, name)
        assert row_bits(tried.push(event, stream=name)) == row_bits(clean.push(event, stream=name))


def earlier_text(ticks, lateness_ns, ticks_per_second):
    """One tick before the watermark, as ISO 8601 text, unless that is before time begins."""
    earlier_ns = (ticks - 1) * (10**9 // ticks_per_second) - lateness_ns
    first_ns = -62_135_596_800 * 10**9 if ticks_per_second == 10**6 else -9_214_560_000 * 10**9
    return in_unit(earlier_ns, "us", "text") if earlier_ns >= first_ns else None
