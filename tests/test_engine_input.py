"""What goes into an engine, by `docs/semantics.md` section 7: objects and JSON. What is refused changes nothing."""

import json
import math
import threading
from array import array
from collections import OrderedDict, UserDict, defaultdict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from types import MappingProxyType
from zoneinfo import ZoneInfo

import fastfeat as ff
import numpy as np
import pandas as pd
import pytest
from fastfeat import Engine, Float64, InvalidEvent, LateEvent, Stream, String, Timestamp, col
from hypothesis import given
from hypothesis import strategies as st

ALL = Stream(
    "all",
    {
        "ts": ff.Timestamp("us"),
        "f": ff.Float64(nullable=True, allow_nan=True),
        "i": ff.Int64(nullable=True),
        "b": ff.Boolean(nullable=True),
        "s": ff.String(nullable=True, max_bytes=1_048_576),
        "c": ff.Categorical(["low", "high"], nullable=True),
        "at": ff.Timestamp("us", nullable=True),
    },
    time="ts",
)
FIELDS = ("f", "i", "b", "s", "c", "at")
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
NOON_US = 1_769_860_800_000_000


def echo():
    """An engine that gives back what it was given."""
    return Engine(ALL.features(ts_=col("ts"), **{name + "_": col(name) for name in FIELDS}))


def read(field, value):
    return echo().push({"ts": 0, field: value})[field + "_"]


def rule(call, *arguments, **keywords):
    with pytest.raises(InvalidEvent) as caught:
        call(*arguments, **keywords)
    assert len(caught.value.problems) == 1, caught.value
    return caught.value.problems[0].rule


class Colour(str, Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Whole:
    def __index__(self):
        return 7


class Real:
    def __float__(self):
        return 0.25


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("f", 1.5, 1.5),
        ("f", 3, 3.0),
        ("f", 2**63, 2.0**63),
        ("f", -(2**53) - 1, -(2.0**53)),
        ("f", np.float32(0.5), 0.5),
        ("f", np.float64(0.5), 0.5),
        ("f", np.int8(-3), -3.0),
        ("f", np.uint64(2**64 - 1), 2.0**64),
        ("f", np.array(2.5), 2.5),
        ("f", Decimal("0.1"), 0.1),
        ("f", Fraction(1, 4), 0.25),
        ("f", Real(), 0.25),
        ("f", Level.HIGH, 3.0),
        ("f", math.inf, math.inf),
        ("i", 3, 3),
        ("i", 2**63 - 1, 2**63 - 1),
        ("i", -(2**63), -(2**63)),
        ("i", np.int64(-5), -5),
        ("i", np.uint8(5), 5),
        ("i", Whole(), 7),
        ("i", Level.HIGH, 3),
        ("b", True, True),
        ("b", np.True_, True),
        ("b", np.bool_(False), False),
        ("s", "é😀", "é😀"),
        ("s", "", ""),
        ("s", np.str_("x"), "x"),
        ("s", Colour.RED, "red"),
        ("c", "high", "high"),
        ("at", NOON_US, NOON),
        ("at", NOON, NOON),
        ("at", NOON.replace(tzinfo=None), NOON),
        ("at", NOON.astimezone(ZoneInfo("America/New_York")), NOON),
        ("at", NOON.astimezone(timezone(timedelta(hours=-9, microseconds=1))), NOON),
        ("at", date(2026, 1, 31), NOON.replace(hour=0)),
        ("at", "2026-01-31T12:00:00Z", NOON),
        ("at", "2026-01-31 13:00:00+01:00", NOON),
        ("at", "2026-01-31", NOON.replace(hour=0)),
        ("at", np.datetime64("2026-01-31T12:00:00.000000999"), NOON),
        ("at", np.datetime64("NaT"), None),
        ("at", pd.Timestamp("2026-01-31T12:00:00.000000999Z"), NOON),
        ("at", pd.Timestamp("2026-01-31T13:00:00", tz="Europe/Paris"), NOON),
        ("at", pd.NaT, None),
        ("at", np.int64(NOON_US), NOON),
        ("at", datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("at", -1, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)),
        ("i", pd.NA, None),
        *((name, None, None) for name in FIELDS),
    ],
)
def test_a_value_of_its_type_is_taken(field, value, expected):
    found = read(field, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("f", "1.5", "type"),
        ("f", True, "type"),
        ("f", np.True_, "type"),
        ("f", 1j, "type"),
        ("f", [1.0], "type"),
        ("f", 10**400, "range"),
        pytest.param("f", 10**5000, "range", id="f-digits"),
        ("f", b"1", "type"),
        ("i", 3.0, "type"),
        ("i", np.float64(3), "type"),
        ("i", Decimal(3), "type"),
        ("i", "3", "type"),
        ("i", True, "type"),
        ("i", np.False_, "type"),
        ("i", 2**63, "range"),
        ("i", np.uint64(2**63), "range"),
        pytest.param("i", -(10**5000), "range", id="i-digits"),
        ("b", 1, "type"),
        ("b", "true", "type"),
        ("b", np.int8(1), "type"),
        ("s", b"bytes", "type"),
        ("s", 1, "type"),
        ("s", "\ud800", "type"),
        ("s", "x" * 1_048_577, "max_bytes"),
        ("s", np.datetime64("2026-01-31"), "type"),
        ("c", "medium", "one_of"),
        ("c", 0, "type"),
        ("at", 1.5, "type"),
        ("at", float("nan"), "type"),
        ("at", True, "type"),
        ("at", "noon", "type"),
        ("at", "2026-01-31T12:00:00[Europe/Paris]", "type"),
        ("at", timedelta(1), "type"),
        ("at", 2**63 - 1, "range"),
        ("at", 2**70, "range"),
        ("at", "10000-01-01", "type"),
        ("at", np.datetime64("20000-01-01T00:00:00"), "type"),
        ("ts", None, "not_null"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(field, value, expected):
    engine = echo()
    with pytest.raises(InvalidEvent) as caught:
        engine.push({"ts": 0, field: value})
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == [(field, expected)]
    assert len(str(caught.value)) < 700
    assert engine.stats()["invalid"] == 1
    assert engine.stats()["events"] == 0


def test_nanoseconds_of_pandas_and_numpy_count_where_the_plan_has_them():
    stream = Stream("s", {"ts": ff.Timestamp("ns"), "at": ff.Timestamp("ns")}, time="ts")
    engine = Engine(stream.features(at=col("at")))
    for value in (pd.Timestamp(1_769_860_800_123_456_789, tz="UTC"), np.datetime64(1_769_860_800_123_456_789, "ns")):
        vector = np.asarray(engine.push({"ts": 0, "at": value}))
        assert vector[0] == 1_769_860_800_123_456_789.0
    row = engine.push({"ts": 0, "at": 1_769_860_800_123_456_789})
    assert row["at"] == datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=timezone.utc)
    assert rule(engine.push, {"ts": 0, "at": datetime(1677, 12, 31)}) == "range"
    assert rule(engine.push, {"ts": 0, "at": datetime(2262, 1, 1)}) == "range"


def test_every_broken_rule_is_told_at_once_in_the_order_of_the_fields():
    with pytest.raises(InvalidEvent) as caught:
        echo().push({"at": 1.5, "c": "medium", "i": "3", "s": "fine"})
    told = [(problem.field, problem.rule) for problem in caught.value.problems]
    assert told == [("ts", "required"), ("i", "type"), ("c", "one_of"), ("at", "type")]
    assert caught.value.stream == "all"
    assert 'field `i` is "3": Int64 takes whole numbers, not a text; send it without quotes' in str(caught.value)


@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        OrderedDict,
        UserDict,
        MappingProxyType,
        lambda event: defaultdict(lambda: pytest.fail("a default factory was asked"), event),
        lambda event: dict(reversed(event.items())),
        lambda event: {"".join(name): value for name, value in event.items()},  # names that are not interned
        lambda event: {**event, "unknown": object(), 3: "not a name", ("t",): None, "\ud800": 1},
    ],
)
def test_any_mapping_is_an_event(wrap):
    row = echo().push(wrap({"ts": 0, "f": 0.5, "s": "x", "c": "low"}))
    assert row.to_dict() == {
        "ts_": datetime(1970, 1, 1, tzinfo=timezone.utc),
        **{"f_": 0.5, "i_": None, "b_": None, "s_": "x", "c_": "low", "at_": None},
    }


@pytest.mark.parametrize("event", [None, [("ts", 0)], "{}", 3, object()])
def test_what_is_no_mapping_is_refused(event):
    assert rule(echo().push, event) == "object"


def test_a_value_that_changes_the_event_while_it_is_read_harms_nothing():
    event = {"ts": 0, "f": None, "i": 1}

    class Vandal:
        def __float__(self):
            event.clear()
            event.update({str(number): number for number in range(100)})
            return 0.5

    event["f"] = Vandal()
    row = echo().push(event)
    assert (row["f_"], row["i_"]) == (0.5, 1)


def test_what_a_value_raises_comes_through_and_changes_nothing():
    class StopError(Exception):
        pass

    class Raising:
        def __float__(self):
            raise StopError

    engine = echo()
    with pytest.raises(StopError):
        engine.push({"ts": 9, "f": Raising()})
    engine.push({"ts": 0, "f": 1.0})
    assert engine.stats()["events"] == 1


def test_an_event_inside_an_event_is_refused_clearly():
    engine = echo()

    class Reentrant:
        def __float__(self):
            engine.push({"ts": 0})
            return 0.5

    with pytest.raises(RuntimeError, match="busy with an event that this call came out of"):
        engine.push({"ts": 0, "f": Reentrant()})
    assert engine.push({"ts": 0, "f": 1.0})["f_"] == 1.0


def test_a_thread_waits_for_the_event_of_another():
    engine, inside, leave, rows = echo(), threading.Event(), threading.Event(), []

    class Slow:
        def __float__(self):
            inside.set()
            assert leave.wait(30)
            return 0.5

    first = threading.Thread(target=engine.push, args=({"ts": 0, "f": Slow()},))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=lambda: rows.append(engine.push_json(b'{"ts": 0, "f": 2}')))
    second.start()
    second.join(0.2)
    assert second.is_alive(), "it does not overtake"
    leave.set()
    first.join()
    second.join()
    assert rows[0]["f_"] == 2.0
    assert engine.stats()["events"] == 2


def test_events_of_many_threads_all_count():
    stream = Stream("taps", {"ts": Timestamp("us"), "card": String(), "f": Float64()}, time="ts")
    features = stream.features(n=col("f").count().over("card"), total=col("f").sum().over("card"))
    engine, each = Engine(features), 2_000

    def push(card):
        for number in range(each):
            if number % 3:
                engine.push({"ts": 0, "card": card, "f": 1.0})
            else:
                engine.push_json(b'{"ts": 0, "card": "%s", "f": 1.0}' % card.encode())

    threads = [threading.Thread(target=push, args=(card,)) for card in ("a", "b", "a", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [engine.lookup({"card": card})["total"] for card in "abc"] == [2.0 * each, each, each]
    assert engine.stats()["events"] == 4 * each


# --- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap", [bytes, str.encode, str, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)]
)
def test_json_comes_in_any_memory(wrap):
    text = '{"ts": 0, "s": "é", "f": 2}'
    data = wrap(text) if wrap in (str, str.encode) else wrap(text.encode())
    row = echo().push_json(data)
    assert (row["s_"], row["f_"]) == ("é", 2.0)


@pytest.mark.parametrize("data", [{"ts": 0}, None, 3, ["{}"]])
def test_json_in_another_type_is_a_type_error(data):
    with pytest.raises(TypeError, match="push_json takes bytes, str, bytearray or memoryview"):
        echo().push_json(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"ts": 0} x', "json"),
        (b'{"ts": 0, "s": "\xff"}', "json"),
        ('{"ts": 0, "s": "\ud800"}', "json"),
        (b"[]", "object"),
        (b'{"ts": 0, "z": ' + b"[" * 64 + b"]" * 64 + b"}", "json"),
        (b'{"ts": 0, "z": "' + b"a" * 1_048_576 + b'"}', "json"),
        (b"\x00" * 2_000_000, "json"),
        (bytearray(b"{" * 2_000_000), "json"),
    ],
)
def test_what_is_no_json_event_is_refused(data, expected):
    engine = echo()
    assert rule(engine.push_json, data) == expected
    assert engine.push_json(b'{"ts": 0, "f": 1}')["f_"] == 1.0


def test_the_last_of_two_fields_of_one_name_wins_as_in_python():
    row = echo().push_json('{"ts": "never", "i": 1, "i": "x", "i": 3, "ts": 5}')
    assert row["i_"] == json.loads('{"i": 1, "i": "x", "i": 3}')["i"]


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["low", "high", "2026-01-31T12:00:00Z", "0001-01-01", -0.0, 0, 1e400, 5e-324]),
    st.lists(st.integers(), max_size=2),
)


@given(st.fixed_dictionaries({"ts": st.integers(-1000, 1000)}, optional=dict.fromkeys([*FIELDS, "z"], values)))
def test_json_and_its_dict_give_the_same_bits(event):
    text = json.dumps(event)

    def outcome(call, data):
        try:
            row = call(data)
        except InvalidEvent as error:
            return [(problem.field, problem.rule) for problem in error.problems]
        return np.asarray(row).view(np.uint64).tolist(), repr(row)

    assert outcome(echo().push_json, text) == outcome(echo().push, json.loads(text))


# --- out= -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.empty(n),
        lambda n: array("d", [0.0] * n),
        lambda n: memoryview(np.empty(n)),
        lambda n: np.empty((3, n))[1],
        lambda n: np.empty(n * 2)[n:],
    ],
)
def test_out_is_filled_and_given_back(make):
    out = make(7)
    row, event = echo().push({"ts": 1, "f": 0.5, "b": True}), {"ts": 1, "f": 0.5, "b": True}
    for found in (echo().push(event, out=out), echo().push_json(json.dumps(event), out=out)):
        assert found is out
        np.testing.assert_array_equal(np.asarray(out).view(np.uint64), np.asarray(row).view(np.uint64))


def readonly(n):
    out = np.empty(n)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (np.empty(6), ValueError, "6 elements"),
        (np.empty(8), ValueError, "8 elements"),
        (np.empty(7, np.float32), ValueError, "float64"),
        (np.empty(7, ">f8"), ValueError, "float64"),
        (np.empty(7, np.int64), ValueError, "float64"),
        (np.empty((1, 7)), ValueError, "2 dimensions"),
        (np.empty(14)[::2], ValueError, "not contiguous"),
        (readonly(7), ValueError, "read-only"),
        (bytearray(56), ValueError, "float64"),
        (b"", ValueError, "float64"),
        ([0.0] * 7, TypeError, "float64"),
        (7, TypeError, "float64"),
    ],
)
def test_an_unfit_out_is_refused_before_anything_changes(out, error, words):
    engine = echo()
    for call, data in ((engine.push, {"ts": 1}), (engine.push_json, b'{"ts": 1}')):
        with pytest.raises(error, match=words):
            call(data, out=out)
    assert engine.stats()["events"] == 0


def test_a_row_is_no_memory_to_write_to():
    engine = echo()
    row = engine.push({"ts": 0})
    with pytest.raises(ValueError, match="read-only"):
        engine.push({"ts": 0}, out=row)


# --- streams and counters ------------------------------------------------------------------------------------------

LOGINS = Stream("logins", {"ts": ff.Timestamp("us"), "user": ff.String()}, time="ts")
PAYMENTS = Stream("payments", {"ts": ff.Timestamp("us"), "user": ff.String(), "x": ff.Float64()}, time="ts")
TOGETHER = PAYMENTS.features(
    total=col("x").sum().over("user", "1h"), logins=LOGINS.count().over("1h", user=col("user"))
)


def test_an_event_of_a_stream_without_features_updates_and_gives_none():
    engine = Engine(TOGETHER)
    assert engine.push({"ts": 1, "user": "u"}, stream="logins") is None
    assert engine.push_json(b'{"ts": 2, "user": "u"}', stream="logins", out=np.empty(0)) is None
    assert engine.peek({"ts": 3, "user": "u"}, stream="logins") is None
    row = engine.push({"ts": 3, "user": "u", "x": 1.0}, stream="payments")
    assert row.to_dict() == {"total": 1.0, "logins": 2}


def test_a_stream_that_only_the_engine_names_is_accepted():
    visits = Stream("visits", {"ts": ff.Timestamp("ms")}, time="ts")
    engine = Engine(TOGETHER, streams=[PAYMENTS, LOGINS, visits])
    assert engine.push({"ts": 5}, stream="visits") is None
    assert engine.stats()["streams"]["visits"]["events"] == 1
    assert engine.features == TOGETHER


def test_an_unknown_stream_is_refused_with_the_nearest_name():
    engine = Engine(TOGETHER)
    with pytest.raises(InvalidEvent, match="did you mean `logins`") as caught:
        engine.push({"ts": 1}, stream="login")
    assert caught.value.problems[0].rule == "stream"
    with pytest.raises(InvalidEvent, match="it takes payments, logins"):
        engine.push_json(b"{}", stream="quite another")
    other = Stream("logins", {"ts": ff.Timestamp("ms"), "user": ff.String()}, time="ts")
    with pytest.raises(ff.DefinitionError, match="stream `logins`"):
        Engine(TOGETHER, streams=[other])
    with pytest.raises(ff.DefinitionError, match="streams has 'logins'"):
        Engine(TOGETHER, streams=["logins"])


def test_what_is_refused_is_counted_and_changes_nothing():
    engine = Engine(TOGETHER)
    engine.push({"ts": 10, "user": "u", "x": 1.0})
    before = engine.peek({"ts": 10, "user": "u", "x": 1.0})
    with pytest.raises(LateEvent) as caught:
        engine.push({"ts": 9, "user": "u", "x": 1e300})
    assert (caught.value.stream, caught.value.behind_us) == ("payments", 1)
    for wrong in ({"ts": 11, "user": "u", "x": "1"}, {"ts": 11, "user": 3, "x": 1.0}, {}):
        with pytest.raises(InvalidEvent):
            engine.push(wrong)
    with pytest.raises(InvalidEvent):
        engine.push({}, stream="logins")
    assert engine.peek({"ts": 10, "user": "u", "x": 1.0}) == before
    stats = engine.stats()
    assert (stats["events"], stats["late"], stats["invalid"]) == (1, 1, 4)
    payments, logins = stats["streams"]["payments"], stats["streams"]["logins"]
    assert (payments["events"], payments["late"], payments["invalid"]) == (1, 1, 3)
    assert payments["newest"] == datetime(1970, 1, 1, 0, 0, 0, 10, tzinfo=timezone.utc)
    assert (logins["events"], logins["invalid"], logins["newest"]) == (0, 1, None)
    assert stats["state_bytes"] > 0
    assert stats["keys"] >= 1


def test_peek_changes_and_counts_nothing():
    engine = Engine(TOGETHER)
    for _ in range(3):
        assert engine.peek({"ts": 10, "user": "u", "x": 2.0})["total"] == 2.0
        with pytest.raises(InvalidEvent):
            engine.peek({"ts": 10})
    stats = engine.stats()
    assert (stats["events"], stats["invalid"], stats["keys"]) == (0, 0, 0)


def test_an_engine_shows_itself_and_is_not_pickled():
    import copy
    import pickle

    engine = Engine(TOGETHER)
    assert repr(engine) == "<Engine of 2 features of payments>"
    assert engine.names == engine.features.names == ("total", "logins")
    assert engine.model is None
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds state"):
            call(engine)
    with pytest.raises(ff.DefinitionError, match="is no FeatureSet"):
        Engine(PAYMENTS)


def test_an_engine_can_be_derived_from():
    class Counting(Engine):
        pushed = 0

        def push(self, event, **options):
            self.pushed += 1
            return super().push(event, **options)

    engine = Counting(TOGETHER)
    engine.push({"ts": 0, "user": "u", "x": 1.0})
    assert (engine.pushed, engine.stats()["events"]) == (1, 1)
