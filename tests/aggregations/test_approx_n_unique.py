import math
import random

import properties
import pytest
from fastfeat import Engine, col
from harness import PAYMENTS, UNIQUE_EXACT_UP_TO, UNIQUE_STANDARD_ERROR, answers, assert_same, seconds

OVER = ("card", "10s")
NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"),
    [([None], [0]), ([1.0, 1.0, 2.0, None], [1, 1, 2, 2]), ([0.0, -0.0, NAN, -NAN], [1, 1, 2, 2])],
)
def test_few_values_are_counted_exactly(values, expected):
    for over in (OVER, ("card",)):
        assert_same(answers(col("x").approx_n_unique().over(*over), seconds(values)), expected)


@pytest.mark.parametrize("window", [(), ("1000s",)])
def test_exact_up_to_128_values_however_often_they_come(window):
    events = [(place // 50, float(place % (place // 50 + 1))) for place in range(50 * UNIQUE_EXACT_UP_TO)]
    found = answers(col("x").approx_n_unique().over("card", *window), events)
    seen = set()
    for (_, x), each in zip(events, found, strict=True):
        seen.add(x)
        assert each == len(seen)


@pytest.mark.parametrize("window", [(), ("10s",)])
@pytest.mark.parametrize("count", [200, 1_000, 5_000, 30_000])
def test_many_values_are_counted_within_the_documented_error(window, count):
    """Twenty keys with values of their own: their errors have the spread, and no bias to speak of."""
    engine = Engine(PAYMENTS.features(it=col("n").approx_n_unique().over("card", *window)))
    random_ = random.Random(count)
    errors = []
    for key in range(20 if count <= 5_000 else 4):
        for _ in range(count):
            row = engine.push({"ts": 0, "card": str(key), "n": random_.getrandbits(62)})
        errors.append(row["it"] / count - 1)
    assert max(map(abs, errors)) < 5 * UNIQUE_STANDARD_ERROR
    assert abs(sum(errors) / len(errors)) < 5 * UNIQUE_STANDARD_ERROR / math.sqrt(len(errors))


def test_values_that_left_are_not_counted():
    events = [(0, float(place)) for place in range(5_000)] + [(10, 1.0), (10, 2.0)]
    assert answers(col("x").approx_n_unique().over(*OVER), events)[-2:] == [1, 2]


def test_every_type():
    for name, one, other in (
        ("n", 1, 2),
        ("b", True, False),
        ("text", "a", "ü"),
        ("kind", "low", "high"),
        ("at", 0, 7),
    ):
        events = [{"ts": ts, name: value} for ts, value in enumerate((one, other, one))]
        assert_same(answers(col(name).approx_n_unique().over(*OVER), events), [1, 2, 2])


def features():
    return (
        col("x").approx_n_unique().over(*OVER),
        col("text").approx_n_unique().over("card"),
        col("n").approx_n_unique().where(col("b")).over("3s"),
    )


def test_equals_the_reference():
    properties.equals_reference(*features())


def test_value_that_has_left_is_as_if_it_never_was():
    properties.leaves_no_trace(col("x").approx_n_unique().over(*OVER), col("text").approx_n_unique().over(*OVER))


def test_order_of_arrival_does_not_matter():
    properties.order_of_arrival_does_not_matter(*features())
