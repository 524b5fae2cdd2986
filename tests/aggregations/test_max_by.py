import math

import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answer, answers, assert_same
from reference_expressions import Instant

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan
X, Y = col("x"), col("y")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(None, 1.0)], None),
        ([(1.0, None)], None),
        ([(None, 1.0), (2.0, 5.0)], 2.0),
        ([(1.0, 3.0), (2.0, 5.0), (3.0, 5.0)], 2.0),
        ([(1.0, 7.0), (2.0, 5.0)], 1.0),
        ([(1.0, NAN), (2.0, -INF)], 2.0),
        ([(1.0, NAN), (2.0, NAN)], 1.0),
        ([(1.0, -0.0), (2.0, 0.0)], 2.0),
        ([(1.0, 0.0), (2.0, -0.0)], 1.0),
        ([(NAN, 5.0), (2.0, 1.0)], NAN),
        ([(-0.0, 1.0)], -0.0),
    ],
)
def test_max_by_is_the_value_where_the_other_is_largest(pairs, expected):
    for over in (OVER, ("card",)):
        assert_same(answer(X.max_by(Y).over(*over), [(0, x, y) for x, y in pairs]), expected)


def test_event_on_the_window_edge_is_out():
    events = [(0, 1.0, 9.0), (5, 2.0, -4.0), (9, 3.0, -1.0), (10, 4.0, -2.0), (19, 5.0, -9.0)]
    assert_same(answers(X.max_by(Y).over(*OVER), events), [1.0, 1.0, 1.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("n", [5, 2**63 - 1], 2**63 - 1),
        ("b", [True, False], False),
        ("text", ["a", "ü"], "ü"),
        ("kind", ["low", "high"], "high"),
        ("at", [4, 3], Instant(3_000_000)),
    ],
)
def test_every_type_by_a_number(name, values, expected):
    events = [{"ts": ts, name: value, "y": float(ts)} for ts, value in enumerate(values)]
    assert_same(answer(col(name).max_by(Y).over(*OVER), events), expected)


@pytest.mark.parametrize(("name", "values"), [("n", [2**53, 2**53 + 1]), ("b", [False, True]), ("at", [3, 9])])
def test_by_every_type_that_has_an_order(name, values):
    events = [{"ts": ts, "text": text, name: value} for ts, (text, value) in enumerate(zip("ab", values, strict=True))]
    assert_same(answer(col("text").max_by(col(name)).over(*OVER), events), "b")


def test_by_a_text_is_refused():
    with pytest.raises(DefinitionError):
        PAYMENTS.features(it=X.max_by(col("text")).over("card"))


def features():
    return (X.max_by(Y).over(*OVER), col("text").max_by(X).over("card"), X.max_by(col("n")).where(col("b")).over("3s"))


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(X.max_by(Y).over(*OVER), col("text").max_by(X).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
