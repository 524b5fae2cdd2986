"""The judge judged: cases computed by hand. Runs without fastfeat."""

import math
from datetime import datetime, timedelta, timezone
from fractions import Fraction

import pytest
from by_hand import (
    NULL,
    PAYMENTS,
    SECOND,
    aggregate,
    call,
    column,
    constant,
    evaluated,
    features,
    field,
    same,
    stream,
    values,
)
from reference import NULL_BITS, Reference, bits, correctly_rounded_sum, exact_sum, nearest_double
from reference_expressions import Instant
from reference_input import BrokenError, LateError, RefusedError, iso_nanoseconds

NAN, INF = math.nan, math.inf


# --- Windows -----------------------------------------------------------------------------------------------------


def test_event_on_the_window_edge_is_out():
    count = aggregate("count", seconds=10)
    assert values(count, [(0, 1.0), (9, 1.0), (10, 1.0), (19, 1.0), (29, 1.0)]) == [1, 2, 2, 2, 1]


def test_events_of_one_instant_see_those_that_arrived_before():
    assert values(aggregate("count", seconds=10), [(5, 1.0), (5, 1.0), (5, 1.0)]) == [1, 2, 3]


def test_all_time_window_forgets_nothing():
    assert values(aggregate("sum", column("x")), [(0, 1.0), (10**9, 2.0), (2 * 10**9, 4.0)]) == [1.0, 3.0, 7.0]


def test_offset_and_closed_move_the_window():
    window = {"kind": "rolling", "length_ns": 10 * SECOND, "offset_ns": 5 * SECOND}
    events = [(second, 1.0) for second in range(0, 20)]
    assert values({**aggregate("count"), "window": window}, events)[-1] == 10  # (4, 14]
    assert values({**aggregate("count"), "window": {**window, "closed": "both"}}, events)[-1] == 11
    assert values({**aggregate("count"), "window": {**window, "closed": "neither"}}, events)[-1] == 9
    left = {"kind": "rolling", "length_ns": 10 * SECOND, "closed": "left"}
    assert values({**aggregate("count"), "window": left}, [(0, 1.0), (10, 1.0), (10, 1.0)]) == [0, 1, 1]


def test_without_the_current_event_and_without_ties():
    events = [(0, 1.0), (5, 2.0), (5, 4.0)]
    assert values(aggregate("sum", column("x"), include_current=False), events) == [0.0, 1.0, 3.0]
    assert values(aggregate("sum", column("x"), ties="exclude"), events) == [0.0, 1.0, 1.0]


# --- Aggregations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "numbers", "expected"),
    [
        ("sum", [None], 0.0),
        ("sum", [0.1] * 10, 1.0),
        ("sum", [1e15, 0.1, -1e15], 0.1),
        ("sum", [1e308, 1e308], INF),
        ("sum", [1e308, 1e308, -1e308], 1e308),
        ("sum", [5e-324, 5e-324], 1e-323),
        ("sum", [INF, 1.0], INF),
        ("sum", [INF, -INF], NAN),
        ("sum", [NAN, 1.0], NAN),
        ("mean", [None], None),
        ("mean", [1.0, 2.0], 1.5),
        ("mean", [1e308, 1e308], 1e308),
        ("mean", [1.7976931348623157e308] * 3, 1.7976931348623157e308),
        ("mean", [0.1, 0.2, 0.3], 0.6 / 3),
        ("var", [1.0], None),
        ("var", [1.0, 3.0], 2.0),
        ("var", [1e9 + 1, 1e9 + 2, 1e9 + 3], 1.0),
        ("var", [7.7, 7.7], 0.0),
        ("var", [1.0, INF], NAN),
        ("var", [1.0, NAN], NAN),
        ("std", [1.0, 3.0], math.sqrt(2.0)),
        ("min", [None], None),
        ("min", [2.0, NAN, 1.0], 1.0),
        ("min", [NAN, NAN], NAN),
        ("min", [0.0, -0.0], -0.0),
        ("max", [-0.0, 0.0, -0.0], 0.0),
        ("max", [NAN, -INF], -INF),
        ("first", [None, 3.0, 4.0], 3.0),
        ("last", [3.0, NAN, None], NAN),
        ("last", [-0.0], -0.0),
        ("n_unique", [None], 0),
        ("n_unique", [0.0, -0.0, NAN, -NAN, 1.0, 1.0], 3),
        ("count", [None, NAN, 1.0], 2),
    ],
)
def test_aggregation_of_a_window(kind, numbers, expected):
    found = values(aggregate(kind, column("x")), [(second, x) for second, x in enumerate(numbers)])
    assert same(found[-1:], [expected]), found


def test_count_without_a_column_counts_events():
    assert values(aggregate("count"), [(0, None), (1, None)]) == [1, 2]


def test_integers_and_booleans_are_summed_exactly():
    big = 2**62 + 1
    events = [{"ts": 0, "card": "c", "n": big, "b": True}, {"ts": 1, "card": "c", "n": -(2**62), "b": False}]
    assert values(aggregate("sum", column("n")), events) == [float(big), 1.0]
    assert values(aggregate("mean", column("b")), events) == [1.0, 0.5]
    assert same(values(aggregate("min", column("b")), events), [1.0, 0.0])
    assert values(aggregate("max", column("n")), events) == [big, big]


def test_lag_and_time_since_last_look_before_the_event():
    events = [(0, 1.0), (3, None), (3, 2.0), (13, 4.0)]
    assert values(aggregate("lag", column("x"), parameters=[1]), events) == [None, 1.0, 1.0, 2.0]
    assert values(aggregate("lag", column("x"), parameters=[2]), events) == [None, None, None, 1.0]
    assert values(aggregate("lag", column("x"), parameters=[1], seconds=10), events) == [None, 1.0, 1.0, None]
    assert values(aggregate("time_since_last"), events) == [None, 3.0, 0.0, 10.0]
    assert values(aggregate("time_since_last", column("x")), events) == [None, 3.0, 3.0, 10.0]
    big = aggregate("time_since_last", where=call("gt", column("x"), constant(1.5)))
    assert values(big, events) == [None, None, None, 10.0]


def test_where_takes_true_only():
    true_ones = aggregate("count", where=column("b"))
    assert values(true_ones, [{"ts": 0, "card": "c", "b": b} for b in (True, None, False, True)]) == [1, 1, 1, 2]


def test_extremes_of_timestamps_are_timestamps():
    events = [{"ts": 0, "card": "c", "at": 7}, {"ts": 1, "card": "c", "at": 5}]
    assert values(aggregate("min", column("at")), events)[-1] == Instant(5_000_000)
    assert values(aggregate("max", column("at")), events)[-1] == Instant(7_000_000)


# --- Keys and streams --------------------------------------------------------------------------------------------


def test_null_in_a_key_is_no_key():
    pair = aggregate("count", keys=("card", "n"))
    events = [{"ts": 0, "card": "c", "n": 1}, {"ts": 1, "card": None, "n": 1}, {"ts": 2, "card": "c", "n": 1}]
    assert values(pair, events) == [1, 0, 2]
    assert values(aggregate("last", column("x"), keys=("card", "n")), events)[1] is None
    assert values(aggregate("count", keys=()), events) == [1, 2, 3]


def test_keys_are_equal_when_their_values_are():
    by_number = aggregate("count", keys=("x",))
    assert values(by_number, [(0, 0.0), (1, -0.0), (2, NAN), (3, -NAN), (4, 1.0)]) == [1, 2, 1, 2, 1]


def test_computed_key_is_computed_on_both_sides():
    even = {"name": "even", "expression": call("eq", call("mod", column("n"), constant(2)), constant(0))}
    events = [{"ts": n, "card": "c", "n": n} for n in range(4)]
    assert values(aggregate("sum", column("n"), keys=[even]), events) == [0.0, 1.0, 2.0, 4.0]


def test_another_stream_is_read_as_of_the_row():
    logins = stream("logins", field("user", "string", nullable=True))
    reads = {"stream": "logins", "keys": [{"name": "user", "expression": column("card")}]}
    reference = Reference(
        features([PAYMENTS, logins], n=aggregate("count", **reads), ago=aggregate("time_since_last", **reads))
    )
    assert reference.push({"ts": 10, "user": "c"}, "logins") is None
    assert reference.push({"ts": 30, "user": "c"}, "logins") is None
    assert reference.push({"ts": 31, "user": None}, "logins") is None
    pay = lambda ts, card: reference.push({"ts": ts, "card": card}, "payments")  # noqa: E731
    assert pay(20, "c") == {"n": 1, "ago": 10.0}
    assert pay(30, "c") == {"n": 2, "ago": 0.0}
    assert pay(40, "d") == {"n": 0, "ago": None}
    assert pay(40, None) == {"n": 0, "ago": None}


# --- Expressions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("add", [1, 2], 3),
        ("add", [1, 2.0], 3.0),
        ("add", [2**63 - 1, 1], None),
        ("mul", [-(2**62), 2], -(2**63)),
        ("sub", [-(2**63), 1], None),
        ("neg", [-(2**63)], None),
        ("neg", [0.0], -0.0),
        ("abs", [-(2**63)], None),
        ("abs", [-2], 2),
        ("abs", [-0.0], 0.0),
        ("div", [1, 0], INF),
        ("div", [-1, 0.0], -INF),
        ("div", [1.0, -0.0], -INF),
        ("div", [0, 0], NAN),
        ("div", [1, 2], 0.5),
        ("floordiv", [-7, 2], -4),
        ("floordiv", [7, 0], None),
        ("floordiv", [-(2**63), -1], None),
        ("floordiv", [1.0, 0.0], INF),
        ("floordiv", [-7.5, 2], -4.0),
        ("mod", [-7, 2], 1),
        ("mod", [7, -2], -1),
        ("mod", [7, 0], None),
        ("mod", [7.0, 0.0], NAN),
        ("mod", [-7.5, 2.0], 0.5),
        ("pow", [2, 3], 8.0),
        ("pow", [0.0, -1.0], INF),
        ("pow", [-0.0, -1.0], -INF),
        ("pow", [-8.0, 0.5], NAN),
        ("pow", [-10.0, 309.0], -INF),
        ("exp", [1000.0], INF),
        ("log1p", [-1.0], -INF),
        ("log1p", [-2.0], NAN),
        ("sqrt", [-1.0], NAN),
        ("sqrt", [4], 2.0),
        ("floor", [-0.5], -1.0),
        ("floor", [-0.0], -0.0),
        ("floor", [INF], INF),
        ("eq", [2**53, float(2**53)], True),
        ("eq", [2**53 + 1, float(2**53)], False),
        ("lt", [float(2**53), 2**53 + 1], True),
        ("eq", [NAN, NAN], False),
        ("ne", [NAN, NAN], True),
        ("lt", ["a", "é"], True),
        ("lt", ["\uffff", "\U00010000"], True),
        ("and", [False, None], False),
        ("and", [True, None], None),
        ("or", [None, True], True),
        ("or", [None, False], None),
        ("xor", [True, None], None),
        ("not", [None], None),
        ("is_null", [None], True),
        ("is_null", [NAN], False),
        ("fill_null", [None, 3.0], 3.0),
        ("fill_null", [1, 2.5], 1.0),
        ("coalesce", [None, None, 2], 2),
        ("when", [True, 1, 2.5], 1.0),
        ("when", [None, 1, 2], 2),
        ("when", [False, 1, None], None),
        ("cast_float64", [True], 1.0),
        ("cast_float64", [2**53 + 1], float(2**53)),
        ("cast_int64", [-1.9], -1),
        ("cast_int64", [9.3e18], None),
        ("cast_int64", [-9223372036854775808.0], -(2**63)),
        ("cast_int64", [NAN], None),
        ("cast_int64", [True], 1),
        ("add", [1, None], None),
        ("eq", [None, 1], None),
    ],
)
def test_expression(function, arguments, expected):
    literals = [NULL if argument is None else constant(argument) for argument in arguments]
    assert same([evaluated(call(function, *literals))], [expected])


def test_difference_of_timestamps_is_in_seconds():
    assert evaluated(call("sub", column("ts"), column("at")), at="1970-01-01T00:00:01.5Z") == -1.5


def test_null_column_makes_a_null_expression():
    assert evaluated(call("mul", column("x"), constant(2.0)), x=None) is None


# --- The vector --------------------------------------------------------------------------------------------------


def test_vector_tells_null_from_nan():
    reference = Reference(
        features(
            [PAYMENTS],
            null=aggregate("mean", column("x")),
            nan=call("div", constant(0), constant(0)),
            text=column("text"),
            kind=aggregate("last", column("kind")),
            flag=column("b"),
            at=column("ts"),
        )
    )
    row = reference.push({"ts": 2, "card": "c", "x": None, "text": "t", "kind": "high", "b": True})
    nan = bits(NAN)
    assert reference.vector(row) == [NULL_BITS, nan, nan, bits(1.0), bits(1.0), bits(2e6)]
    assert nan != NULL_BITS


# --- Input -------------------------------------------------------------------------------------------------------


def refusal(definition, event):
    with pytest.raises(RefusedError) as caught:
        Reference(definition).push(event)
    return caught.value.problems


RULES = features(
    [
        stream(
            "payments",
            field("x", "float64", ge={"int": 0}, lt={"float": 10.0}),
            field("n", "int64", one_of=[{"int": 1}, {"int": 2}]),
            field("s", "string", pattern="[a-z]+", max_bytes=4),
            field("d", "boolean", default={"bool": False}),
        )
    ],
    it=column("d"),
)
GOOD = {"ts": 0, "x": 1.0, "n": 1, "s": "abc", "d": True}


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({"x": -0.5}, [("x", "ge")]),
        ({"x": 10}, [("x", "lt")]),
        ({"x": NAN}, [("x", "allow_nan")]),
        ({"x": "1"}, [("x", "type")]),
        ({"x": True}, [("x", "type")]),
        ({"x": 10**400}, [("x", "range")]),
        ({"x": None}, [("x", "not_null")]),
        ({"n": 3}, [("n", "one_of")]),
        ({"n": 1.0}, [("n", "type")]),
        ({"n": 2**63}, [("n", "range")]),
        ({"s": "abcde"}, [("s", "max_bytes")]),
        ({"s": "ABC"}, [("s", "pattern")]),
        ({"s": "ab\n"}, [("s", "pattern")]),
        ({"d": 0}, [("d", "type")]),
        ({"ts": 1.5}, [("ts", "type")]),
        ({"ts": "yesterday"}, [("ts", "type")]),
        ({"ts": 2**62}, [("ts", "range")]),
        ({"x": -1, "n": 9, "s": 1}, [("x", "ge"), ("n", "one_of"), ("s", "type")]),
    ],
)
def test_broken_rules_are_told_at_once(change, problems):
    assert refusal(RULES, {**GOOD, **change}) == problems


def test_absent_fields_take_the_default_or_are_refused():
    without = {name: value for name, value in GOOD.items() if name != "d"}
    assert Reference(RULES).push(without) == {"it": False}
    assert Reference(RULES).push({**GOOD, "d": None}) == {"it": False}
    assert refusal(RULES, {"ts": 0}) == [("x", "required"), ("n", "required"), ("s", "required")]


def test_nullable_field_with_a_default_keeps_a_null_and_fills_an_absence():
    kept = features([stream("payments", field("x", "int64", nullable=True, default={"int": 5}))], it=column("x"))
    assert Reference(kept).push({"ts": 0, "x": None}) == {"it": None}
    assert Reference(kept).push({"ts": 0}) == {"it": 5}


def test_unknown_fields_are_ignored():
    assert Reference(RULES).push({**GOOD, "more": object()}) == {"it": True}


def test_older_than_the_newest_is_late_and_changes_nothing():
    reference = Reference(features([PAYMENTS], it=aggregate("count")))
    reference.push({"ts": 10, "card": "c"})
    with pytest.raises(LateError) as caught:
        reference.push({"ts": 9, "card": "c"})
    assert caught.value.behind_ticks == 1_000_000
    assert reference.push({"ts": 10, "card": "c"}) == {"it": 2}
    assert reference.late == {"payments": 1}


def test_peek_changes_nothing():
    reference = Reference(features([PAYMENTS], it=aggregate("count")))
    assert reference.peek({"ts": 10, "card": "c"}) == {"it": 1}
    assert reference.push({"ts": 5, "card": "c"}) == {"it": 1}
    assert reference.peek({"ts": 10, "card": "c"}) == {"it": 2}
    with pytest.raises(LateError):
        reference.peek({"ts": 4, "card": "c"})
    assert reference.late == {"payments": 0}
    assert reference.push({"ts": 6, "card": "c"}) == {"it": 2}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01 00:00:01+01:00", -3599 * SECOND),
        ("1970-01-01T00:00:01.123456789", 1_123_456_789),
        ("1969-12-31T23:59:59.9999999", -100),
    ],
)
def test_iso_text(text, nanoseconds):
    assert iso_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "1970", "1970-13-01", "1970-02-30", "1970-01-01Z", "1970-01-01T25:00", "٢٠٢٠-01-01"]
)
def test_what_is_no_iso_text(text):
    with pytest.raises(BrokenError):
        iso_nanoseconds(text)


def test_digits_below_the_tick_are_cut_towards_the_past():
    at = column("at")
    assert evaluated(at, at="1969-12-31T23:59:59.9999999Z") == Instant(-1)
    assert evaluated(at, at="1970-01-01T00:00:00.0000019Z") == Instant(1)


def test_datetimes():
    at = column("at")
    assert evaluated(at, at=datetime(1970, 1, 1, 0, 0, 2)) == Instant(2_000_000)
    east = timezone(timedelta(hours=2))
    assert evaluated(at, at=datetime(1970, 1, 1, 2, 0, 0, 1, tzinfo=east)) == Instant(1)


def test_a_nanosecond_field_makes_a_nanosecond_plan():
    definition = features([PAYMENTS], it=aggregate("time_since_last"))
    definition["streams"] = [{**PAYMENTS, "fields": [field("ts", "timestamp", unit="ns"), *PAYMENTS["fields"][1:]]}]
    reference = Reference(definition)
    reference.push({"ts": 0, "card": "c"})
    assert reference.push({"ts": 1, "card": "c"}) == {"it": 1e-9}


# --- Exact arithmetic --------------------------------------------------------------------------------------------


def test_exact_sums_are_exact():
    numbers = [1e300, 5e-324, -1e300, 3, 2**62 + 1]
    assert exact_sum(numbers) == sum(map(Fraction, numbers))
    assert exact_sum(numbers, power=2) == sum(Fraction(number) ** 2 for number in numbers)


def test_rounding_is_to_even():
    assert correctly_rounded_sum([2.0**53, 1.0]) == 2.0**53
    assert correctly_rounded_sum([2.0**53, 1.0, 2.0**-60]) == 2.0**53 + 2
    assert nearest_double(Fraction(-(10**400))) == -INF
