import math

import fastfeat as ff
import numpy
import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answer, answers, assert_same, seconds
from hypothesis import given
from hypothesis import strategies as st

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan
LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([None], 0.5, None),
        ([7.0], 0.9, 7.0),
        ([3.0, None, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0], 0.25, 1.25),
        ([2.0, 1.0], 0.0, 1.0),
        ([2.0, 1.0], 1.0, 2.0),
        ([1.0, NAN, 2.0], 0.5, NAN),
        ([1.0, INF], 0.0, 1.0),
        ([1.0, INF], 0.5, INF),
        ([-INF, INF], 0.5, NAN),
        ([-LARGEST, LARGEST], 0.5, 0.0),
        ([-LARGEST, LARGEST], 0.75, LARGEST / 2),
        ([1.0, 1.0, 1.0], 0.3, 1.0),
    ],
)
def test_quantile_is_linear_between_the_neighbours(values, q, expected):
    assert_same(answer(col("x").quantile(q).over(*OVER), [(0, x) for x in values]), expected, 1e-12)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.floats(0.0, 1.0) | st.sampled_from((0.0, 0.1, 0.25, 0.5, 0.9, 1.0)),
)
def test_quantile_is_that_of_numpy(values, q):
    expected = float(numpy.quantile(values, q))
    found = answer(col("x").quantile(q).over(*OVER), [(0, x) for x in values])
    assert math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12 * max(map(abs, values)))


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").quantile(1.0).over(*OVER), [(0, 9.0), (9, 1.0), (10, 2.0)]), [9.0, 9.0, 2.0])


def test_integers_and_booleans_are_numbers():
    events = [{"ts": 0, "n": n, "b": n > 1} for n in (1, 2, 4)]
    assert_same(answer(col("n").quantile(0.75).over(*OVER), events), 3.0, 1e-12)
    assert_same(answer(col("b").quantile(0.25).over(*OVER), events), 0.5, 1e-12)


@pytest.mark.parametrize("q", [-0.1, 1.1, NAN, "0.5", None, True])
def test_q_outside_its_bounds_is_refused(q):
    with pytest.raises((DefinitionError, TypeError)):
        PAYMENTS.features(it=col("x").quantile(q).over(*OVER))


@pytest.mark.parametrize("make", [tuple, lambda: (ff.hopping("1h", every="1m"),)], ids=["all", "hopping"])
def test_over_windows_that_keep_no_events_it_is_refused_with_the_way_out(make):
    with pytest.raises(DefinitionError, match="approx_quantile"):
        PAYMENTS.features(it=col("x").quantile(0.5).over("card", *make()))


def features():
    return (
        col("x").quantile(0.9).over(*OVER),
        col("n").quantile(0.5).over(*OVER),
        col("x").quantile(0.25).where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").quantile(0.9).over(*OVER), col("n").quantile(0.3).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())


def test_one_second_each():
    assert_same(answers(col("x").quantile(0.5).over(*OVER), seconds([1.0, 3.0, 2.0])), [1.0, 2.0, 2.0], 1e-12)
