"""`ff.last(100)`: the newest n candidates in total order, whatever a filter says."""

import random

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import PAYMENTS, answers, assert_equals_reference, assert_same, seconds


def sums(n, events, **options):
    return answers(col("x").sum().over("card", ff.last(n), **options), events)


def test_it_has_the_newest_and_the_event_itself_is_one_of_them():
    assert_same(sums(2, seconds([1.0, 2.0, 4.0, 8.0])), [1.0, 3.0, 6.0, 12.0])
    assert_same(sums(1, seconds([1.0, 2.0])), [1.0, 2.0])
    assert_same(sums(9, seconds([1.0, 2.0])), [1.0, 3.0])


def test_however_old_they_are():
    assert_same(sums(2, [(0, 1.0), (10**9, 2.0)]), [1.0, 3.0])


def test_equal_times_are_in_order_of_arrival():
    assert_same(sums(2, [(5, 1.0), (5, 2.0), (5, 4.0)]), [1.0, 3.0, 6.0])


def test_without_the_event_itself_it_is_the_n_before():
    assert_same(sums(2, seconds([1.0, 2.0, 4.0, 8.0]), include_current=False), [0.0, 1.0, 3.0, 6.0])


def test_without_its_instant_it_is_the_n_before_the_instant():
    assert_same(sums(2, [(0, 1.0), (1, 2.0), (5, 4.0), (5, 8.0)], ties="exclude"), [0.0, 1.0, 3.0, 3.0])


def test_nulls_and_filtered_events_take_a_place():
    assert_same(sums(2, seconds([1.0, None, 4.0])), [1.0, 1.0, 4.0])
    events = [{"ts": ts, "x": 1.0, "b": b} for ts, b in enumerate((True, False, True, True))]
    assert_same(answers(count().where(col("b")).over("card", ff.last(2)), events), [1, 1, 1, 2])


def test_lag_and_time_since_last_look_into_it():
    assert_same(answers(col("x").lag(1).over("card", ff.last(1)), seconds([1.0, 2.0])), [None, None])
    assert_same(answers(col("x").lag(1).over("card", ff.last(2)), seconds([1.0, 2.0, 4.0])), [None, 1.0, 2.0])
    assert_same(answers(ff.time_since_last().over("card", ff.last(1)), seconds([1.0, 2.0])), [None, None])


def test_event_out_of_order_takes_a_place_among_them():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts", lateness="20s")
    engine = ff.Engine(stream.features(k=col("x").last_k(3).over(ff.last(3))))
    for ts, x in ((0, 0.0), (10, 1.0), (20, 2.0)):
        engine.push({"ts": ts, "x": x})
    assert engine.push({"ts": 15, "x": 3.0})["k"] == [3.0, 1.0, 0.0]
    assert engine.push({"ts": 20, "x": 4.0})["k"] == [4.0, 2.0, 3.0]


@pytest.mark.parametrize("n", [0, -1, 1.5, "5", True, None])
def test_what_is_no_count_is_refused(n):
    with pytest.raises((ff.DefinitionError, TypeError)):
        PAYMENTS.features(it=count().over("card", ff.last(n)))


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 100, 1_000])
def test_equals_the_reference_on_both_sides_of_every_size(n):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "k": ff.String(), "x": ff.Float64(nullable=True)}, time="ts")
    kinds = ("count", "sum", "min", "max", "first", "last", "n_unique", "std")
    features = stream.features(
        x=col("x").agg(*kinds).over("k", ff.last(n)),
        some=col("x").agg(*kinds).where(col("x") > 0).over("k", ff.last(n)),
        before=col("x").sum().over("k", ff.last(n), include_current=False),
    )
    random_ = random.Random(n)
    time, events = 0, []
    for _ in range(1_200):
        time += random_.choice((0, 0, 1))
        events.append(
            ("s", {"ts": time, "k": random_.choice("aaab"), "x": random_.choice((None, 0.1, 1e15, -1e15, 3.0))})
        )
    assert_equals_reference(features, events, rows={*range(0, 1_200, 37), *range(25, 60), 1_199})


def test_a_late_row_without_its_instant_sees_the_newest_before_it_that_a_row_at_the_watermark_sees():
    """Found by the judge: the event at the watermark, which such a row does not see, hid the one before it."""
    stream = Stream("s", {"ts": ff.Timestamp("us"), "x": ff.Float64()}, time="ts", on_late="emit")
    before = {"include_current": False, "ties": "exclude"}
    features = stream.features(last=col("x").sum().over(ff.last(1), **before), n=count().over(ff.last(2), **before))
    events = [("s", {"ts": ts, "x": x}) for ts, x in ((80, 1.0), (90, 43.34), (100, 5.0), (95, 7.0))]
    assert_equals_reference(features, events)
    engine = ff.Engine(features)
    assert [engine.push(event)["last"] for _, event in events] == [0.0, 1.0, 43.34, 43.34]
