"""`"1h"`: an event of time s is inside the window of a row at time t when t - w < s <= t."""

from datetime import timedelta

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import answers, assert_equals_reference, assert_same, definition
from hypothesis import given, settings
from hypothesis import strategies as st

UNITS_NS = {
    "us": 1_000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
    "w": 604_800 * 10**9,
}


def counts(window, times_ns, unit="ns"):
    stream = Stream("s", {"ts": ff.Timestamp(unit)}, time="ts")
    features = stream.features(n=count().over(window))
    engine = ff.Engine(features)
    per_unit = {"ns": 1, "us": 1_000}[unit]
    return [engine.push({"ts": time // per_unit})["n"] for time in times_ns]


@pytest.mark.parametrize("unit", sorted(UNITS_NS))
@pytest.mark.parametrize("length", [1, 3])
def test_event_exactly_as_old_as_the_window_is_out_and_one_tick_younger_is_in(unit, length):
    for clock, tick in (("us", 1_000), ("ns", 1)):
        width = length * UNITS_NS[unit]
        assert counts(f"{length}{unit}", [0, width - tick, width], clock) == [1, 2, 2 if width > tick else 1]


def test_window_of_one_tick_holds_the_instant_alone():
    assert counts("1us", [0, 0, 1_000, 1_000, 1_000, 2_000], "us") == [1, 2, 1, 2, 3, 1]
    assert counts("1ns", [0, 0, 1, 1, 1, 2]) == [1, 2, 1, 2, 3, 1]


def test_durations_of_several_parts_and_timedeltas():
    times = [0, 5400 * 10**9 - 1, 5400 * 10**9]
    for window in ("1h30m", "90m", "5400s", ff.rolling("1h30m"), ff.rolling(timedelta(minutes=90))):
        assert counts(window, times) == [1, 2, 2]


@pytest.mark.parametrize("text", ["0s", "1mo", "1y", "1.5h", "-1h", "h", "1 h", "106752d", "99999999999999999999w"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ff.DefinitionError):
        ff.rolling(text)


def test_window_longer_than_all_time_before_it_holds_everything():
    """t - w below the smallest instant is no special case."""
    stream = Stream("s", {"ts": ff.Timestamp("us"), "x": ff.Float64()}, time="ts")
    features = stream.features(n=count().over("106751d"), total=col("x").sum().over("106751d"))
    events = [
        ("s", {"ts": ts, "x": 0.1}) for ts in ("0001-01-01", "0001-01-01T00:00:00.000001Z", "0290-01-01", "0295-01-01")
    ]
    assert_equals_reference(features, events)


def test_window_longer_than_all_time_in_nanoseconds():
    stream = Stream("s", {"ts": ff.Timestamp("ns")}, time="ts")
    features = stream.features(n=count().over("106751d"), m=count().over("1w"))
    events = [
        ("s", {"ts": ts})
        for ts in ("1678-01-01", "1678-01-01T00:00:00.000000001Z", "1969-12-31", "1970-04-12", "2261-12-31")
    ]
    assert_equals_reference(features, events)


def test_windows_age_by_the_row_not_by_the_last_touch():
    """Between two events of a key others move time on; what the key sees depends on its own row alone."""
    events = [{"ts": 0, "card": "a"}, {"ts": 8, "card": "b"}, {"ts": 9, "card": "a"}, {"ts": 30, "card": "b"}]
    events += [{"ts": 30, "card": "a"}, {"ts": 31, "card": "a"}]
    assert_same(answers(count().over("card", "10s"), events), [1, 1, 2, 1, 1, 2])


def test_a_quiet_key_starts_afresh():
    events = [{"ts": 0, "card": "a", "x": 1e300}] * 200 + [{"ts": 10**6, "card": "a", "x": 0.5}]
    assert_same(answers(col("x").sum().over("card", "10s"), events)[-1], 0.5)


def test_windows_of_one_key_do_not_disturb_each_other():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts")
    names = [f"{length}s" for length in range(1, 30)]
    features = stream.features(x=col("x").agg("sum", "max", "first").over(*names), all=col("x").sum().over())
    assert_equals_reference(features, [("s", {"ts": ts * ts // 10, "x": ts / 10}) for ts in range(60)])


def inside(window, times, **options):
    """The places of the events that the last row has in its window, oldest first."""
    feature = col("x").last_k(1_000).over("card", window, **options)
    found = answers(feature, [(time, float(place)) for place, time in enumerate(times)])[-1]
    return [int(place) for place in reversed(found or [])]


@pytest.mark.parametrize(
    ("closed", "expected"), [("right", [2, 3]), ("left", [1, 2]), ("both", [1, 2, 3]), ("neither", [2])]
)
def test_each_end_is_in_or_out(closed, expected):
    times = [9, 10, 15, 20]
    assert inside(ff.rolling("10s", closed=closed), times) == expected
    assert inside(ff.rolling("10s", closed=closed, offset="5s"), [*times, 25]) == expected


def test_an_offset_moves_the_whole_window():
    assert inside(ff.rolling("10s", offset="1s"), [4, 5, 6, 14, 15, 15]) == [1, 2, 3]
    assert inside(ff.rolling("10s", offset="100s"), [0, 9, 10, 109]) == [0, 1]
    assert inside(ff.rolling("1us", offset="1s"), [14, 15]) == [0]


def test_an_open_end_leaves_out_the_whole_instant():
    assert inside(ff.rolling("10s", closed="left"), [0, 10, 10, 10]) == [0]
    assert inside(ff.rolling("10s", closed="neither"), [0, 1, 10, 10]) == [1]


def test_ties_and_the_event_itself_are_left_out_of_any_window():
    for closed in ("right", "both"):
        window = ff.rolling("10s", closed=closed)
        assert inside(window, [5, 10, 10], include_current=False) == [0, 1]
        assert inside(window, [5, 10, 10], ties="exclude") == [0]


def test_before_the_offset_has_passed_it_is_empty():
    feature = col("x").agg("sum").over("card", ff.rolling("10s", offset="5s"))
    assert_same(answers(feature, [(0, 1.0), (4, 2.0), (5, 4.0), (9, 8.0), (15, 0.0)]), [0.0, 0.0, 1.0, 3.0, 14.0])


def test_windows_that_differ_in_their_ends_alone_share_a_key():
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts")
    windows = [ff.rolling("10s", closed=closed) for closed in ("right", "left", "both", "neither")]
    windows += [ff.rolling("10s", offset=offset) for offset in ("1s", "10s", "20s")]
    kinds = ("count", "sum", "min", "max", "first", "last", "n_unique", "std")
    features = stream.features(
        **{f"x{place}": col("x").agg(*kinds).over(window) for place, window in enumerate(windows)}
    )
    assert_equals_reference(features, [("s", {"ts": ts * ts // 10, "x": ts % 7 / 10}) for ts in range(80)])


@pytest.mark.parametrize(
    "options", [{"closed": "middle"}, {"closed": None}, {"offset": "-1s"}, {"offset": "1mo"}, {"offset": 5}]
)
def test_what_is_no_offset_and_no_end_is_refused(options):
    with pytest.raises((ff.DefinitionError, TypeError)):
        ff.rolling("10s", **options)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((0, 1, 2, 4, 5, 6, 9, 10, 11, 30))), max_size=40),
    st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=settings().max_examples)
def test_equals_the_reference(steps, lengths):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "k": ff.String(), "n": ff.Int64()}, time="ts")
    features = stream.features(
        n=col("n").agg("count", "sum", "min", "last", "n_unique").over("k", *(f"{length}s" for length in lengths)),
        before=col("n").lag(1).over("k", f"{lengths[0]}s"),
    )
    assert definition(features)["version"] == 1
    time, events = 0, []
    for place, (key, step) in enumerate(steps):
        time += step
        events.append(("s", {"ts": time, "k": key, "n": place % 3}))
    assert_equals_reference(features, events)
