"""Out of order is exact: an event within the lateness is placed where it belongs; one beyond is late, and is told."""

import random
from datetime import datetime, timedelta, timezone

import fastfeat as ff
import pytest
from fastfeat import Engine, LateEvent, Stream, col, count
from harness import PAYMENTS, assert_equals_reference, payment, row_bits, sorted_by_time, with_lateness
from hypothesis import given, note
from hypothesis import strategies as st
from strategies import cases, long_cases
from strategies_events import WITHIN

TEN = with_lateness("10s")
EMIT = with_lateness("10s", "emit")


def counts(stream, times, *windows):
    engine = Engine(stream.features(it=count().over("card", *windows)))
    return [engine.push(payment((time, 1.0)))["it"] for time in times]


# --- Within the lateness -------------------------------------------------------------------------------------------


def test_its_own_row_is_as_of_its_own_time():
    assert counts(TEN, [0, 20, 10, 20], "15s") == [1, 1, 2, 3]
    assert counts(TEN, [0, 20, 10, 20]) == [1, 2, 2, 4]


def test_event_at_the_watermark_is_in_time_and_one_tick_before_is_late():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts", lateness="10us")
    engine = Engine(stream.features(n=count().over()))
    engine.push({"ts": 100})
    assert engine.push({"ts": 90})["n"] == 1
    with pytest.raises(LateEvent) as caught:
        engine.push({"ts": 89})
    assert caught.value.behind_us == 11
    assert caught.value.lateness_us == 10
    assert engine.push({"ts": 100})["n"] == 3


def test_among_equal_times_it_comes_after_those_that_came_before():
    engine = Engine(TEN.features(k=col("x").last_k(9).over("card"), before=col("x").lag(1).over("card")))
    for time, x in ((10, 1.0), (20, 2.0), (10, 3.0), (10, 4.0)):
        row = engine.push(payment((time, x)))
    assert row["k"] == [4.0, 3.0, 1.0]
    assert row["before"] == 3.0
    assert engine.push(payment((20, 5.0)))["k"] == [5.0, 2.0, 4.0, 3.0, 1.0]


def test_lateness_is_that_of_the_newest_not_of_the_last():
    assert counts(TEN, [20, 10, 12, 11, 10], "1h") == [1, 1, 2, 2, 2]


def test_event_of_a_key_that_has_gone_comes_back_in_order():
    events = [{"ts": 0, "card": "a"}, {"ts": 100, "card": "b"}, {"ts": 90, "card": "a"}, {"ts": 95, "card": "a"}]
    engine = Engine(TEN.features(n=count().over("card", "5s"), all=count().over("card")))
    rows = [engine.push(event) for event in events]
    assert [row["n"] for row in rows] == [1, 1, 1, 1]
    assert [row["all"] for row in rows] == [1, 1, 2, 3]


def test_window_shorter_than_the_lateness_keeps_what_events_in_time_may_see():
    assert counts(TEN, [0, 10, 1, 2, 10], "2s") == [1, 1, 2, 2, 2]


@given(cases(disorder=WITHIN), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_in_the_rows_of_time_order(case, random_):
    """The later events, here the last quarter, get the rows they would have got had all come in order of time."""
    note(case.features.to_json())
    assert_later_rows_do_not_depend_on_order(case)


@given(long_cases(disorder=WITHIN, max_size=700))
def test_any_order_of_arrival_ends_in_the_rows_of_time_order_in_long_histories(case):
    note(case.features.to_json())
    assert_later_rows_do_not_depend_on_order(case)


def assert_later_rows_do_not_depend_on_order(case):
    """Events that arrive after all that is older than they are, with only such events after them, see the same."""
    ordered = sorted_by_time(case)
    as_arrived, in_order = Engine(case.features), Engine(case.features)
    for name, event in case.events:
        as_arrived.push(event, stream=name)
    for name, event in ordered:
        in_order.push(event, stream=name)
    if not ordered or not any(name == case.features.stream.name for name, _ in ordered):
        return
    # Whatever comes next at or after the newest time, of any key that was there, has equal bits.
    newest = {name: event for name, event in ordered}
    stream = case.features.stream
    for name, event in ordered[-5:]:
        if name == stream.name:
            probe = {**event, stream.time: newest[name][stream.time]}
            assert row_bits(as_arrived.push(probe, stream=name)) == row_bits(in_order.push(probe, stream=name))


@pytest.mark.parametrize("lateness", [1, 7, 60])
def test_every_permutation_of_arrival_gives_the_same_lookups(lateness):
    stream = with_lateness(f"{lateness}s")
    kinds = ("count", "sum", "mean", "std", "min", "max", "first", "last", "n_unique", "median", "mode", "skew")
    features = stream.features(
        rolling=col("x").agg(*kinds).over("card", "10s"),
        session=col("x").agg("count", "sum", "first").over("card", ff.session("3s")),
        last=col("x").agg("count", "sum", "first").over("card", ff.last(20)),
        hopping=col("x").agg("count", "sum", "max", "first").over("card", ff.hopping("20s", every="5s")),
        all=col("x").agg("count", "sum", "min", "first", "last", "n_unique").over("card"),
        k=col("x").last_k(5).over("card"),
        trend=col("x").slope().over("card", "10s"),
        weighted=col("x").ewm_sum("5s").over("card"),
    )
    random_ = random.Random(lateness)
    events, time = [], 0
    for _ in range(300):
        time += random_.random() < 0.4
        events.append({"ts": time, "card": random_.choice("aab"), "x": random_.choice((0.1, 1e15, -1e15, 2.5, 1e300))})
    answers = set()
    for attempt in range(5):
        delays = {at: attempt and random_.randint(0, lateness) for at in range(time + 1)}
        engine = Engine(features)
        for event in sorted(events, key=lambda event: event["ts"] + delays[event["ts"]]):
            engine.push(event)
        asked = [(card, at) for card in "abz" for at in range(time - lateness, time + 25, 4)]
        answers.add(repr([row_bits(engine.lookup({"card": card}, at=at)) for card, at in asked]))
    assert len(answers) == 1


# --- Beyond it: rejected, or a row of what is still known ------------------------------------------------------------


def test_rejected_event_changes_nothing_but_the_ledger():
    engine, clean = (
        Engine(TEN.features(n=count().over("card", "1h"))),
        Engine(TEN.features(n=count().over("card", "1h"))),
    )
    for made in (engine, clean):
        made.push(payment((20, 1.0)))
    with pytest.raises(LateEvent):
        engine.push(payment((9, 1.0)))
    assert row_bits(engine.push(payment((20, 1.0)))) == row_bits(clean.push(payment((20, 1.0))))
    assert engine.stats()["late"] == 1
    assert clean.stats()["late"] == 0


def test_emitted_row_is_of_what_is_still_known_and_changes_nothing():
    features = EMIT.features(
        rolling=col("x").last_k(9).over("card", "12s"),
        long=col("x").last_k(9).over("card", "20s"),
        tumbling=col("x").last_k(9).over("card", ff.tumbling("10s")),
        hopping=col("x").sum().over("card", ff.hopping("8s", every="4s")),
        last=col("x").last_k(9).over("card", ff.last(2)),
        session=col("x").last_k(9).over("card", ff.session("6s")),
        broken=col("x").last_k(9).over("card", ff.session("5s")),
        since=col("x").last_k(9).over("card", ff.since(col("x") == 1.0)),
        all=col("x").sum().over("card"),
        before=col("x").sum().over("card", include_current=False),
    )
    engine = Engine(features)
    for place, time in enumerate((0, 5, 14, 20, 30)):  # the watermark is 20
        engine.push(payment((time, float(place))))
    late = payment((15, 9.0))
    expected = {
        "rolling": [9.0, 2.0],
        "long": [9.0, 2.0, 1.0],  # at 20 the event at 0 has left
        "tumbling": [9.0],
        "hopping": 11.0,
        "last": [9.0],  # at 20 it would be the second, after 20
        "session": [9.0, 2.0],
        "broken": [9.0],
        "since": [9.0, 2.0, 1.0],
        "all": 12.0,
        "before": 3.0,
    }
    for _ in range(2):
        assert engine.push(late).to_dict() == expected
        assert engine.peek(late).to_dict() == expected
    assert engine.push(payment((20, 0.0)))["all"] == 6.0
    assert engine.stats()["late"] == 2


@pytest.mark.parametrize("beside", [(), ("1d",), ("3s",)], ids=["alone", "with a longer log", "with a shorter one"])
def test_emitted_row_does_not_know_of_a_beginning_that_a_row_at_the_watermark_would_not_see(beside):
    """Whether the log still has it, for another window's sake or for none, does not show."""
    stream = Stream("s", {"ts": ff.Timestamp("s"), "b": ff.Boolean()}, time="ts", on_late="emit")
    others = {f"n{window}": count().over(window) for window in beside}
    engine = Engine(stream.features(it=count().over(ff.since(col("b"))), **others))
    found = [engine.push({"ts": ts, "b": b})["it"] for ts, b in ((0, True), (10, True), (5, False), (5, True))]
    assert found == [1, 1, 0, 1]


def test_emitted_row_of_a_key_never_seen():
    features = EMIT.features(n=count().over("card", "1h"), all=count().over("card"), sum=col("x").sum().over("card"))
    engine = Engine(features)
    engine.push({"ts": 100, "card": "a", "x": 1.0})
    keys = engine.stats()["keys"]
    assert engine.push({"ts": 5, "card": "b", "x": 2.0}).to_dict() == {"n": 1, "all": 1, "sum": 2.0}
    assert engine.stats()["keys"] == keys


def test_emitted_row_equals_the_reference_at_the_ends_of_time():
    stream = Stream("s", {"ts": ff.Timestamp("us")}, time="ts", lateness="1h", on_late="emit")
    features = stream.features(n=count().over("1d"), all=count().over(), ago=ff.time_since_last().over("1d"))
    times = ["9999-12-31T23:59:59.999999Z", "0001-01-01", "9999-12-31T22:59:59.999999Z", "9999-12-31T22:59:59.999998Z"]
    assert_equals_reference(features, [("s", {"ts": ts}) for ts in times])


# --- The ledger ------------------------------------------------------------------------------------------------------


def test_ledger_says_which_stream_when_how_late_and_what_was_done():
    for stream in (TEN, EMIT):
        engine = Engine(stream.features(n=count().over("card")))
        engine.push(payment((100, 1.0)))
        assert engine.late_events() == []
        for time in (89, 50):
            push_late(engine, payment((time, 1.0)))
        first, second = engine.late_events()
        assert (first.stream, first.emitted) == ("payments", stream is EMIT)
        assert [first.behind_us, second.behind_us] == [11_000_000, 50_000_000]
        assert (first.newest - first.time, second.newest - second.time) == (
            timedelta(seconds=11),
            timedelta(seconds=50),
        )
        assert first.newest == datetime(1970, 1, 1, 0, 1, 40, tzinfo=timezone.utc)
        assert engine.stats()["late"] == 2


def push_late(engine, event, stream=None):
    try:
        return engine.push(event) if stream is None else engine.push(event, stream=stream)
    except LateEvent:
        return None


@pytest.mark.parametrize(("options", "kept"), [({}, 1_000), ({"late_events_max": 3}, 3), ({"late_events_max": 0}, 0)])
def test_ledger_keeps_the_newest_and_the_counter_all(options, kept):
    engine = Engine(EMIT.features(n=count().over("card")), **options)
    engine.push(payment((10_000, 1.0)))
    for time in range(1_200):
        engine.push(payment((time, 1.0)))
    ledger = engine.late_events()
    assert [entry.behind_us for entry in ledger] == [(10_000 - time) * 10**6 for time in range(1_200 - kept, 1_200)]
    assert engine.stats()["late"] == 1_200


def test_peek_of_a_late_event_is_not_in_the_ledger():
    engine = Engine(EMIT.features(n=count().over("card")))
    engine.push(payment((100, 1.0)))
    assert engine.peek(payment((5, 1.0)))["n"] == 1
    assert engine.late_events() == []
    assert engine.stats()["late"] == 0


# --- Each stream has its own watermark -----------------------------------------------------------------------------

LOGINS = {"at": ff.Timestamp("s"), "card": ff.String(), "n": ff.Int64(default=0)}


def two_streams(payments_lateness, logins_lateness, on_late="reject"):
    payments = with_lateness(payments_lateness, on_late)
    logins = Stream("logins", LOGINS, time="at", lateness=logins_lateness, on_late=on_late)
    by_card = {"card": col("card")}
    return payments.features(
        n=logins.count().over("10s", **by_card),
        all=logins["n"].sum().over(**by_card),
        last=logins["n"].last().over(**by_card),
        session=logins.count().over(ff.session("3s"), **by_card),
        own=count().over("card", "10s"),
    )


def test_a_stream_ahead_makes_no_event_of_another_late():
    engine = Engine(two_streams("1s", "5s"))
    engine.push({"at": 100, "card": "c"}, stream="logins")
    assert engine.push(payment((50, 1.0)), stream="payments")["n"] == 0
    engine.push({"at": 95, "card": "c"}, stream="logins")
    assert engine.push(payment((97, 1.0)), stream="payments")["n"] == 1
    for event, stream in (({"at": 94, "card": "c"}, "logins"), (payment((95, 1.0)), "payments")):
        with pytest.raises(LateEvent) as caught:
            engine.push(event, stream=stream)
        assert caught.value.stream == stream
    assert [entry.stream for entry in engine.late_events()] == ["logins", "payments"]


@pytest.mark.parametrize("on_late", ["reject", "emit"])
@pytest.mark.parametrize(("one", "other"), [("0s", "9s"), ("9s", "0s"), ("3s", "12s"), ("0s", "0s")])
def test_streams_of_different_lateness_equal_the_reference(one, other, on_late):
    random_ = random.Random(one + other)
    events, newest = [], {"payments": 0, "logins": 0}
    for _ in range(500):
        name = random_.choice(("payments", "logins"))
        newest[name] = max(newest[name], random_.choice((newest[name], max(newest.values())))) + random_.choice(
            (0, 0, 1, 4)
        )
        time = max(newest[name] - random_.choice((0, 0, 1, 3, 9, 12, 13)), 0)
        card = random_.choice("aab")
        if name == "logins":
            events.append((name, {"at": time, "card": card, "n": random_.randrange(9)}))
        else:
            events.append((name, {"ts": time, "card": card, "x": 1.0}))
    assert_equals_reference(two_streams(one, other, on_late), events)


# --- Tables --------------------------------------------------------------------------------------------------------


def test_a_table_out_of_order_gives_the_rows_of_pushes():
    import pyarrow

    features = TEN.features(n=count().over("card", "15s"), k=col("x").last_k(3).over("card"))
    events = [payment((time, float(place))) for place, time in enumerate((0, 20, 10, 20, 11, 25, 15))]
    engine = Engine(features)
    rows = [engine.push(event).to_dict() for event in events]
    table = pyarrow.table(Engine(features).push_batch(pyarrow.Table.from_pylist(events)))
    assert table.to_pylist() == rows


def test_a_table_with_an_event_that_is_too_late_has_changed_nothing():
    import pyarrow

    events = [payment((time, 1.0)) for time in (0, 20, 10, 9)]
    engine = Engine(TEN.features(n=count().over("card")))
    with pytest.raises(LateEvent):
        engine.push_batch(pyarrow.Table.from_pylist(events))
    assert engine.push(payment((0, 1.0)))["n"] == 1
    emitting = pyarrow.table(
        Engine(EMIT.features(n=count().over("card"))).push_batch(pyarrow.Table.from_pylist(events))
    )
    assert emitting["n"].to_pylist() == [1, 2, 2, 2]


def test_without_lateness_equal_times_are_in_time():
    assert counts(PAYMENTS, [5, 5, 5]) == [1, 2, 3]
