"""The judge's aggregations and functions judged: cases computed by hand. Runs without fastfeat."""

import math
from types import SimpleNamespace

import pytest
from by_hand import NULL, aggregate, call, column, constant, evaluated, hopping, same, tumbling, values
from reference_aggregations import ewm_sum
from reference_expressions import Instant

NAN, INF = math.nan, math.inf
LARGEST = 1.7976931348623157e308
X, Y = column("x"), column("y")


def last_answer(kind, numbers, *parameters, **rest):
    events = [(second, x) for second, x in enumerate(numbers)]
    return values(aggregate(kind, X, parameters=parameters, **rest), events)[-1]


@pytest.mark.parametrize(
    ("kind", "numbers", "parameters", "expected"),
    [
        ("last_k", [None], [2], None),
        ("last_k", [1.0, None, -0.0, 3.0], [2], [3.0, -0.0]),
        ("last_k", [1.0], [5], [1.0]),
        ("approx_n_unique", [1.0, 1.0, 2.0], [], 2),
        ("quantile", [None], [0.5], None),
        ("quantile", [3.0, 1.0, 2.0], [0.5], 2.0),
        ("quantile", [1.0, 2.0], [0.25], 1.25),
        ("quantile", [1.0, 2.0], [0.0], 1.0),
        ("quantile", [1.0, 2.0], [1.0], 2.0),
        ("quantile", [1.0, INF], [0.0], 1.0),
        ("quantile", [1.0, INF], [0.5], INF),
        ("quantile", [-INF, INF], [0.5], NAN),
        ("quantile", [INF, INF], [0.5], INF),
        ("quantile", [-LARGEST, LARGEST], [0.5], 0.0),
        ("quantile", [1.0, NAN], [0.0], NAN),
        ("median", [4.0, 1.0, 2.0, 3.0], [], 2.5),
        ("median", [True and 1.0], [], 1.0),
        ("approx_quantile", [4.0, 1.0, 2.0, 3.0], [0.5], 2.0),
        ("approx_quantile", [4.0, 1.0, 2.0, 3.0], [1.0], 4.0),
        ("approx_quantile", [NAN, 1.0], [1.0], NAN),
        ("mode", [None], [], None),
        ("mode", [2.0, 1.0, 1.0, 2.0, 3.0], [], 1.0),
        ("mode", [NAN, -NAN, 1.0], [], NAN),
        ("mode", [NAN, 5.0], [], 5.0),
        ("mode", [-0.0], [], 0.0),
        ("mode", [-0.0, 0.0, 1.0], [], 0.0),
        ("top_k", [None], [2], None),
        ("top_k", [2.0, 3.0, 3.0, 1.0, 2.0, 3.0], [2], [3.0, 2.0]),
        ("top_k", [NAN, 2.0, 1.0], [5], [1.0, 2.0, NAN]),
        ("top_k", [INF, NAN, -INF], [3], [-INF, INF, NAN]),
        ("entropy", [None], [], None),
        ("entropy", [7.0, 7.0], [], 0.0),
        ("skew", [1.0], [], None),
        ("skew", [2.0, 2.0], [], None),
        ("skew", [0.0, 0.0, 3.0], [], 2 / 2**1.5),  # m2 = 2, m3 = 2
        ("skew", [0.0, 0.0, -3e200], [], -2 / 2**1.5),
        ("skew", [1.0, 2.0, 3.0], [], 0.0),
        ("skew", [1.0, INF], [], NAN),
        ("kurtosis", [5.0], [], None),
        ("kurtosis", [0.0, 1.0], [], -2.0),
        ("kurtosis", [0.0, 0.0, 0.0, 4.0], [], 21 / 9 - 3),  # m2 = 3, m4 = 21
        ("kurtosis", [NAN], [], NAN),
        ("slope", [1.0], [], None),
        ("slope", [1.0, 3.0, 5.0], [], 2.0),
        ("slope", [1.0, None, 5.0], [], 2.0),
        ("slope", [0.0, 1.0, 0.0], [], 0.0),
        ("slope", [0.0, INF], [], NAN),
    ],
)
def test_aggregation_of_a_window(kind, numbers, parameters, expected):
    found = last_answer(kind, numbers, *parameters)
    if kind in ("skew", "kurtosis") and expected not in (None, 0.0) and not math.isnan(expected):
        assert found == pytest.approx(expected, rel=1e-15)
    else:
        assert same([found], [expected]), found


def test_entropy_is_in_nats():
    assert last_answer("entropy", [1.0, 2.0]) == pytest.approx(math.log(2), rel=1e-15)
    assert last_answer("entropy", [1.0, 2.0, 2.0, 2.0]) == pytest.approx(0.5623351446188083, rel=1e-15)
    assert last_answer("entropy", [NAN, -NAN, 0.0, -0.0]) == pytest.approx(math.log(2), rel=1e-15)


def test_slope_needs_two_times():
    slope = aggregate("slope", X)
    assert values(slope, [(5, 1.0), (5, 2.0), (6, 4.5)]) == [None, None, 3.0]
    assert values(slope, [(5, 1.0), (5, 1.0)]) == [None, None]
    assert same(values(slope, [(5, 1.0), (5, INF)]), [None, NAN])


@pytest.mark.parametrize(
    ("kind", "pairs", "expected"),
    [
        ("cov", [(1.0, 2.0)], None),
        ("cov", [(1.0, 2.0), (2.0, None)], None),
        ("cov", [(1.0, 2.0), (3.0, 8.0)], 6.0),
        ("cov", [(1.0, 2.0), (None, 100.0), (3.0, 8.0)], 6.0),
        ("cov", [(1.0, INF), (3.0, 8.0)], NAN),
        ("corr", [(1.0, 2.0), (3.0, 8.0)], 1.0),
        ("corr", [(1.0, 2.0), (3.0, -8.0)], -1.0),
        ("corr", [(1.0, 2.0), (1.0, 8.0)], None),
        ("corr", [(1e300, 2.0), (2e300, 4.0), (3e300, 6.0)], 1.0),
        ("corr", [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)], 0.0),
        ("corr", [(NAN, 1.0), (1.0, 1.0)], NAN),
        ("min_by", [(1.0, None)], None),
        ("min_by", [(None, 1.0), (2.0, 5.0)], 2.0),
        ("min_by", [(1.0, 7.0), (2.0, 5.0), (3.0, 5.0)], 2.0),
        ("max_by", [(1.0, 7.0), (2.0, 7.0), (3.0, 5.0)], 1.0),
        ("max_by", [(1.0, NAN), (2.0, -INF)], 2.0),
        ("max_by", [(1.0, NAN), (2.0, NAN)], 1.0),
        ("min_by", [(1.0, 0.0), (2.0, -0.0)], 2.0),
        ("max_by", [(NAN, 1.0)], NAN),
    ],
)
def test_aggregation_of_two_columns(kind, pairs, expected):
    events = [(second, x, y) for second, (x, y) in enumerate(pairs)]
    found = values(aggregate(kind, X, Y), events)[-1]
    assert same([found], [expected]), found


def test_any_and_all():
    events = [{"ts": ts, "b": b} for ts, b in enumerate((None, True, False))]
    assert values(aggregate("any", column("b")), events) == [None, True, True]
    assert values(aggregate("all", column("b")), events) == [None, True, False]


def test_is_first_asks_for_the_value_before():
    first = aggregate("is_first", X)
    assert values(first, [(0, 1.0), (1, 2.0), (1, 1.0), (2, None), (3, NAN), (4, -NAN)]) == [
        *(True, True, False, None, True, False)
    ]
    assert values(aggregate("is_first", X, seconds=10), [(0, 1.0), (9, 1.0), (19, 1.0)]) == [True, False, True]
    large = aggregate("is_first", X, where=call("gt", X, constant(1.0)))
    assert values(large, [(0, 1.0), (1, 2.0), (2, 2.0)]) == [None, True, False]
    assert values(aggregate("is_first", X, ties="exclude"), [(0, 1.0), (0, 1.0)]) == [True, True]
    assert values(first, [{"ts": 0, "card": None, "x": 1.0}]) == [None]


def test_a_zero_far_newer_hides_no_value_of_a_late_row():
    # Of a late row some of what has been folded lies after it: there weights grow.
    entries = [SimpleNamespace(time=time) for time in (100, 1_000_000)]
    late = SimpleNamespace(entries=entries, numbers=[1.0, 0.0], row_time=90)
    assert ewm_sum(late, 10) == 2.0
    late.row_time = -1_000_000
    assert ewm_sum(late, 10) == INF


def test_exponential_weights_halve_with_the_half_life():
    half = 10 * 1_000_000_000
    assert values(aggregate("ewm_sum", X, parameters=[half]), [(0, 8.0), (10, 1.0), (30, 0.0)]) == [8.0, 5.0, 1.25]
    assert values(aggregate("ewm_mean", X, parameters=[half]), [(0, 3.0), (10, 0.0)]) == [3.0, 1.0]
    assert values(aggregate("ewm_mean", X, parameters=[1]), [(0, 3.0), (10**6, None)]) == [3.0, 3.0]
    assert values(aggregate("ewm_sum", X, parameters=[1]), [(0, 3.0), (10**6, None)]) == [3.0, 0.0]
    assert values(aggregate("ewm_sum", X, parameters=[half]), [(0, None)]) == [0.0]
    assert values(aggregate("ewm_mean", X, parameters=[half]), [(0, None)]) == [None]
    assert values(aggregate("ewm_sum", X, parameters=[half]), [(0, INF), (10**9, 1.0)]) == [INF, INF]


def test_rate_is_the_count_by_the_length():
    assert values(aggregate("rate", seconds=10), [(0, 1.0), (1, None), (11, 1.0)]) == [0.1, 0.2, 0.1]
    assert values(aggregate("rate", X, window=tumbling(4)), [(0, 1.0), (1, None), (3, 1.0)]) == [0.25, 0.25, 0.5]
    assert values(aggregate("rate", window=hopping(4, 2)), [(1, 1.0), (5, 1.0)]) == [0.25, 0.5]
    assert values(aggregate("rate", seconds=10, include_current=False), [(0, 1.0)]) == [0.0]


def test_time_since_the_first_of_the_window():
    assert values(aggregate("time_since_first", seconds=10), [(0, 1.0), (4, 1.0), (10, 1.0)]) == [0.0, 4.0, 6.0]
    assert values(aggregate("time_since_first", X), [(0, None), (4, 1.0), (10, 1.0)]) == [None, 0.0, 6.0]


def test_texts_instants_and_categories_have_an_order():
    events = [{"ts": 0, "text": "b", "at": 9, "kind": "low"}, {"ts": 1, "text": "é", "at": 3, "kind": "high"}]
    events.append({"ts": 2, "text": "a", "at": 5, "kind": None})
    assert values(aggregate("top_k", column("text"), parameters=[3]), events)[-1] == ["a", "b", "é"]
    assert values(aggregate("mode", column("at")), events)[-1] == Instant(3_000_000)
    assert values(aggregate("mode", column("kind")), events)[-1] == "low"  # the first of its list
    assert values(aggregate("max_by", column("kind"), column("at")), events)[-1] == "low"
    assert (
        values(aggregate("min_by", column("text"), column("b")), [{**e, "b": e["ts"] > 0} for e in events])[-1] == "b"
    )


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("clip", [5, 0, 3], 3),
        ("clip", [5, 0, 3.5], 3.5),
        ("clip", [5, None, None], 5),
        ("clip", [-5, 0, None], 0),
        ("clip", [None, 0, 1], None),
        ("clip", [NAN, 0.0, 1.0], NAN),
        ("clip", [-INF, None, 1.0], -INF),
        ("clip", [2, None, 9.5], 2.0),
        ("clip", [5, 4, 3], 3),
        ("is_in", [1, 1, 2], True),
        ("is_in", [1.0, 1, 2], True),
        ("is_in", [3, 1, None], False),
        ("is_in", [None, 1, None], None),
        ("is_in", [NAN, NAN], False),
        ("is_in", ["a", "b", "a"], True),
        ("str_lower", ["ÀÉΣ"], "àéς"),
        ("str_lower", ["İ"], "i̇"),
        ("str_len", ["aé😀"], 3),
        ("str_len", [None], None),
        ("haversine", [0.0, 0.0, None, 0.0], None),
        ("haversine", [52.0, 4.0, 52.0, 4.0], 0.0),
        ("haversine", [0.0, 0.0, INF, 0.0], NAN),
    ],
)
def test_expression(function, arguments, expected):
    literals = [NULL if argument is None else constant(argument) for argument in arguments]
    assert same([evaluated(call(function, *literals))], [expected])


def test_a_quarter_of_the_earth():
    quarter = 6371.0088 * math.pi / 2
    for place in ((0, 90), (90, 0), (-90, 77)):
        found = evaluated(call("haversine", *map(constant, (0, 0, *place))))
        assert found == pytest.approx(quarter, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "hour", "weekday"),
    [
        ("1970-01-01T00:00:00Z", 0, 4),
        ("1969-12-31T23:59:59.999999Z", 23, 3),
        ("2026-11-24T09:30:00+11:00", 22, 1),
        ("2026-11-22T12:00:00Z", 12, 7),
        ("0001-01-01T05:00:00Z", 5, 1),
    ],
)
def test_hours_and_weekdays_are_in_utc(text, hour, weekday):
    assert evaluated(call("dt_hour", column("at")), at=text) == hour
    assert evaluated(call("dt_weekday", column("at")), at=text) == weekday
