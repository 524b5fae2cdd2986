import math

import properties
import pytest
from fastfeat import col
from harness import answer, answers, assert_same

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan
X, Y = col("x"), col("y")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(None, None)], None),
        ([(1.0, 2.0), (2.0, None)], None),
        ([(1.0, 2.0), (3.0, 8.0)], 1.0),
        ([(1.0, 2.0), (3.0, -8.0)], -1.0),
        ([(1.0, 2.0), (1.0, 8.0)], None),
        ([(1.0, 2.0), (3.0, 2.0)], None),
        ([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)], 0.0),
        ([(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)], 0.5),
        ([(1e300, 2.0), (2e300, 4.0), (3e300, 6.0)], 1.0),
        ([(1e-300, 2.0), (2e-300, 4.0), (3e-300, 6.0)], 1.0),
        ([(1e15, 0.0), (1e15 + 1, 2.0), (1e15 + 2, 1.0)], 0.5),
        ([(INF, 1.0), (3.0, 8.0)], NAN),
        ([(1.0, NAN), (3.0, 8.0)], NAN),
    ],
)
def test_corr_of_the_events_that_have_both(pairs, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(X.corr(Y).over(*over), [(0, x, y) for x, y in pairs]), expected, 1e-9)


def test_never_beyond_one():
    events = [(0, place / 10, place * 0.3) for place in range(1, 200)]
    assert all(each is None or -1.0 <= each <= 1.0 for each in answers(X.corr(Y).over(*OVER), events))


def test_event_on_the_window_edge_is_out():
    assert_same(answers(X.corr(Y).over(*OVER), [(0, 1e300, 1.0), (9, 1.0, 2.0), (10, 3.0, 8.0)])[-1], 1.0, 1e-9)


def features():
    return (X.corr(Y).over(*OVER), X.corr(col("n")).over("card"), Y.corr(X * 2.0).where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(X.corr(Y).over(*OVER), X.corr(col("n")).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
