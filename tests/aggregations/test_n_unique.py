import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], 0),
        ([1.0, 1.0, 1.0], 1),
        ([1.0, 2.0, 1.0], 2),
        ([0.0, -0.0], 1),
        ([NAN, -NAN, NAN], 1),
        ([NAN, math.inf, -math.inf, None], 3),
        ([5e-324, 0.0, -5e-324], 3),
        ([2.0**53, 2.0**53 + 2], 2),
    ],
)
def test_distinct_values_of_a_window(values, expected):
    assert_same(answer(col("x").n_unique().over(*OVER), seconds(values)), expected)
    assert_same(answer(col("x").n_unique().over("card"), seconds(values)), expected)


def test_event_on_the_window_edge_is_out():
    found = answers(col("x").n_unique().over(*OVER), [(0, 1.0), (9, 2.0), (10, 2.0), (19, 1.0), (29, None)])
    assert_same(found, [1, 2, 1, 2, 0])


def test_value_seen_again_stays_when_its_first_occurrence_leaves():
    assert_same(answers(col("x").n_unique().over(*OVER), [(0, 1.0), (5, 1.0), (10, 2.0), (15, 3.0)]), [1, 1, 2, 2])


def test_zeros_and_nans_stay_one_value_as_they_leave():
    found = answers(col("x").n_unique().over(*OVER), [(0, 0.0), (5, -0.0), (10, NAN), (12, -NAN), (15, 1.0), (21, 1.0)])
    assert_same(found, [1, 1, 2, 2, 2, 2])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", [2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**53], 4),
        ("b", [True, False, True], 2),
        ("text", ["a", "", "ä", "a\0", "a"], 4),
        ("kind", ["low", "high", "low"], 2),
        ("at", [0, 1, 0, -1], 3),
    ],
)
def test_every_type_can_be_counted(name, values, expected):
    events = [{"ts": place, name: value} for place, value in enumerate(values)]
    assert_same(answer(col(name).n_unique().over(*OVER), events), expected)
    assert_same(answer(col(name).n_unique().over("card"), events), expected)


@pytest.mark.parametrize("distinct", [1, 10, 100, 1_000, 5_000])
def test_many_distinct_values(distinct):
    events = [{"ts": place // 1_000, "n": place % distinct} for place in range(6_000)]
    found = answers(col("n").n_unique().over("3s"), events)
    window = [min(place, 2_000 + place % 1_000) + 1 for place in range(6_000)]
    assert found == [min(live, distinct) for live in window]


def test_filter_counts_among_its_events():
    events = [{"ts": place, "n": place % 2, "b": place % 3 == 0} for place in range(6)]
    assert_same(answers(col("n").n_unique().where(col("b")).over(*OVER), events), [1, 1, 1, 2, 2, 2])


def test_equals_the_reference():
    x = col("x").n_unique()
    properties.equals_reference(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("text").n_unique().over(*OVER)
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(
        col("x").n_unique().over(*OVER), col("text").n_unique().over(*OVER), col("n").n_unique().over(*OVER)
    )


def test_order_of_arrival_does_not_matter():
    x = col("x").n_unique()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("text").n_unique().over(*OVER)
    )
