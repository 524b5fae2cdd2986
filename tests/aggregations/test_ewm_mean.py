import math

import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answer, answers, assert_same

OVER = ("card", "100s")
INF, NAN = math.inf, math.nan
X = col("x")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([(0, None)], None),
        ([(0, 8.0)], 8.0),
        ([(0, 3.0), (10, 0.0)], 1.0),
        ([(0, 3.0), (10, 0.0), (30, None)], 1.0),
        ([(0, 1.0), (0, 2.0)], 1.5),
        ([(0, 4.0), (10, 1.0), (20, 1.0)], 10 / 7),
        ([(0, 0.1), (10, 0.1), (20, 0.1)], 0.1),
        ([(0, 1e308), (0, 1.5e308)], 1.25e308),
        ([(0, INF), (10, 1.0)], INF),
        ([(0, INF), (10, -INF)], NAN),
        ([(0, NAN), (10, 1.0)], NAN),
    ],
)
def test_weights_halve_with_each_half_life(events, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(X.ewm_mean("10s").over(*over), events), expected, 1e-9)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(X.ewm_mean("1h").over("card", "10s"), [(0, 1e300), (9, 2.0), (10, 2.0)])[-1], 2.0, 1e-9)


def test_weights_too_small_for_a_double_still_make_a_mean():
    """All of them are as old: what counts is how old they are beside each other."""
    events = [(0, 2.0), (0, 4.0), (10**9, None)]
    assert_same(answers(X.ewm_mean("1us").over("card"), events), [2.0, 3.0, 3.0], 1e-9)


def test_after_a_very_long_time_it_is_the_newest():
    assert_same(answers(X.ewm_mean("1us").over("card"), [(0, 1.0), (10**9, 5.0)]), [1.0, 5.0], 1e-9)


@pytest.mark.parametrize("half_life", ["0s", "-1s", "x", None, 5])
def test_what_is_no_half_life_is_refused(half_life):
    with pytest.raises((DefinitionError, TypeError)):
        PAYMENTS.features(it=X.ewm_mean(half_life).over("card"))


def features():
    return (
        X.ewm_mean("3s").over("card", "10s"),
        col("n").ewm_mean("1s").over("card"),
        X.ewm_mean("1m").where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(X.ewm_mean("3s").over("card", "10s"), col("n").ewm_mean("1m").over("card", "10s"))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
