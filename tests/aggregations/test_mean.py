import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([2.5], 2.5),
        ([1.0, None, 2.0], 1.5),
        ([0.1, 0.2, 0.3], math.fsum([0.1, 0.2, 0.3]) / 3),
        ([1e15, 0.1, -1e15], 0.1 / 3),
        ([1e300, -1e300, 3.0], 1.0),
        ([5e-324, 5e-324], 5e-324),
        ([1e308, 1e308], 1e308),
        ([-1.7976931348623157e308] * 3, -1.7976931348623157e308),
        ([INF, 1.0], INF),
        ([INF, -INF], NAN),
        ([NAN, 1.0], NAN),
    ],
)
def test_mean_is_the_exact_sum_by_the_count(values, expected):
    assert_same(answer(col("x").mean().over(*OVER), seconds(values)), expected)
    assert_same(answer(col("x").mean().over("card"), seconds(values)), expected)


def test_mean_of_an_empty_window_is_null():
    assert_same(answer(col("x").mean().over(*OVER), [(0, 1.0), (10, None)]), None)
    assert_same(answer(col("x").mean().where(col("b")).over(*OVER), seconds([1.0])), None)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").mean().over(*OVER), [(0, 1.0), (9, 2.0), (10, 4.0)]), [1.0, 1.5, 3.0])


def test_means_of_integers_and_booleans():
    events = [{"ts": 0, "n": 2**63 - 1, "b": True}, {"ts": 0, "n": 2**63 - 1, "b": False}]
    assert_same(answers(col("n").mean().over(*OVER), events), [2.0**63, 2.0**63])
    assert_same(answers(col("b").mean().over(*OVER), events), [1.0, 0.5])


def test_amount_by_its_mean():
    found = answers(col("x") / col("x").mean().over(*OVER), seconds([2.0, 4.0, None, 3.0]))
    assert_same(found, [1.0, 4.0 / 3.0, None, 1.0])


def test_equals_the_reference():
    x = col("x").mean()
    properties.equals_reference(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").mean().over(*OVER)
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").mean().over(*OVER), col("n").mean().over(*OVER))


def test_order_of_arrival_does_not_matter():
    x = col("x").mean()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").mean().over(*OVER)
    )
