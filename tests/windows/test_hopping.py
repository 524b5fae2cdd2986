"""`ff.hopping("30d", every="1h")`: an event of time s is inside when floor(t - length, every) <= s <= t."""

import math
import random

import fastfeat as ff
import pytest
from fastfeat import Engine, Stream, col, count
from harness import PAYMENTS, answers, assert_equals_reference, assert_same
from hypothesis import given
from hypothesis import strategies as st


def counts(window, times):
    return answers(count().over("card", window), [(time, 1.0) for time in times])


def test_its_beginning_moves_in_steps():
    window = ff.hopping("10s", every="4s")
    # floor(t - 10, 4) is 0 for t from 10 to 13, 4 from 14 to 17.
    assert counts(window, [0, 3, 10, 13, 14, 17, 18]) == [1, 2, 3, 4, 3, 4, 5]


def test_event_on_the_beginning_is_in_and_one_tick_before_is_out():
    assert counts(ff.hopping("10s", every="5s"), [4, 5, 15]) == [1, 2, 2]
    assert counts(ff.hopping("10s", every="5s"), [5, 9, 19]) == [1, 2, 3]
    assert counts(ff.hopping("10s", every="5s"), [5, 9, 20]) == [1, 2, 1]


def test_before_1970_it_floors_towards_the_past():
    assert counts(ff.hopping("10s", every="4s"), [-13, -12, -8, 1]) == [1, 2, 3, 3]


def test_a_step_of_the_whole_length():
    assert counts(ff.hopping("10s", every="10s"), [0, 9, 10, 19, 20]) == [1, 2, 3, 4, 3]


def test_a_step_that_does_not_divide_the_length():
    assert counts(ff.hopping("10s", every="7s"), [0, 6, 7, 16, 17]) == [1, 2, 3, 4, 3]


@pytest.mark.parametrize(("length", "every"), [("1h", "2h"), ("1h", "0s"), ("1h", "-1s"), ("1h", "x"), ("0s", "1s")])
def test_steps_longer_than_the_window_or_of_nothing_are_refused(length, every):
    with pytest.raises(ff.DefinitionError):
        PAYMENTS.features(n=count().over("card", ff.hopping(length, every=every)))


def test_many_events_take_no_more_memory_than_its_slices():
    """It keeps no event beyond the watermark."""
    engine = Engine(PAYMENTS.features(total=col("x").sum().over("card", ff.hopping("100s", every="10s"))))
    sizes = []
    for place in range(60_000):
        engine.push({"ts": place // 200, "card": "c", "x": place / 10})
        if place in (25_000, 59_999):
            sizes.append(engine.stats()["state_bytes"])
    assert sizes[1] - sizes[0] < 20_000


def test_a_large_value_leaves_with_its_slice():
    feature = col("x").agg("sum").over("card", ff.hopping("10s", every="5s"))
    events = [(0, 1e300), (7, 0.1), (12, 0.2), (15, 0.3), (40, 0.5)]
    assert_same(answers(feature, events)[2:], [1e300, math.fsum([0.1, 0.2, 0.3]), 0.5])


def test_without_the_event_itself_and_without_its_instant():
    events = [(0, 1.0), (5, 2.0), (5, 4.0)]
    window = ff.hopping("10s", every="5s")
    assert_same(answers(col("x").sum().over("card", window, include_current=False), events), [0.0, 1.0, 3.0])
    assert_same(answers(col("x").sum().over("card", window, ties="exclude"), events), [0.0, 1.0, 1.0])


def test_out_of_order_within_the_lateness_it_is_as_exact():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts", lateness="6s")
    made = col("x").agg("count", "sum", "min", "max", "last", "n_unique")
    features = stream.features(**{every: made.over(ff.hopping("10s", every=every)) for every in ("1s", "3s", "10s")})
    random_ = random.Random(4)
    newest, events = 0, []
    for _ in range(400):
        newest += random_.choice((0, 0, 1, 1, 2, 9))
        events.append(
            ("s", {"ts": max(newest - random_.randrange(7), 0), "x": random_.choice((0.1, 1e15, -1e15, 2.0))})
        )
    assert_equals_reference(features, events)


@given(
    st.lists(st.sampled_from((0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 30)), max_size=40),
    st.sampled_from(((10, 1), (10, 3), (10, 5), (10, 10), (12, 4), (1, 1))),
)
def test_equals_the_reference(steps, lengths):
    length, every = lengths
    stream = Stream("s", {"ts": ff.Timestamp("s"), "n": ff.Int64()}, time="ts")
    window = ff.hopping(f"{length}s", every=f"{every}s")
    features = stream.features(n=col("n").agg("count", "sum", "min", "last", "n_unique").over(window))
    time, events = 0, []
    for place, step in enumerate(steps):
        time += step
        events.append(("s", {"ts": time, "n": place % 3}))
    assert_equals_reference(features, events)
