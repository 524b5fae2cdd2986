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
        ([1.0], None),
        ([1.0, None], None),
        ([1.0, 3.0], math.sqrt(2.0)),
        ([7.7, 7.7, 7.7], 0.0),
        ([1e15, 1e15], 0.0),
        ([1e9 + 1, 1e9 + 2, 1e9 + 3], 1.0),
        ([1e15, 1e15 + 0.125], math.sqrt(0.0078125)),
        ([2.0**53, 2.0**53 + 2], math.sqrt(2.0)),
        ([1e-200, 3e-200], 0.0),
        ([1e200, -1e200], INF),
        ([1.7976931348623157e308, 1.7976931348623157e308], 0.0),
        ([1e154, -1e154], INF),
        ([0.0, -0.0], 0.0),
        ([1.0, INF], NAN),
        ([INF, INF], NAN),
        ([1.0, NAN], NAN),
        ([NAN], None),
    ],
)
def test_std_is_that_of_a_sample(values, expected):
    assert_same(answer(col("x").std().over(*OVER), seconds(values)), expected, 1e-9)
    assert_same(answer(col("x").std().over("card"), seconds(values)), expected, 1e-9)


@pytest.mark.parametrize("size", [10, 40, 100, 1_000])
def test_std_beside_a_large_mean(size):
    """A sum of squares minus the square of a sum would have no digit left."""
    values = [1e15 + place % 2 for place in range(size)]
    assert_same(answer(col("x").std().over(*OVER), [(0, x) for x in values]), math.sqrt(0.25 * size / (size - 1)), 1e-9)


@pytest.mark.parametrize("size", [2, 10, 40, 100, 1_000])
def test_std_of_equal_values_is_zero(size):
    for value in (0.1, 1e15 + 0.3, 5e-324, -7.7e307):
        assert_same(answer(col("x").std().over(*OVER), [(0, value)] * size), 0.0)


def test_event_on_the_window_edge_is_out():
    assert_same(
        answers(col("x").std().over(*OVER), [(0, 1e300), (9, 1.0), (10, 3.0), (19, 1.0)])[2:],
        [math.sqrt(2.0)] * 2,
        1e-9,
    )


def test_integers_are_squared_exactly():
    events = [{"ts": 0, "n": n} for n in (2**63 - 1, 2**63 - 3, 2**63 - 5)]
    assert_same(answers(col("n").std().over(*OVER), events), [None, math.sqrt(2.0), 2.0], 1e-9)


def test_booleans_are_zero_and_one():
    assert_same(answer(col("b").std().over(*OVER), [{"ts": 0, "b": b} for b in (True, False)]), math.sqrt(0.5), 1e-9)


def test_equals_the_reference():
    x = col("x").std()
    properties.equals_reference(x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").std().over(*OVER))


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").std().over(*OVER), col("n").std().over(*OVER))


def test_score_of_an_amount_against_its_week():
    feature = (col("x") - col("x").mean().over(*OVER)) / col("x").std().over(*OVER)
    assert_same(answers(feature, seconds([1.0, 3.0])), [None, 1.0 / math.sqrt(2.0)], 1e-9)


def test_order_of_arrival_does_not_matter():
    x = col("x").std()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").std().over(*OVER)
    )
