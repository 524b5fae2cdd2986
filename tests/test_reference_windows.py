"""The judge's windows, order and lateness judged: cases computed by hand. Runs without fastfeat."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from by_hand import (
    PAYMENTS,
    SECOND,
    aggregate,
    call,
    column,
    constant,
    features,
    field,
    hopping,
    last,
    payment,
    rolling,
    same,
    session,
    since,
    stream,
    tumbling,
    values,
)
from reference import Reference, TooFarBackError
from reference_input import LateError
from reference_windows import DAY, tumbling_start

HOUR = 3_600 * SECOND
X = column("x")


def inside(window, events, **rest):
    """The values of x in the window of the last row, oldest first; `stream` has the options of the stream."""
    options = rest.pop("stream", {})
    found = values(aggregate("last_k", X, parameters=[1_000], window=window, **rest), events, **options)[-1]
    return (found or [])[::-1]


def numbered(*times):
    """Events at these times whose x says which of them they are."""
    return [(time, float(place)) for place, time in enumerate(times)]


# --- Windows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closed", "expected"),
    [("right", [2.0, 3.0]), ("left", [1.0, 2.0]), ("both", [1.0, 2.0, 3.0]), ("neither", [2.0])],
)
def test_ends_of_a_rolling_window(closed, expected):
    events = numbered(0, 10, 15, 20)
    assert inside(rolling(10, closed=closed), events) == expected
    assert inside(rolling(10, closed=closed, offset_ns=5 * SECOND), [*events, (25, 9.0)]) == expected


def test_window_with_an_offset_does_not_see_its_own_event():
    assert inside(rolling(10, offset_ns=SECOND), numbered(5, 14, 15)) == [0.0, 1.0]
    assert inside(rolling(10, offset_ns=SECOND), numbered(4, 5, 15)) == [1.0]


def test_left_closed_window_leaves_out_the_whole_instant():
    assert inside(rolling(10, closed="left"), numbered(0, 10, 10)) == [0.0]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0, 9, 10), [2.0]),
        ((9, 10, 19), [1.0, 2.0]),
        ((-10, -1, 0), [2.0]),
        ((-11, -10, -1), [1.0, 2.0]),
    ],
)
def test_tumbling_begins_at_a_multiple_of_its_length(times, expected):
    assert inside(tumbling(10), numbered(*times)) == expected


def test_a_week_begins_on_thursday():
    thursday = int(datetime(2026, 11, 19, tzinfo=timezone.utc).timestamp())
    assert inside(tumbling(7 * 86_400), numbered(thursday - 1, thursday, thursday + 6 * 86_400)) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((10, 11, 20), [0.0, 1.0, 2.0]),  # floor(20 - 10, 4) = 8
        ((7, 8, 20), [1.0, 2.0]),
        ((7, 8, 21), [1.0, 2.0]),  # floor(11, 4) = 8
        ((8, 12, 22), [1.0, 2.0]),  # floor(12, 4) = 12
        ((-12, -8, 5), [1.0, 2.0]),  # floor(-5, 4) = -8
    ],
)
def test_hopping_begins_at_a_step_before_its_length(times, expected):
    assert inside(hopping(10, 4), numbered(*times)) == expected


def test_session_goes_on_over_a_gap_of_exactly_its_length():
    assert inside(session(10), numbered(0, 10, 20)) == [0.0, 1.0, 2.0]
    assert inside(session(10), numbered(0, 11, 20)) == [1.0, 2.0]
    assert inside(session(10), numbered(0, 11, 22)) == [2.0]


def test_session_without_the_event_ends_when_the_row_is_too_far_away():
    assert inside(session(10), numbered(0, 10, 20), include_current=False) == [0.0, 1.0]
    assert inside(session(10), numbered(0, 10, 21), include_current=False) == []
    assert inside(session(10), numbered(0, 10, 10), ties="exclude") == [0.0]


def test_last_takes_the_newest_in_total_order():
    assert inside(last(2), numbered(0, 5, 5, 5)) == [2.0, 3.0]
    assert inside(last(2), numbered(0, 5, 5, 5), include_current=False) == [1.0, 2.0]
    assert inside(last(2), numbered(0, 1, 5, 5), ties="exclude") == [0.0, 1.0]
    assert inside(last(9), numbered(0, 5)) == [0.0, 1.0]


def test_since_begins_at_the_newest_that_met_the_condition():
    resets = since(call("lt", X, constant(0.0)))
    assert inside(resets, [(0, 1.0), (1, 2.0)]) == []
    assert inside(resets, [(0, -1.0), (1, 2.0), (1, -2.0), (1, 3.0), (9, 4.0)]) == [-2.0, 3.0, 4.0]
    assert inside(resets, [(0, -1.0), (1, 2.0), (2, -3.0)]) == [-3.0]
    assert inside(resets, [(0, -1.0), (1, 2.0), (2, -3.0)], include_current=False) == [-1.0, 2.0]
    assert inside(resets, [(0, None), (1, 2.0)]) == []


def test_filter_does_not_move_sessions_counts_or_beginnings():
    large = {"where": call("gt", X, constant(1.5))}
    assert inside(session(10), numbered(2, 10, 18, 26), **large) == [2.0, 3.0]
    assert inside(last(2), [(0, 5.0), (1, 1.0), (2, 2.0)], **large) == [2.0]
    assert inside(since(call("eq", X, constant(1.0))), [(0, 3.0), (1, 1.0), (2, 2.0)], **large) == [2.0]


def test_null_values_take_a_place_in_the_last_n():
    assert inside(last(2), [(0, 5.0), (1, None), (2, 2.0)]) == [2.0]


def test_what_looks_before_the_event_has_the_window_of_the_event():
    before = aggregate("lag", X, parameters=[1], window=last(1))
    assert values(before, numbered(0, 1, 2)) == [None, None, None]
    before = aggregate("lag", X, parameters=[1], window=last(2))
    assert values(before, numbered(0, 1, 2)) == [None, 0.0, 1.0]
    resets = since(call("lt", X, constant(0.0)))
    ago = aggregate("time_since_last", window=resets)
    assert values(ago, [(0, -1.0), (3, 1.0), (7, -2.0), (8, 0.0)]) == [None, 3.0, None, 1.0]


# --- Local clocks ----------------------------------------------------------------------------------------------------


def instant(text, zone):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


PARIS = "Europe/Paris"


@pytest.mark.parametrize(
    ("time", "length", "zone", "start"),
    [
        ("2026-01-15T12:00:00+00:00", DAY, PARIS, "2026-01-14T23:00:00+00:00"),
        ("2026-07-15T12:00:00+00:00", DAY, PARIS, "2026-07-14T22:00:00+00:00"),
        # The clock goes from 02:00 to 03:00 at 01:00 UTC on 29 March, and back from 03:00 to 02:00 on 25 October.
        ("2026-03-29T21:59:59+00:00", DAY, PARIS, "2026-03-28T23:00:00+00:00"),
        ("2026-03-29T22:00:00+00:00", DAY, PARIS, "2026-03-29T22:00:00+00:00"),
        ("2026-10-25T22:59:59+00:00", DAY, PARIS, "2026-10-24T22:00:00+00:00"),
        ("2026-10-25T23:00:00+00:00", DAY, PARIS, "2026-10-25T23:00:00+00:00"),
        # 03:30 of the day that jumped: two hours floor to 02:00, which was never shown: it begins at the jump.
        ("2026-03-29T01:30:00+00:00", 2 * HOUR, PARIS, "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T01:00:00+00:00", 2 * HOUR, PARIS, "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T00:59:59+00:00", 2 * HOUR, PARIS, "2026-03-28T23:00:00+00:00"),
        # 02:30 for the first and for the second time.
        ("2026-10-25T00:30:00+00:00", HOUR, PARIS, "2026-10-25T00:00:00+00:00"),
        ("2026-10-25T01:30:00+00:00", HOUR, PARIS, "2026-10-25T01:00:00+00:00"),
        # 02:15 for the second time; 01:30 was shown once, before the clock went back.
        ("2026-10-25T01:15:00+00:00", 3 * HOUR // 2, PARIS, "2026-10-24T23:30:00+00:00"),
        # Havana's clock goes back from 01:00 to 00:00: midnight is shown twice.
        ("2024-11-03T04:30:00+00:00", DAY, "America/Havana", "2024-11-03T04:00:00+00:00"),
        ("2024-11-03T05:30:00+00:00", DAY, "America/Havana", "2024-11-03T05:00:00+00:00"),
        # Beirut's goes from 00:00 to 01:00: that midnight is never shown.
        ("2024-03-31T12:00:00+00:00", DAY, "Asia/Beirut", "2024-03-30T22:00:00+00:00"),
        # St John's went back from 00:01 to 23:01 until 2011: the day before goes on, then midnight comes once more.
        ("2010-11-07T02:30:30+00:00", DAY, "America/St_Johns", "2010-11-07T02:30:00+00:00"),
        ("2010-11-07T02:31:00+00:00", DAY, "America/St_Johns", "2010-11-06T02:30:00+00:00"),
        ("2010-11-07T03:30:00+00:00", DAY, "America/St_Johns", "2010-11-07T03:30:00+00:00"),
        # Samoa left out 30 December 2011.
        ("2011-12-31T12:00:00+14:00", DAY, "Pacific/Apia", "2011-12-31T00:00:00+14:00"),
        ("2026-06-01T03:00:00+00:00", DAY, "Asia/Kathmandu", "2026-05-31T18:15:00+00:00"),
    ],
)
def test_tumbling_by_a_local_clock(time, length, zone, start):
    nanoseconds = lambda text: int(datetime.fromisoformat(text).timestamp()) * SECOND  # noqa: E731
    assert tumbling_start(nanoseconds(time), length, zone) == nanoseconds(start)
    assert tumbling_start(nanoseconds(time), length, "UTC") == nanoseconds(time) // length * length


def test_local_start_is_never_after_the_time_and_never_goes_back():
    for zone in (PARIS, "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"):
        for length in (DAY, 6 * HOUR, HOUR, HOUR // 4):
            start = instant("2026-03-25T00:00:00", zone)
            found = [tumbling_start(start + step * HOUR // 4, length, zone) for step in range(4 * 24 * 12)]
            assert all(begin <= start + step * HOUR // 4 for step, begin in enumerate(found))
            if length == DAY:
                assert found == sorted(found)


def test_tumbling_by_a_local_clock_chooses_events():
    midnight = instant("2026-07-15T00:00:00", PARIS) // SECOND
    events = numbered(midnight - 1, midnight, midnight + 7_200)
    assert inside(tumbling(86_400, timezone=PARIS), events) == [1.0, 2.0]
    assert inside(tumbling(86_400), events) == [2.0]


# --- Out of order ------------------------------------------------------------------------------------------------

LATENESS = {"stream": {"lateness_ns": 10 * SECOND}}
EMIT = {"stream": {"lateness_ns": 10 * SECOND, "on_late": "emit"}}


def test_event_takes_its_place_by_time_then_arrival():
    events = numbered(0, 20, 10, 20, 10)
    everything = {"kind": "all"}
    assert inside(everything, events[:3], **LATENESS) == [0.0, 2.0]  # its row is as of its own time
    assert inside(everything, events, **LATENESS) == [0.0, 2.0, 4.0]
    assert inside(everything, [*events, (20, 5.0)], **LATENESS) == [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]


def test_event_at_the_watermark_is_in_time_and_one_before_is_late():
    reference = Reference(features([{**PAYMENTS, **LATENESS["stream"]}], it=aggregate("count")))
    reference.push(payment((20, 1.0)))
    assert reference.push(payment((10, 1.0))) == {"it": 1}
    with pytest.raises(LateError) as caught:
        reference.push(payment((9, 1.0)))
    assert caught.value.behind_ticks == 11_000_000
    assert reference.push(payment((20, 1.0))) == {"it": 3}
    assert reference.ledger == [
        {"stream": "payments", "time": 9_000_000, "newest": 20_000_000, "late_seconds": 11.0, "action": "rejected"}
    ]


def test_late_row_is_of_what_a_row_at_the_watermark_sees():
    history = numbered(0, 5, 14, 20, 30)  # the watermark is 20
    late = [*history, (15, 9.0)]
    assert inside(rolling(12), late, **EMIT) == [2.0, 9.0]  # (3, 15], and of (8, 20] what is not after 15
    assert inside(rolling(20), late, **EMIT) == [1.0, 2.0, 9.0]  # at 20 the event at 0 has left
    assert inside(tumbling(10), late, **EMIT) == [9.0]  # at 20 a new one begins
    assert inside(last(3), late, **EMIT) == [2.0, 9.0]  # at 20 it would be the third after 14 and 20
    assert inside(last(2), late, **EMIT) == [9.0]
    assert inside(last(2), late, include_current=False, **EMIT) == [2.0]
    assert inside(session(6), late, **EMIT) == [2.0, 9.0]
    assert inside(session(5), late, **EMIT) == [9.0]  # from 20 back: the gap to 14 is too long
    assert inside(since(call("eq", X, constant(1.0))), late, **EMIT) == [1.0, 2.0, 9.0]
    assert inside(since(call("eq", X, constant(3.0))), late, **EMIT) == []
    assert inside(since(call("eq", X, constant(9.0))), late, **EMIT) == [9.0]
    # At 20 it begins at 14 or at 20; that it had begun before is not known any more.
    assert inside(since(call("ge", X, constant(1.0))), [*history, (13, 0.5)], **EMIT) == []
    assert inside(since(call("ge", X, constant(1.0))), [*history[:3], (25, 0.0), (14, 0.5)], **EMIT) == [2.0, 0.5]


def test_late_row_has_all_that_was_folded_and_nothing_at_or_after_the_watermark():
    late = [*numbered(0, 5, 14, 18, 20, 30), (15, 9.0)]
    assert inside({"kind": "all"}, late, **EMIT) == [0.0, 1.0, 2.0, 3.0, 9.0]
    assert inside(hopping(8, 4), late, **EMIT) == [2.0, 3.0, 9.0]  # floor(20 - 8, 4) = 12
    assert inside({"kind": "all"}, late, include_current=False, **EMIT) == [0.0, 1.0, 2.0, 3.0]
    assert inside({"kind": "all"}, late, ties="exclude", **EMIT) == [0.0, 1.0, 2.0, 3.0]


def test_late_row_changes_nothing_but_the_ledger():
    reference = Reference(features([{**PAYMENTS, **EMIT["stream"]}], it=aggregate("count", seconds=60)))
    reference.push(payment((20, 1.0)))
    assert reference.peek(payment((5, 1.0))) == {"it": 1}
    assert reference.ledger == []
    assert reference.push(payment((5, 1.0))) == {"it": 1}
    assert reference.push(payment((5, 1.0))) == {"it": 1}
    assert reference.push(payment((20, 1.0))) == {"it": 2}
    assert [(entry["late_seconds"], entry["action"]) for entry in reference.ledger] == [(15.0, "emitted")] * 2
    assert reference.late == {"payments": 2}


def test_streams_have_each_their_own_watermark():
    logins = stream("logins", field("user", "string"), lateness=5)
    reads = aggregate("count", stream="logins", keys=[{"name": "user", "expression": column("card")}])
    reference = Reference(features([{**PAYMENTS, "lateness_ns": SECOND}, logins], n=reads))
    reference.push({"ts": 100, "user": "c"}, "logins")
    assert reference.push(payment((50, 1.0)), "payments") == {"n": 0}
    reference.push({"ts": 95, "user": "c"}, "logins")
    assert reference.push(payment((97, 1.0)), "payments") == {"n": 1}
    with pytest.raises(LateError):
        reference.push({"ts": 94, "user": "c"}, "logins")
    with pytest.raises(LateError):
        reference.push(payment((95, 1.0)), "payments")


# --- Rows without an event -----------------------------------------------------------------------------------------


def test_lookup_is_a_row_without_an_event():
    made = features(
        [{**PAYMENTS, **LATENESS["stream"]}],
        n=aggregate("count", seconds=10),
        before=aggregate("lag", X, parameters=[1]),
        ago=aggregate("time_since_last"),
        others=aggregate("count", include_current=False),
        strictly=aggregate("count", ties="exclude"),
        whole=aggregate("count", keys=()),
        fresh=aggregate("is_first", X),
        x=X,
        card=column("card"),
    )
    reference = Reference(made)
    assert reference.lookup({"card": "c"}, at=5)["n"] == 0
    for event in numbered(0, 20, 15):
        reference.push(payment(event))
    million = 1_000_000
    assert reference.lookup({"card": "c"}, at=20 * million) == {
        **{"n": 2, "before": 1.0, "ago": 0.0, "others": 3, "strictly": 2, "whole": 3},
        **{"fresh": None, "x": None, "card": "c"},
    }
    assert reference.lookup({"card": "c"}, at=10 * million)["before"] == 0.0
    assert reference.lookup({"card": "c"}, at=29 * million)["n"] == 1
    assert reference.lookup({"card": "c"}, at=30 * million)["n"] == 0
    assert reference.lookup({"card": "d"}, at=30 * million)["ago"] is None
    assert reference.lookup({}, at=30 * million)["whole"] == 3
    with pytest.raises(TooFarBackError):
        reference.lookup({"card": "c"}, at=10 * million - 1)


# --- Reference data --------------------------------------------------------------------------------------------------

MERCHANTS = {
    "name": "shops",
    "key": "shop",
    "columns": [
        {"name": "shop", "type": "string"},
        {"name": "country", "type": "string"},
        {"name": "fee", "type": "float64"},
    ],
}


def test_reference_data_is_found_by_key_as_of_the_arrival():
    country = {"op": "lookup", "lookup": "shops", "key": column("text"), "column": "country"}
    fee = {**country, "column": "fee"}
    made = features([PAYMENTS], lookups=[MERCHANTS], country=country, fees=aggregate("sum", fee))
    reference = Reference(made, {"shops": [{"shop": "a", "country": "NL", "fee": 0.5}, {"shop": "b", "country": None}]})
    push = lambda ts, text: reference.push({"ts": ts, "card": "c", "text": text})  # noqa: E731
    assert push(0, "a") == {"country": "NL", "fees": 0.5}
    assert push(1, "b") == {"country": None, "fees": 0.5}
    assert push(2, "z") == {"country": None, "fees": 0.5}
    assert push(3, None) == {"country": None, "fees": 0.5}
    reference.replace_lookup("shops", [{"shop": "a", "country": "BE", "fee": 2.0}])
    assert push(4, "a") == {"country": "BE", "fees": 2.5}
    assert reference.types() == {"country": "string", "fees": "float64"}


def test_same_bits_is_told_apart_by_the_helper():
    assert not same([0.0], [-0.0])
    assert not same([1], [1.0])
