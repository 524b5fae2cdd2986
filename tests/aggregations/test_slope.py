import math

import fastfeat as ff
import properties
import pytest
from fastfeat import Engine, Stream, col
from harness import answer, answers, assert_same, seconds

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(0, None)], None),
        ([(0, 1.0)], None),
        ([(0, 1.0), (1, None)], None),
        ([(5, 1.0), (5, 2.0)], None),
        ([(0, 1.0), (1, 3.0), (2, 5.0)], 2.0),
        ([(0, 1.0), (1, 3.0), (2, None), (3, 7.0)], 2.0),
        ([(0, 5.0), (4, 3.0)], -0.5),
        ([(0, 0.0), (1, 1.0), (2, 0.0)], 0.0),
        ([(5, 1.0), (5, 2.0), (6, 4.5)], 3.0),
        ([(0, 1.0), (1, INF)], NAN),
        ([(0, NAN), (1, 2.0)], NAN),
        ([(5, 1.0), (5, INF)], NAN),
        ([(0, 1e300), (1, 3e300)], 2e300),
    ],
)
def test_slope_over_the_time_in_seconds(events, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").slope().over(*over), events), expected, 1e-9)


def test_far_from_1970_it_is_as_exact():
    late = 253_000_000_000
    assert_same(answer(col("x").slope().over(*OVER), [(late, 1.0), (late + 1, 1.25)]), 0.25, 1e-9)


def test_parts_of_a_second_count():
    stream = Stream("s", {"ts": ff.Timestamp("us"), "x": ff.Float64()}, time="ts")
    engine = Engine(stream.features(it=col("x").slope().over("1s")))
    assert engine.push({"ts": 1_700_000_000_000_000, "x": 1.0})["it"] is None
    assert_same(engine.push({"ts": 1_700_000_000_000_001, "x": 2.0})["it"], 1e6, 1e-9)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").slope().over(*OVER), [(0, 100.0), (9, 1.0), (10, 2.0)])[-1], 1.0, 1e-9)


def features():
    return (col("x").slope().over(*OVER), col("n").slope().over("card"), col("x").slope().where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").slope().over(*OVER), col("n").slope().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())


def test_of_booleans():
    events = [{"ts": ts, "b": b} for ts, b in enumerate((False, True))]
    assert_same(answer(col("b").slope().over(*OVER), events), 1.0, 1e-9)
    assert_same(answer(col("x").slope().over(*OVER), seconds([0.0, 1.0])), 1.0, 1e-9)
