"""`ff.session("30m")`: back from the row until a gap is longer than the session's; one of exactly its length is not."""

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import answers, assert_equals_reference, assert_same
from hypothesis import given
from hypothesis import strategies as st


def counts(times, **options):
    return answers(count().over("card", ff.session("10s"), **options), [(time, 1.0) for time in times])


def test_it_goes_on_over_a_gap_of_exactly_its_length_and_ends_at_a_longer_one():
    assert counts([0, 10, 20, 31, 41]) == [1, 2, 3, 1, 2]


def test_it_has_no_length_of_its_own():
    assert counts(range(0, 100_000, 10))[-1] == 10_000


def test_without_the_event_itself_it_is_that_of_the_events_before():
    assert counts([0, 10, 20, 31], include_current=False) == [0, 1, 2, 0]


def test_without_its_instant():
    assert counts([0, 10, 10, 20], ties="exclude") == [0, 1, 1, 3]


def test_each_key_has_its_own():
    events = [{"ts": 0, "card": "a"}, {"ts": 8, "card": "b"}, {"ts": 16, "card": "a"}, {"ts": 18, "card": "b"}]
    assert_same(answers(count().over("card", ff.session("10s")), events), [1, 1, 1, 2])


def test_events_that_the_filter_takes_out_keep_it_going():
    events = [{"ts": ts, "b": b} for ts, b in ((0, True), (9, False), (18, None), (27, True))]
    assert_same(answers(count().where(col("b")).over("card", ff.session("10s")), events), [1, 1, 1, 2])


def test_event_out_of_order_joins_two_sessions():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts", lateness="20s")
    features = stream.features(n=count().over(ff.session("10s")), first=col("x").first().over(ff.session("10s")))
    times = [0, 15, 8, 15, 30, 40, 22, 40]
    engine = ff.Engine(features)
    rows = [engine.push({"ts": ts, "x": float(place)}) for place, ts in enumerate(times)]
    assert [row["n"] for row in rows] == [1, 1, 2, 4, 1, 2, 5, 8]
    assert rows[-1]["first"] == 0.0
    assert_equals_reference(features, [("s", {"ts": ts, "x": float(place)}) for place, ts in enumerate(times)])


def test_a_lookup_later_than_the_gap_finds_it_over():
    stream = Stream("s", {"ts": ff.Timestamp("s")}, time="ts")
    engine = ff.Engine(stream.features(n=count().over(ff.session("10s"))))
    engine.push({"ts": 0})
    engine.push({"ts": 5})
    assert [engine.lookup({}, at=at)["n"] for at in (5, 15, 16)] == [2, 2, 0]


@pytest.mark.parametrize("gap", ["0s", "-1s", "x", "1mo"])
def test_what_is_no_gap_is_refused(gap):
    with pytest.raises(ff.DefinitionError):
        ff.session(gap)


@given(st.lists(st.sampled_from((0, 1, 4, 5, 6, 9, 10, 11)), max_size=60), st.lists(st.booleans(), min_size=60))
def test_equals_the_reference(steps, flags):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "n": ff.Int64(), "b": ff.Boolean()}, time="ts")
    windows = [ff.session(gap) for gap in ("1s", "5s", "10s")]
    kinds = ("count", "sum", "max", "first", "last", "n_unique", "time_since_first")
    features = stream.features(
        n=col("n").agg(*kinds).over(*windows),
        some=col("n").agg(*kinds).where(col("b")).over(*windows),
        before=col("n").lag(2).over(ff.session("5s")),
    )
    time, events = 0, []
    for place, step in enumerate(steps):
        time += step
        events.append(("s", {"ts": time, "n": place % 3, "b": flags[place]}))
    assert_equals_reference(features, events)
