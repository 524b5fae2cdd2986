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
        ([3.0, 1.0, 1.0, None], 1.0),
        ([2.0, 1.0, 1.0, 2.0, 3.0], 1.0),
        ([3.0, 2.0, 1.0], 1.0),
        ([-0.0], 0.0),
        ([1.0, -0.0, 0.0], 0.0),
        ([NAN, 1.0], 1.0),
        ([NAN, -NAN, 1.0], NAN),
        ([INF, NAN], INF),
        ([-INF, INF], -INF),
    ],
)
def test_mode_is_the_most_frequent_and_of_several_the_smallest(values, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").mode().over(*over), seconds(values)), expected)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1.0), (0, 1.0), (5, 2.0), (9, 3.0), (10, 3.0)]
    assert_same(answers(col("x").mode().over(*OVER), events), [1.0, 1.0, 1.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", [5, -5], -5),
        ("n", [2**63 - 1, 2**63 - 1, 0], 2**63 - 1),
        ("b", [True, False], False),
        ("text", ["b", "é", "a", "é"], "é"),
        ("text", ["é", "z"], "z"),
        ("text", ["\U00010000", "\uffff"], "\uffff"),
        ("kind", ["high", "low"], "low"),
        ("at", [4, 3], Instant(3_000_000)),
    ],
)
def test_every_type_texts_by_bytes_and_categories_as_they_are_listed(name, values, expected):
    events = [{"ts": ts, name: value} for ts, value in enumerate(values)]
    assert_same(answer(col(name).mode().over(*OVER), events), expected)


def test_filter_and_without_the_event_itself():
    events = [{"ts": ts, "text": text, "b": b} for ts, (text, b) in enumerate((("a", True), ("b", False), ("c", True)))]
    assert_same(answers(col("text").mode().where(col("b")).over(*OVER), events), ["a", "a", "a"])
    assert_same(answers(col("text").mode().over(*OVER, include_current=False), events), [None, "a", "a"])


def features():
    return (
        col("x").mode().over(*OVER),
        col("text").mode().over("card"),
        col("n").mode().where(col("b")).over("3s"),
        col("kind").mode().over(*OVER),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").mode().over(*OVER), col("text").mode().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
