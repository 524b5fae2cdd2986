import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds
from reference_expressions import Instant

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([1.0, 2.0, 3.0], 1.0),
        ([None, 2.0, None], 2.0),
        ([NAN, None], NAN),
        ([-0.0], -0.0),
        ([math.inf, None], math.inf),
        ([5e-324, 5e-324], 5e-324),
    ],
)
def test_first_of_a_window(values, expected):
    assert_same(answer(col("x").first().over(*OVER), seconds(values)), expected)
    assert_same(answer(col("x").first().over("card"), seconds(values)), expected)


def test_event_on_the_window_edge_is_out():
    found = answers(col("x").first().over(*OVER), [(0, 1.0), (9, 2.0), (10, None), (19, None), (20, 3.0)])
    assert_same(found, [1.0, 1.0, 2.0, None, 3.0])


def test_of_equal_times_arrival_decides():
    assert_same(answers(col("x").first().over(*OVER), [(5, 1.0), (5, 2.0), (5, 3.0)]), [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", [2**63 - 1, -(2**63)], 2**63 - 1),
        ("b", [True, False], True),
        ("text", ["ä", ""], "ä"),
        ("kind", ["low", "high"], "low"),
        ("at", [3, -3], Instant(3_000_000)),
    ],
)
def test_every_type_is_given_back_as_it_was(name, values, expected):
    events = [{"ts": place, name: value} for place, value in enumerate(values)]
    assert_same(answer(col(name).first().over(*OVER), events), expected)
    assert_same(answer(col(name).first().over("card"), events), expected)


def test_filter_chooses_among_the_events():
    events = [{"ts": place, "n": place, "b": b} for place, b in enumerate((False, True, None, True, False))]
    assert_same(answers(col("n").first().where(col("b")).over(*OVER), events), [None, 1, 1, 1, 1])


def test_equals_the_reference():
    x = col("x").first()
    properties.equals_reference(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("text").first().over(*OVER)
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(
        col("x").first().over(*OVER), col("text").first().over(*OVER), col("kind").first().over(*OVER)
    )


def test_order_of_arrival_does_not_matter():
    x = col("x").first()
    properties.order_of_arrival_does_not_matter(
        x.over(*OVER), x.over("card"), x.where(col("b")).over("3s"), col("text").first().over(*OVER)
    )
