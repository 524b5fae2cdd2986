import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds
from reference_expressions import Instant

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([None, 2.5], 2.5),
        ([2.0, 1.0, 3.0], 3.0),
        ([0.0, -0.0], 0.0),
        ([-0.0, 0.0], 0.0),
        ([-0.0], -0.0),
        ([NAN], NAN),
        ([NAN, 1.0, NAN], 1.0),
        ([NAN, -INF], -INF),
        ([1.0, INF, -INF], INF),
        ([5e-324, 0.0, -5e-324], 5e-324),
        ([1e308, -1e308], 1e308),
    ],
)
def test_max_of_a_window(values, expected):
    assert_same(answer(col("x").max().over(*OVER), seconds(values)), expected)
    assert_same(answer(col("x").max().over("card"), seconds(values)), expected)


def test_event_on_the_window_edge_is_out():
    found = answers(col("x").max().over(*OVER), [(0, 9.0), (9, 5.0), (10, 3.0), (19, 2.0), (20, 1.0)])
    assert_same(found, [9.0, 9.0, 5.0, 3.0, 2.0])


def test_nan_alone_is_nan_until_it_leaves():
    assert_same(
        answers(col("x").max().over(*OVER), [(0, NAN), (5, 1.0), (11, NAN), (16, None), (21, None)]),
        [NAN, 1.0, 1.0, NAN, None],
    )


@pytest.mark.parametrize("size", [3, 30, 300, 3_000])
def test_max_of_rising_and_falling_values(size):
    """The extreme leaves at every step of one of them, and never of the other."""
    for sign in (1.0, -1.0):
        values = [sign * place for place in range(size)]
        live = 100
        events = [(place * 10 // live, x) for place, x in enumerate(values)]
        expected = [
            max(x for (t, x) in events[max(0, place - 2 * live) : place + 1] if t > events[place][0] - 10)
            for place in range(size)
        ]
        assert_same(answers(col("x").max().over(*OVER), events), expected)


def test_integers_stay_exact():
    events = [{"ts": 0, "n": n} for n in (2**53, 2**53 + 1, 2**63 - 1)]
    assert_same(answers(col("n").max().over(*OVER), events), [2**53, 2**53 + 1, 2**63 - 1])


def test_booleans_are_numbers_and_timestamps_stay_instants():
    events = [{"ts": 0, "b": False, "at": 7}, {"ts": 0, "b": True, "at": 9}]
    assert_same(answers(col("b").max().over(*OVER), events), [0.0, 1.0])
    assert_same(answers(col("at").max().over(*OVER), events), [Instant(7_000_000), Instant(9_000_000)])


def test_equals_the_reference():
    x = col("x").max()
    properties.equals_reference(x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").max().over(*OVER))


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").max().over(*OVER), col("n").max().over(*OVER))


def test_order_of_arrival_does_not_matter():
    x = col("x").max()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").max().over(*OVER)
    )
