import math

import polars
import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same
from hypothesis import given
from hypothesis import strategies as st

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([5.0], None),
        ([2.5, 2.5, None], None),
        ([0.0, 1.0], -2.0),
        ([0.0, 0.0, 0.0, 4.0], 21 / 9 - 3),
        ([0.0, 0.0, 0.0, -4e75], 21 / 9 - 3),
        ([1e15, 1e15, 1e15, 1e15 + 4], 21 / 9 - 3),
        ([-INF, 1.0], NAN),
        ([NAN, 1.0, 2.0], NAN),
    ],
)
def test_excess_kurtosis_of_the_population(values, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").kurtosis().over(*over), [(0, x) for x in values]), expected, 1e-9)


@given(st.lists(st.integers(-1_000, 1_000), min_size=2, max_size=60))
def test_kurtosis_is_that_of_polars(values):
    expected = polars.Series(values, dtype=polars.Float64).kurtosis()
    found = answer(col("n").kurtosis().over(*OVER), [{"ts": 0, "n": n} for n in values])
    if len(set(values)) == 1:
        assert found is None
    else:
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=3e-9)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1e300), (1, 0.0), (9, 0.0), (9, 0.0), (10, 4.0)]
    assert_same(answers(col("x").kurtosis().over(*OVER), events)[-1], 21 / 9 - 3, 1e-9)


def features():
    return (
        col("x").kurtosis().over(*OVER),
        col("n").kurtosis().over("card"),
        col("x").kurtosis().where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").kurtosis().over(*OVER), col("n").kurtosis().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
