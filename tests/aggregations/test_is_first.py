import math

import fastfeat as ff
import properties
import pytest
from fastfeat import DefinitionError, Stream, col
from harness import PAYMENTS, answers, assert_same, seconds

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1.0, 2.0], [True, False, True]),
        ([None, 1.0, None, 1.0], [None, True, None, False]),
        ([0.0, -0.0], [True, False]),
        ([NAN, -NAN, 1.0], [True, False, True]),
    ],
)
def test_is_first_is_whether_no_event_before_has_the_value(values, expected):
    assert_same(answers(col("x").is_first().over(*OVER), seconds(values)), expected)
    assert_same(answers(col("x").is_first().over("card"), seconds(values)), expected)


def test_value_whose_last_event_left_on_the_window_edge_is_first_again():
    events = [(0, 1.0), (9, 1.0), (19, 1.0), (28, 1.0)]
    assert_same(answers(col("x").is_first().over(*OVER), events), [True, False, True, False])


def test_event_that_the_filter_takes_out_has_no_answer_and_hides_nothing():
    events = [{"ts": ts, "text": "a", "b": b} for ts, b in enumerate((False, True, None, True))]
    assert_same(answers(col("text").is_first().where(col("b")).over("card"), events), [None, True, None, False])


def test_every_type():
    for name, one, other in (
        ("n", 1, 2),
        ("b", True, False),
        ("text", "a", "ü"),
        ("kind", "low", "high"),
        ("at", 0, 7),
    ):
        events = [{"ts": ts, name: value} for ts, value in enumerate((one, other, one))]
        assert_same(answers(col(name).is_first().over(*OVER), events), [True, True, False])


def test_null_key_has_no_answer():
    assert_same(answers(col("x").is_first().over("card"), [{"ts": 0, "card": None, "x": 1.0}]), [None])


def test_without_ties_the_others_of_the_instant_are_not_before():
    feature = col("x").is_first().over("card", ties="exclude")
    assert_same(answers(feature, [(0, 1.0), (0, 1.0), (1, 1.0)]), [True, True, False])


def test_of_another_stream_is_refused():
    logins = Stream("logins", {"at": ff.Timestamp("s"), "card": ff.String()}, time="at")
    with pytest.raises(DefinitionError, match="is_first"):
        PAYMENTS.features(it=logins["card"].is_first().over(card=col("card")))


def features():
    return (
        col("x").is_first().over(*OVER),
        col("text").is_first().over("card"),
        col("n").is_first().where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").is_first().over(*OVER), col("text").is_first().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
