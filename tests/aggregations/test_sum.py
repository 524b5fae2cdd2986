import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan
LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], 0.0),
        ([None, 2.5, None], 2.5),
        ([0.1] * 10, 1.0),
        ([1e15, 0.1, -1e15], 0.1),
        ([1e300, 1.0, -1e300], 1.0),
        ([1.0, 1e100, 1.0, -1e100], 2.0),
        ([LARGEST, LARGEST], INF),
        ([-LARGEST, -LARGEST], -INF),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([LARGEST, 2.0**969], LARGEST),  # a quarter of the last place more: still the largest
        ([LARGEST, 2.0**970], INF),  # half of it: the tie goes to the even one, which is beyond
        ([5e-324, 5e-324], 1e-323),
        ([5e-324, -5e-324], 0.0),
        ([2.0**53, 1.0], 2.0**53),
        ([2.0**53, 1.0, 5e-324], 2.0**53 + 2),
        ([2.0**53, 1.0, -5e-324], 2.0**53),
        ([-0.0], 0.0),
        ([-0.0, -0.0], 0.0),
        ([INF, 1.0], INF),
        ([-INF, LARGEST], -INF),
        ([INF, -INF], NAN),
        ([NAN, 1.0], NAN),
        ([NAN, INF], NAN),
    ],
)
def test_sum_is_correctly_rounded(values, expected):
    assert_same(answer(col("x").sum().over(*OVER), seconds(values)), expected)
    assert_same(answer(col("x").sum().over("card"), seconds(values)), expected)


@pytest.mark.parametrize("repeats", [1, 10, 100, 1_000])
def test_small_amounts_are_not_lost_behind_a_large_one(repeats):
    events = [(0, 1e15), *[(1, 0.1), (1, -1e15), (1, 1e15)] * repeats, (1, -1e15)]
    for over in (OVER, ("card",), ("10s",)):
        assert_same(answer(col("x").sum().over(*over), events), math.fsum([0.1] * repeats))


def test_no_order_and_no_drift():
    values = [0.1, 1e300, -1e15, 3.3, -1e300, 1e15, 7.7, 1e-300]
    for _ in values:
        values.append(values.pop(0))
        assert_same(answer(col("x").sum().over(*OVER), seconds(values)), math.fsum(values))


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").sum().over(*OVER), [(0, 1.0), (9, 2.0), (10, 4.0), (19, 8.0)]), [1.0, 3.0, 6.0, 12.0])


def test_what_left_leaves_nothing_behind():
    for guest in (1e300, INF, NAN, -INF, LARGEST):
        found = answers(col("x").sum().over(*OVER), [(0, guest), (5, 0.1), (10, 0.2), (15, 0.3)])
        assert_same(found[2:], [math.fsum([0.1, 0.2]), 0.5])


def test_integers_are_summed_as_integers():
    events = [{"ts": 0, "n": 2**63 - 1}] * 3 + [{"ts": 0, "n": -(2**63)}] * 3
    found = answers(col("n").sum().over(*OVER), events)
    whole = [sum(event["n"] for event in events[: place + 1]) for place in range(6)]
    assert_same(found, [float(total) for total in whole])


def test_integers_beyond_two_to_the_53_round_once():
    events = [{"ts": 0, "n": n} for n in (2**53, 1, 1)]
    assert_same(answers(col("n").sum().over(*OVER), events), [2.0**53, 2.0**53, 2.0**53 + 2])


def test_booleans_are_zero_and_one():
    events = [{"ts": 0, "b": b} for b in (True, None, False, True)]
    assert_same(answers(col("b").sum().over(*OVER), events), [1.0, 1.0, 1.0, 2.0])


def test_filter_of_nothing_is_zero():
    assert_same(answer(col("x").sum().where(col("x") > 5).over(*OVER), seconds([1.0, 2.0])), 0.0)


def test_sum_of_a_computed_value():
    events = [{"ts": 0, "x": 0.5, "n": 3}, {"ts": 1, "x": None, "n": 4}, {"ts": 2, "x": 2.0, "n": 5}]
    assert_same(answers((col("x") * col("n")).sum().over(*OVER), events), [1.5, 1.5, 11.5])


def test_equals_the_reference():
    x = col("x").sum()
    properties.equals_reference(x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").sum().over(*OVER))


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").sum().over(*OVER), col("n").sum().over(*OVER), (col("x") * 2).sum().over(*OVER))


def test_order_of_arrival_does_not_matter():
    x = col("x").sum()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("n").sum().over(*OVER)
    )
