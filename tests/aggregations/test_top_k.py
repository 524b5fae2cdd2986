import math

import properties
import pytest
from fastfeat import DefinitionError, col
from harness import answer, answers, assert_same, seconds

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [
        ([None], 2, None),
        ([2.0, 3.0, 3.0, 1.0, 2.0, 3.0], 2, [3.0, 2.0]),
        ([3.0, 2.0, 1.0], 2, [1.0, 2.0]),
        ([3.0, 2.0, 2.0], 9, [2.0, 3.0]),
        ([-0.0, 0.0, 1.0], 1, [0.0]),
        ([INF, NAN, -INF, 1.0], 9, [-INF, 1.0, INF, NAN]),
        ([NAN, -NAN, 1.0], 1, [NAN]),
    ],
)
def test_top_k_are_the_most_frequent_and_of_equals_the_smaller_first(values, k, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").top_k(k).over(*over), seconds(values)), expected)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1.0), (0, 1.0), (5, 2.0), (10, 3.0)]
    assert_same(answers(col("x").top_k(2).over(*OVER), events)[-1], [2.0, 3.0])


def test_texts_are_ordered_by_bytes():
    events = [{"ts": 0, "text": text} for text in ("b", "é", "a", "\U00010000", "\uffff", "z", "z")]
    assert_same(answer(col("text").top_k(6).over(*OVER), events), ["z", "a", "b", "é", "\uffff", "\U00010000"])


def test_many_values_and_many_that_left():
    events = [(place // 500, float(place % 97 * (place % 5))) for place in range(6_000)]
    found = answers(col("x").top_k(3).over("card", "2s"), events)
    for place in range(1_000, 6_000, 333):
        inside = [x for ts, x in events[: place + 1] if ts > events[place][0] - 2]
        ranked = sorted(set(inside), key=lambda value: (-inside.count(value), value))
        assert found[place] == ranked[:3]


@pytest.mark.parametrize("k", [0, -1, 1_001, 1.5, True])
def test_k_outside_its_bounds_is_refused(k):
    with pytest.raises((DefinitionError, TypeError)):
        col("x").top_k(k)


def features():
    return (
        col("x").top_k(3).over(*OVER),
        col("text").top_k(2).over("card"),
        col("n").top_k(40).where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").top_k(3).over(*OVER), col("text").top_k(60).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
