import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answers, assert_same

OVER = ("card", "10s")


def flags(*values):
    return [{"ts": ts, "b": b} for ts, b in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], [None]),
        ([None, True, None, False, True], [None, True, True, False, False]),
        ([True, False], [True, False]),
        ([True, True], [True, True]),
    ],
)
def test_all_is_whether_every_value_is_true(values, expected):
    assert_same(answers(col("b").all().over(*OVER), flags(*values)), expected)
    assert_same(answers(col("b").all().over("card"), flags(*values)), expected)


def test_the_only_false_one_leaves_on_the_window_edge():
    events = [{"ts": 0, "b": False}, {"ts": 9, "b": True}, {"ts": 10, "b": True}, {"ts": 25}]
    assert_same(answers(col("b").all().over(*OVER), events), [False, False, True, None])


def test_of_a_comparison_and_filtered():
    events = [{"ts": 0, "x": 1.0, "b": False}, {"ts": 1, "x": 9.0, "b": False}, {"ts": 2, "x": 9.0, "b": True}]
    assert_same(answers((col("x") > 5).all().over(*OVER), events), [False, False, False])
    assert_same(answers((col("x") > 5).all().where(col("b")).over(*OVER), events), [None, None, True])


def test_what_is_no_boolean_is_refused():
    with pytest.raises(DefinitionError):
        PAYMENTS.features(it=col("x").all().over("card"))


def features():
    return (
        col("b").all().over(*OVER),
        (col("x") > 2).all().over("card"),
        col("b").all().where(col("n") > 0).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("b").all().over(*OVER), (col("x") > 2).all().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
