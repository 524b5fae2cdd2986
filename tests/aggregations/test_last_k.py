import math

import numpy
import properties
import pyarrow
import pytest
from fastfeat import DefinitionError, Engine, col
from harness import PAYMENTS, answers, assert_same, payment, seconds
from reference_expressions import Instant

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, [[1.0], [2.0], [2.0], [-0.0]]), (2, [[1.0], [2.0, 1.0], [2.0, 1.0], [-0.0, 2.0]]), (9, [[1.0], [2.0, 1.0]])],
)
def test_last_k_are_the_newest_values_newest_first(k, expected):
    for over in (OVER, ("card",)):
        found = answers(col("x").last_k(k).over(*over), seconds([1.0, 2.0, None, -0.0]))
        assert_same(found[: len(expected)], expected)


def test_null_when_there_is_none():
    assert_same(answers(col("x").last_k(3).over(*OVER), [(0, None), (1, 1.0), (11, None)]), [None, [1.0], None])


def test_equal_times_are_in_order_of_arrival():
    assert_same(answers(col("x").last_k(3).over(*OVER), [(5, 1.0), (5, 2.0), (5, 3.0)])[-1], [3.0, 2.0, 1.0])


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").last_k(3).over(*OVER), [(0, 1.0), (9, 2.0), (10, 3.0)])[-1], [3.0, 2.0])


def test_without_the_event_itself():
    feature = col("x").last_k(2).over("card", include_current=False)
    assert_same(answers(feature, seconds([1.0, 2.0, 3.0])), [None, [1.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("x", [NAN, math.inf], [math.inf, NAN]),
        ("n", [-(2**63), 2**63 - 1], [2**63 - 1, -(2**63)]),
        ("b", [False, True], [True, False]),
        ("text", ["ü", ""], ["", "ü"]),
        ("kind", ["high", "low"], ["low", "high"]),
        ("at", [3, 4], [Instant(4_000_000), Instant(3_000_000)]),
    ],
)
def test_every_type_is_given_back_as_it_was(name, values, expected):
    events = [{"ts": ts, name: value} for ts, value in enumerate(values)]
    assert_same(answers(col(name).last_k(5).over(*OVER), events)[-1], expected)


def test_all_time_keeps_enough_of_a_thousand():
    events = [(place, float(place)) for place in range(1_300)]
    found = answers(col("x").last_k(1_000).over("card"), events)
    assert found[-1] == [float(place) for place in range(1_299, 299, -1)]


def test_a_list_has_no_place_in_a_float_vector_but_in_a_table():
    features = PAYMENTS.features(it=col("x").last_k(2).over("card"))
    row = Engine(features).push(payment((0, 1.0)))
    assert numpy.isnan(numpy.asarray(row)).tolist() == [True]
    assert row["it"] == [1.0]
    events = pyarrow.Table.from_pylist([payment((0, 1.0)), payment((1, 2.0))])
    table = pyarrow.table(Engine(features).push_batch(events))
    assert table["it"].to_pylist() == [[1.0], [2.0, 1.0]]
    assert pyarrow.types.is_list(table["it"].type)


@pytest.mark.parametrize("k", [0, -1, 1_001, 1.5, True])
def test_k_outside_its_bounds_is_refused(k):
    with pytest.raises((DefinitionError, TypeError)):
        col("x").last_k(k)


def test_expressions_do_not_take_lists():
    with pytest.raises(DefinitionError):
        PAYMENTS.features(it=col("x").last_k(2).over("card").is_null())


def features():
    return (
        col("x").last_k(3).over(*OVER),
        col("text").last_k(40).over("card"),
        col("n").last_k(2).where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").last_k(3).over(*OVER), col("text").last_k(60).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
