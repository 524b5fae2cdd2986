import math

import fastfeat as ff
import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same, seconds
from reference_expressions import Instant

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, [None, 1.0, 2.0, 3.0]), (2, [None, None, 1.0, 2.0]), (3, [None, None, None, 1.0]), (4, [None] * 4)],
)
def test_lag_is_the_value_of_an_event_before_this_one(n, expected):
    for over in (OVER, ("card",)):
        assert_same(answers(col("x").lag(n).over(*over), seconds([1.0, 2.0, 3.0, 4.0])), expected)


def test_nulls_are_no_values_to_go_back_over():
    assert_same(answers(col("x").lag(1).over(*OVER), seconds([1.0, None, None, 2.0])), [None, 1.0, 1.0, 1.0])
    assert_same(answers(col("x").lag(2).over(*OVER), seconds([1.0, None, 2.0, 3.0])), [None, None, None, 1.0])


def test_the_event_itself_is_never_its_lag():
    assert_same(answers(col("x").lag(1).over(*OVER), [(5, 1.0), (5, 2.0), (5, 3.0)]), [None, 1.0, 2.0])


def test_event_on_the_window_edge_is_out():
    assert_same(
        answers(col("x").lag(1).over(*OVER), [(0, 1.0), (9, 2.0), (19, 3.0), (28, 4.0)]), [None, 1.0, None, 3.0]
    )
    assert_same(answers(col("x").lag(1).over("card"), [(0, 1.0), (10**9, 2.0)]), [None, 1.0])


def test_all_time_lag_keeps_enough():
    events = [(place, float(place)) for place in range(1_500)]
    for n in (1, 2, 50, 1_000):
        found = answers(col("x").lag(n).over("card"), events)
        assert found == [None if place < n else float(place - n) for place in range(1_500)]


def test_lag_over_the_whole_stream_and_over_keys():
    events = [{"ts": place, "card": "ab"[place % 2], "n": place} for place in range(5)]
    assert_same(answers(col("n").lag(1).over(), events), [None, 0, 1, 2, 3])
    assert_same(answers(col("n").lag(1).over("card"), events), [None, None, 0, 1, 2])


def test_filter_chooses_the_events_to_go_back_over():
    events = [{"ts": place, "n": place, "b": b} for place, b in enumerate((True, False, True, None, False))]
    assert_same(answers(col("n").lag(1).where(col("b")).over(*OVER), events), [None, 0, 0, 2, 2])
    assert_same(answers(col("n").lag(2).where(col("b")).over("card"), events), [None, None, None, 0, 0])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x", NAN, NAN),
        ("x", -0.0, -0.0),
        ("n", -(2**63), -(2**63)),
        ("b", False, False),
        ("text", "ü", "ü"),
        ("kind", "high", "high"),
        ("at", 3, Instant(3_000_000)),
    ],
)
def test_every_type_is_given_back_as_it_was(name, value, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col(name).lag(1).over(*over), [{"ts": 0, name: value}, {"ts": 1}]), expected)


def test_texts_that_left_are_not_mixed_up_with_those_that_came():
    """Texts are kept by number inside; a number that is used again must not bring back an old text."""
    events = [{"ts": place, "text": f"text {place % 700}"} for place in range(2_000)]
    found = answers(col("text").lag(2).over("card", "10s"), events)
    assert found == [None if place < 2 else f"text {(place - 2) % 700}" for place in range(2_000)]


@pytest.mark.parametrize("n", [0, -1, 1_001, 1.5, True])
def test_lag_outside_its_bounds_is_refused(n):
    with pytest.raises((ff.DefinitionError, TypeError)):
        col("x").lag(n)


def test_equals_the_reference():
    x = col("x")
    properties.equals_reference(
        x.lag(1).over(*OVER), x.lag(3).over("card"), x.lag(20).over(*OVER), x.lag(2).where(col("b")).over("3s")
    )


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(
        col("x").lag(1).over(*OVER), col("text").lag(2).over(*OVER), col("n").lag(30).over(*OVER)
    )


def test_order_of_arrival_does_not_matter():
    x = col("x")
    properties.order_of_arrival_does_not_matter(
        x.lag(1).over(*OVER), x.lag(3).over("card"), x.lag(20).over(*OVER), x.lag(2).where(col("b")).over("3s")
    )
