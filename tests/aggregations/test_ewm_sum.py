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
        ([(0, None)], 0.0),
        ([(0, 8.0)], 8.0),
        ([(0, 8.0), (10, 1.0)], 5.0),
        ([(0, 8.0), (10, 1.0), (30, None)], 1.25),
        ([(0, 8.0), (0, 2.0), (10, None)], 5.0),
        ([(0, 8.0), (5, None)], 8.0 / math.sqrt(2)),
        ([(0, -8.0), (10, 4.0)], 0.0),
        ([(0, 1e300), (10, 1.0)], 5e299),
        ([(0, INF), (10, 1.0)], INF),
        ([(0, INF), (10, -INF)], NAN),
        ([(0, NAN), (10, 1.0)], NAN),
    ],
)
def test_weights_halve_with_each_half_life(events, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(X.ewm_sum("10s").over(*over), events), expected, 1e-9)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(X.ewm_sum("1h").over("card", "10s"), [(0, 1e300), (9, 0.0), (10, 1.0)])[-1], 1.0, 1e-9)


def test_small_ones_are_not_lost_behind_a_large_one_that_has_left():
    events = [(0, 1e300), (50, 1.0), (99, 1.0), (100, 1.0)]
    expected = 2.0**-5 + 2.0**-0.1 + 1
    assert_same(answer(X.ewm_sum("10s").over(*OVER), events), expected, 1e-9)


def test_after_a_very_long_time_it_is_zero_and_then_starts_afresh():
    events = [(0, 1.0), (10**9, None), (2 * 10**9, 3.0)]
    assert_same(answers(X.ewm_sum("1us").over("card"), events), [1.0, 0.0, 3.0])


def test_a_year_of_small_additions_does_not_drift():
    half_life, count = 3_600, 20_000
    found = answer(X.ewm_sum("1h").over("card"), [(60 * place, 0.1) for place in range(count)])
    share = 2.0 ** (-60 / half_life)
    assert_same(found, 0.1 * (1 - share**count) / (1 - share), 1e-9)


def test_integers_booleans_and_a_filter():
    events = [{"ts": 0, "n": 8, "b": True}, {"ts": 10, "n": 1, "b": False}]
    assert_same(answer(col("n").ewm_sum("10s").over(*OVER), events), 5.0, 1e-9)
    assert_same(answer(col("b").ewm_sum("10s").over(*OVER), events), 0.5, 1e-9)
    assert_same(answer(col("n").ewm_sum("10s").where(col("b")).over(*OVER), events), 4.0, 1e-9)


@pytest.mark.parametrize("half_life", ["0s", "-1s", "x", None, 5])
def test_what_is_no_half_life_is_refused(half_life):
    with pytest.raises((DefinitionError, TypeError)):
        PAYMENTS.features(it=X.ewm_sum(half_life).over("card"))


def features():
    return (
        X.ewm_sum("3s").over("card", "10s"),
        col("n").ewm_sum("1s").over("card"),
        X.ewm_sum("1m").where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(X.ewm_sum("3s").over("card", "10s"), col("n").ewm_sum("1m").over("card", "10s"))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
