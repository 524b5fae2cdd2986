"""`ff.tumbling("1d", timezone=None)`: an event of time s is inside when floor(t, length) <= s <= t.

Where a local clock is compared, the times are past: releases of the tz database differ over the future.
"""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import fastfeat as ff
import pytest
from fastfeat import Stream, col, count
from harness import answers, assert_equals_reference, assert_same
from hypothesis import given
from hypothesis import strategies as st

PARIS = "Europe/Paris"


def counts(window, times):
    return answers(count().over("card", window), [(time, 1.0) for time in times])


def utc(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def test_event_on_the_beginning_is_in_and_one_tick_before_is_out():
    assert counts(ff.tumbling("10s"), [0, 9, 10, 10, 19, 20]) == [1, 2, 1, 2, 3, 1]


def test_before_1970_it_floors_towards_the_past():
    assert counts(ff.tumbling("10s"), [-11, -10, -1, 0]) == [1, 1, 2, 1]


def test_a_day_begins_at_midnight_utc_and_a_week_on_thursday():
    assert counts(ff.tumbling("1d"), [utc("2026-11-23T23:59:59"), utc("2026-11-24"), utc("2026-11-24T23:59:59")]) == [
        *(1, 1, 2)
    ]
    assert counts(ff.tumbling("1w"), [utc("2026-11-18T23:59:59"), utc("2026-11-19"), utc("2026-11-25T23:59:59")]) == [
        *(1, 1, 2)
    ]


def test_it_ages_by_the_row_not_by_the_last_touch():
    feature = count().over("card", ff.tumbling("10s"), include_current=False)
    assert_same(answers(feature, [(5, 1.0), (9, 1.0), (10, 1.0), (11, 1.0), (25, 1.0)]), [0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # A day of summer, and the midnights around it.
        (["2026-07-14T21:59:59", "2026-07-14T22:00:00", "2026-07-15T21:59:59", "2026-07-15T22:00:00"], [1, 1, 2, 1]),
        # The day of 23 hours, and that of 25.
        (["2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00"], [1, 1, 2, 1]),
        (["2026-10-24T21:59:59", "2026-10-24T22:00:00", "2026-10-25T22:59:59", "2026-10-25T23:00:00"], [1, 1, 2, 1]),
    ],
)
def test_days_of_paris(times, expected):
    assert counts(ff.tumbling("1d", timezone=PARIS), map(utc, times)) == expected


def test_hours_that_are_shown_twice_are_two_windows():
    first, second = utc("2026-10-25T00:00:00"), utc("2026-10-25T01:00:00")  # 02:00 in summer time, and again
    assert counts(ff.tumbling("1h", timezone=PARIS), [first, first + 1_800, second, second + 1_800]) == [1, 2, 1, 2]


def test_hours_that_are_jumped_over_begin_at_the_jump():
    jump = utc("2026-03-29T01:00:00")
    assert counts(ff.tumbling("2h", timezone=PARIS), [jump - 1, jump, jump + 1_800, jump + 3_600]) == [1, 1, 2, 1]


def test_midnight_that_is_jumped_over_and_midnight_that_is_shown_twice():
    beirut = utc("2024-03-30T22:00:00")
    assert counts(ff.tumbling("1d", timezone="Asia/Beirut"), [beirut - 1, beirut, beirut + 3_600]) == [1, 1, 2]
    havana = utc("2024-11-03T04:00:00")
    assert counts(ff.tumbling("1d", timezone="America/Havana"), [havana, havana + 3_599, havana + 3_600]) == [1, 2, 1]


def test_utc_by_name_is_utc():
    times = [utc("2026-11-23T23:59:59"), utc("2026-11-24"), utc("2026-11-24T12:00:00")]
    assert counts(ff.tumbling("1d", timezone="UTC"), times) == counts(ff.tumbling("1d"), times)


@pytest.mark.parametrize("zone", ["Europe/Pari", "", "CEST+1", 5])
def test_what_is_no_time_zone_is_refused(zone):
    stream = Stream("s", {"ts": ff.Timestamp("s")}, time="ts")
    with pytest.raises((ff.DefinitionError, TypeError)):
        stream.features(n=count().over(ff.tumbling("1d", timezone=zone)))


@pytest.mark.parametrize("length", ["0s", "-1d", "1mo", "day"])
def test_what_is_no_duration_is_refused(length):
    with pytest.raises(ff.DefinitionError):
        ff.tumbling(length)


@pytest.mark.parametrize("zone", [None, PARIS, "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe"])
@given(st.integers(1_000_000_000, 1_700_000_000), st.sampled_from(("15m", "1h", "90m", "6h", "1d", "7d")), st.data())
def test_equals_the_reference(zone, start, length, data):
    stream = Stream("s", {"ts": ff.Timestamp("s"), "x": ff.Float64()}, time="ts", lateness="2h")
    features = stream.features(x=col("x").agg("count", "sum", "min", "first").over(ff.tumbling(length, timezone=zone)))
    time, events = start - start % 900, []
    for place in range(data.draw(st.integers(1, 30))):
        time += data.draw(st.sampled_from((0, 1, 899, 900, 3_600, 20_000, 86_400)))
        back = data.draw(st.sampled_from((0, 0, 1, 900, 7_200))) if events else 0
        events.append(("s", {"ts": time - back, "x": place / 10}))
    assert_equals_reference(features, events)


@pytest.mark.parametrize("zone", [PARIS, "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia"])
def test_every_quarter_of_an_hour_around_a_change_of_the_clock(zone):
    """Around each change of the year's clock, row by row."""
    clock = ZoneInfo(zone)
    hours = range(utc("2024-01-01"), utc("2025-01-01"), 3_600)
    offsets = [datetime.fromtimestamp(hour, clock).utcoffset() for hour in hours]
    changes = [hour for hour, before, after in zip(hours, offsets, offsets[1:], strict=False) if before != after]
    stream = Stream("s", {"ts": ff.Timestamp("s")}, time="ts")
    windows = [ff.tumbling(length, timezone=zone) for length in ("30m", "1h", "1d")]
    features = stream.features(n=count().over(*windows))
    assert changes or zone == "Pacific/Apia"
    for change in changes or [utc("2024-06-01")]:
        assert_equals_reference(features, [("s", {"ts": change + step * 900}) for step in range(-12, 110)])
