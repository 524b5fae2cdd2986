import math

import fastfeat as ff
import properties
import pytest
from fastfeat import DefinitionError, col
from harness import PAYMENTS, answer, answers, assert_same, seconds

OVER = ("card", "10s")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], None),
        ([7.0], 7.0),
        ([4.0, 1.0, None, 3.0, 2.0], 2.5),
        ([1.0, 2.0, 100.0], 2.0),
        ([-0.0, 0.0], 0.0),
        ([1.0, NAN], NAN),
        ([1.0, INF, 2.0], 2.0),
        ([1e308, 1.7e308], 1.35e308),
    ],
)
def test_median_is_the_middle(values, expected):
    assert_same(answer(col("x").median().over(*OVER), [(0, x) for x in values]), expected, 1e-12)


def test_event_on_the_window_edge_is_out():
    assert_same(answers(col("x").median().over(*OVER), [(0, 9.0), (9, 1.0), (10, 3.0)]), [9.0, 5.0, 2.0], 1e-12)


def test_median_is_the_quantile_of_a_half():
    values = [0.1, 3.0, -7.0, 1e9, 2.5, 2.5, None, 11.0]
    one, other = (answers(each.over(*OVER), seconds(values)) for each in (col("x").median(), col("x").quantile(0.5)))
    assert_same(one, other)


@pytest.mark.parametrize("make", [tuple, lambda: (ff.hopping("1h", every="1m"),)], ids=["all", "hopping"])
def test_over_windows_that_keep_no_events_it_is_refused_with_the_way_out(make):
    with pytest.raises(DefinitionError, match="approx_quantile"):
        PAYMENTS.features(it=col("x").median().over("card", *make()))


def features():
    return (
        col("x").median().over(*OVER),
        col("n").median().over(*OVER),
        col("b").median().where(col("n") > 0).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").median().over(*OVER), col("n").median().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
