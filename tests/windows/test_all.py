"""No window: every event of the key so far."""

import math
import random

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import answer, answers, assert_equals_reference, assert_same

ALL = ("count", "sum", "mean", "var", "std", "min", "max", "first", "last", "n_unique", "time_since_last")


def test_nothing_leaves():
    assert_same(answers(count().over("card"), [(0, 1.0), (10**9, 1.0), (2 * 10**9, 1.0)]), [1, 2, 3])
    assert_same(answer(col("x").first().over("card"), [(0, 7.0), (10**9, 1.0)]), 7.0)


def test_all_time_beside_windows_of_the_same_key():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "k": ff.String(), "x": ff.Float64(nullable=True)}, time="ts")
    features = stream.features(all=col("x").agg(*ALL).over("k"), some=col("x").agg(*ALL).over("k", "5s", "60s"))
    random_ = random.Random(5)
    time, events = 0, []
    for _ in range(300):
        time += random_.choice((0, 0, 0, 1, 5, 61))
        events.append(
            ("s", {"ts": time, "k": random_.choice("aab"), "x": random_.choice((None, 0.1, 1e15, -1e15, 1e300, 3.0))})
        )
    assert_equals_reference(features, events, rows=range(0, 300, 4))


def test_sum_of_all_time_does_not_drift():
    values = [0.1, 1e15, -1e15, 0.2, 1e300, -1e300, 7.7] * 500
    found = answers(col("x").sum().over("card"), [(place, x) for place, x in enumerate(values)])
    for place in range(0, len(values), 211):
        assert found[place] == math.fsum(values[: place + 1])


def test_infinity_stays_for_ever():
    assert_same(
        answers(col("x").sum().over("card"), [(0, math.inf), (10**6, 1.0), (10**7, -math.inf)]),
        [math.inf, math.inf, math.nan],
    )


@pytest.mark.parametrize("kind", ALL)
def test_every_aggregation_works_over_all_time(kind):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64(allow_nan=True), "b": ff.Boolean()}, time="ts")
    features = stream.features(it=col("x").agg(kind).over(), some=col("x").agg(kind).where(col("b")).over())
    random_ = random.Random(kind)
    values = (0.1, 1e15, -1e15, 0.0, -0.0, 5e-324, 1e300, -1e300, 2.5)
    events = [("s", {"ts": ts, "x": random_.choice(values), "b": random_.random() < 0.5}) for ts in range(200)]
    events += [("s", {"ts": 200 + ts, "x": x, "b": True}) for ts, x in enumerate((math.nan, 1.0, math.inf, -math.inf))]
    assert_equals_reference(features, events)


def test_events_of_the_same_instant_are_left_out_of_all_time_too():
    before = {"include_current": False, "ties": "exclude"}
    last = col("x").last().over("card", **before)
    assert_same(answers(last, [(0, 1.0), (5, 2.0), (5, 3.0), (6, 4.0)]), [None, 1.0, 1.0, 3.0])
    previous = col("x").lag(1).over("card", ties="exclude")
    assert_same(answers(previous, [(0, 1.0), (5, 2.0), (5, 3.0), (6, 4.0)]), [None, 1.0, 1.0, 3.0])
