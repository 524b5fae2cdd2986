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
        ([None, False, None, True, False], [None, False, False, True, True]),
        ([True, False], [True, True]),
        ([False, False], [False, False]),
    ],
)
def test_any_is_whether_some_value_is_true(values, expected):
    assert_same(answers(col("b").any().over(*OVER), flags(*values)), expected)
    assert_same(answers(col("b").any().over("card"), flags(*values)), expected)


def test_the_only_true_one_leaves_on_the_window_edge():
    events = [{"ts": 0, "b": True}, {"ts": 9, "b": False}, {"ts": 10, "b": False}, {"ts": 25}]
    assert_same(answers(col("b").any().over(*OVER), events), [True, True, False, None])


def test_of_a_comparison_and_filtered():
    events = [{"ts": 0, "x": 1.0, "b": False}, {"ts": 1, "x": 9.0, "b": False}, {"ts": 2, "x": 9.0, "b": True}]
    assert_same(answers((col("x") > 5).any().over(*OVER), events), [False, True, True])
    assert_same(answers((col("x") > 5).any().where(col("b")).over(*OVER), events), [None, None, True])


def test_what_is_no_boolean_is_refused():
    with pytest.raises(DefinitionError):
        PAYMENTS.features(it=col("x").any().over("card"))


def features():
    return (
        col("b").any().over(*OVER),
        (col("x") > 2).any().over("card"),
        col("b").any().where(col("n") > 0).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("b").any().over(*OVER), (col("x") > 2).any().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
