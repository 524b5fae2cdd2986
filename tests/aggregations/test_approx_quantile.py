import math
import random

import fastfeat as ff
import properties
import pytest
from fastfeat import DefinitionError, Engine, col
from harness import PAYMENTS, answer, answers, assert_same

OVER = ("card", "10s")
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([None], 0.5, None),
        ([7.0], 0.9, 7.0),
        ([4.0, 1.0, None, 3.0, 2.0], 0.5, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 0.0, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 1.0, 4.0),
        ([-100.0, -1.0, 0.0], 0.0, -100.0),
        ([-100.0, -1.0, 0.0], 0.5, -1.0),
        ([-100.0, -1.0, 0.0], 1.0, 0.0),
        ([1e-300, 1e300], 0.0, 1e-300),
        ([1e-300, 1e300], 1.0, 1e300),
        ([1.0, NAN], 0.5, NAN),
    ],
)
def test_approx_quantile_is_within_a_hundredth_of_the_value_of_its_rank(values, q, expected):
    for over in (OVER, ("card",)):
        found = answer(col("x").approx_quantile(q).over(*over), [(0, x) for x in values])
        assert_same(found, expected, 0.01)


@pytest.mark.parametrize(
    "make", [tuple, lambda: ("60s",), lambda: (ff.hopping("60s", every="6s"),)], ids=["all", "rolling", "hopping"]
)
@pytest.mark.parametrize("spread", ["uniform", "wide", "both signs"])
def test_of_many_values(make, spread):
    random_ = random.Random(spread)
    draw = {
        "uniform": lambda: random_.uniform(1, 2),
        "wide": lambda: random_.lognormvariate(0, 8),
        "both signs": lambda: random_.choice((-1, 0, 1)) * random_.lognormvariate(0, 3),
    }[spread]
    quantiles = (0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0)
    features = {f"q{place}": col("x").approx_quantile(q).over("card", *make()) for place, q in enumerate(quantiles)}
    engine = Engine(PAYMENTS.features(**features))
    values = []
    for place in range(4_000):
        values.append(draw())
        row = engine.push({"ts": place // 100, "card": "c", "x": values[-1]})
        if place % 397 == 0 or place == 3_999:
            ranked = sorted(values)
            for index, q in enumerate(quantiles):
                expected = ranked[math.floor(q * (len(ranked) - 1))]
                assert_same(row[f"q{index}"], expected, 0.01)


def test_what_left_is_not_counted():
    events = [(0, 1e9)] * 2_000 + [(10, 5.0)] * 3
    assert_same(answers(col("x").approx_quantile(0.9).over(*OVER), events)[-1], 5.0, 0.01)


@pytest.mark.parametrize("q", [-0.1, 1.1, NAN, "0.5", None])
def test_q_outside_its_bounds_is_refused(q):
    with pytest.raises((DefinitionError, TypeError)):
        PAYMENTS.features(it=col("x").approx_quantile(q).over(*OVER))


def features():
    return (
        col("x").approx_quantile(0.9).over(*OVER),
        col("n").approx_quantile(0.5).over("card"),
        col("x").approx_quantile(0.25).where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").approx_quantile(0.9).over(*OVER), col("n").approx_quantile(0.3).over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
