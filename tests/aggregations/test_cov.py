import math

import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answer, answers, assert_same

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan
X, Y = col("x"), col("y")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(None, None)], None),
        ([(1.0, 2.0)], None),
        ([(1.0, 2.0), (2.0, None), (None, 3.0)], None),
        ([(1.0, 2.0), (3.0, 8.0)], 6.0),
        ([(1.0, 2.0), (None, 100.0), (3.0, 8.0)], 6.0),
        ([(1.0, 2.0), (1.0, 8.0)], 0.0),
        ([(1.0, 8.0), (3.0, 2.0)], -6.0),
        ([(1e15, 1e15), (1e15 + 2, 1e15 + 6)], 6.0),
        ([(1e200, 1e-200), (3e200, 7e-200)], 6.0),
        ([(1.0, INF), (3.0, 8.0)], NAN),
        ([(NAN, 1.0), (3.0, 8.0)], NAN),
    ],
)
def test_cov_of_the_events_that_have_both(pairs, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(X.cov(Y).over(*over), [(0, x, y) for x, y in pairs]), expected, 1e-9)


def test_a_column_with_itself_is_its_variance():
    events = [(0, x) for x in (0.1, 7.7, -3.0, 1e6)]
    for one, other in zip(answers(X.cov(X).over(*OVER), events), answers(X.var().over(*OVER), events), strict=True):
        assert_same(one, other, 1e-9)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(X.cov(Y).over(*OVER), [(0, 1e300, 1.0), (9, 1.0, 2.0), (10, 3.0, 8.0)])[-1], 6.0, 1e-9)


def test_integers_and_a_filter():
    events = [{"ts": 0, "x": float(n), "n": n * n, "b": n != 2} for n in (1, 2, 3)]
    assert_same(answer(X.cov(col("n")).over(*OVER), events), 4.0, 1e-9)
    assert_same(answer(X.cov(col("n")).where(col("b")).over(*OVER), events), 8.0, 1e-9)


def test_what_is_no_number_is_refused():
    for wrong in (X.cov(col("text")), col("text").cov(X)):
        with pytest.raises(DefinitionError):
            PAYMENTS.features(it=wrong.over("card"))


def features():
    return (X.cov(Y).over(*OVER), X.cov(col("n")).over("card"), Y.cov(X * 2.0).where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(X.cov(Y).over(*OVER), X.cov(col("n")).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
