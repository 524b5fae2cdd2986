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
        ([None], None),
        ([7.0, 7.0, None], 0.0),
        ([1.0, 2.0], math.log(2)),
        ([1.0, 2.0, 2.0, 2.0], 0.5623351446188083),
        ([float(value) for value in range(1_000)], math.log(1_000)),
        ([NAN, -NAN, 0.0, -0.0], math.log(2)),
    ],
)
def test_entropy_of_the_frequencies_in_nats(values, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(col("x").entropy().over(*over), [(0, x) for x in values]), expected, 1e-12)


def test_one_value_has_no_entropy_whatever_was_there_before():
    assert_same(answers(col("x").entropy().over(*OVER), [(0, 1.0), (1, 2.0), (10, 2.0)])[-1], 0.0)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1.0), (9, 2.0), (10, 3.0), (20, None)]
    assert_same(answers(col("x").entropy().over(*OVER), events), [0.0, math.log(2), math.log(2), None], 1e-12)


def test_of_texts_and_filtered():
    events = [{"ts": 0, "text": text, "b": text != "c"} for text in "abca"]
    assert_same(answer(col("text").entropy().over(*OVER), events), 1.5 * math.log(2), 1e-12)
    expected = math.log(3) - 2 / 3 * math.log(2)
    assert_same(answer(col("text").entropy().where(col("b")).over(*OVER), events), expected, 1e-12)


def features():
    return (
        col("x").entropy().over(*OVER),
        col("text").entropy().over("card"),
        col("n").entropy().where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").entropy().over(*OVER), col("text").entropy().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())


def test_one_a_second():
    assert_same(answers(col("x").entropy().over(*OVER), seconds([1.0, 1.0, None])), [0.0, 0.0, 0.0])
