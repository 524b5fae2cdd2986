import math

import polars
import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds
from hypothesis import given
from hypothesis import strategies as st

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([1.0], None),
        ([2.5, 2.5, None], None),
        ([1.0, 2.0, 3.0], 0.0),
        ([0.0, 0.0, 3.0], 1 / math.sqrt(2)),
        ([0.0, 0.0, -3e100], -1 / math.sqrt(2)),
        ([0.0, 0.0, 3e-100], 1 / math.sqrt(2)),
        ([1e15, 1e15, 1e15 + 3], 1 / math.sqrt(2)),
        ([1.0, INF], NAN),
        ([NAN], NAN),
    ],
)
def test_skew_of_the_population(values, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").skew().over(*over), [(0, x) for x in values]), expected, 1e-9)


@given(st.lists(st.integers(-1_000, 1_000), min_size=2, max_size=60))
def test_skew_is_that_of_polars(values):
    expected = polars.Series(values, dtype=polars.Float64).skew()
    found = answer(col("n").skew().over(*OVER), [{"ts": 0, "n": n} for n in values])
    if len(set(values)) == 1:
        assert found is None
    else:
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1e300), (1, 0.0), (9, 0.0), (10, 3.0)]
    assert_same(answers(col("x").skew().over(*OVER), events)[-1], 1 / math.sqrt(2), 1e-9)


def test_booleans_are_zero_and_one():
    events = [{"ts": 0, "b": b} for b in (True, False, False)]
    assert_same(answer(col("b").skew().over(*OVER), events), 1 / math.sqrt(2), 1e-9)


def features():
    return (col("x").skew().over(*OVER), col("n").skew().over("card"), col("x").skew().where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").skew().over(*OVER), col("n").skew().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())


def test_one_a_second():
    assert_same(answers(col("x").skew().over(*OVER), seconds([0.0, 0.0, 3.0])), [None, None, 1 / math.sqrt(2)], 1e-9)
