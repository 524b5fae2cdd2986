"""`engine.lookup(keys, at=)`: a row without an event of its own; nothing changes."""

from datetime import datetime, timezone

import fastfeat as ff
import numpy
import pytest
from fastfeat import Engine, Stream, col, count
from harness import PAYMENTS, assert_row, definition, payment, row_bits, with_lateness
from hypothesis import given, note
from reference import Reference
from strategies import cases
from strategies_events import in_unit

X = col("x")


def engine_after(features, *events):
    engine = Engine(features)
    for event in events:
        engine.push(payment(event))
    return engine


def test_it_sees_the_events_up_to_its_time_and_that_time_included():
    engine = engine_after(PAYMENTS.features(n=count().over("card", "10s")), (0, 1.0), (5, 1.0), (5, 1.0))
    assert [engine.lookup({"card": "c"}, at=at)["n"] for at in (5, 9, 10, 14, 15, 10**9)] == [3, 3, 2, 2, 0, 0]


def test_it_is_no_event():
    engine = engine_after(PAYMENTS.features(n=count().over("card")), (0, 1.0))
    before = engine.stats()
    row = engine.lookup({"card": "c"}, at=7)
    assert type(row).__name__ == "Row"
    assert row["n"] == 1
    assert engine.lookup({"card": "new"}, at=7)["n"] == 0
    assert engine.stats() == before
    assert engine.push(payment((3, 1.0)))["n"] == 2


def test_before_the_watermark_it_is_refused_and_at_it_answered():
    for lateness, oldest in (("0s", 20), ("10s", 10)):
        engine = engine_after(with_lateness(lateness).features(n=count().over("card", "1h")), (0, 1.0), (20, 1.0))
        assert engine.lookup({"card": "c"}, at=oldest)["n"] == (2 if oldest == 20 else 1)
        with pytest.raises(ff.TooOld):
            engine.lookup({"card": "c"}, at=oldest - 1)


def test_without_events_any_time_is_answered():
    engine = Engine(PAYMENTS.features(n=count().over("card", "10s"), x=X.last().over("card")))
    for at in (-(10**9), 0, 10**9):
        assert engine.lookup({"card": "c"}, at=at).to_dict() == {"n": 0, "x": None}


def test_time_in_every_shape_an_event_may_carry_it():
    engine = engine_after(PAYMENTS.features(n=count().over("card", "10s")), (0, 1.0), (5, 1.0))
    for at in (10, "1970-01-01T00:00:10Z", datetime(1970, 1, 1, 0, 0, 10, tzinfo=timezone.utc)):
        assert engine.lookup({"card": "c"}, at=at)["n"] == 1


def test_what_looks_before_the_event_looks_at_the_newest():
    features = PAYMENTS.features(
        before=X.lag(1).over("card"),
        second=X.lag(2).over("card"),
        ago=ff.time_since_last().over("card"),
        first=X.is_first().over("card"),
        others=count().over("card", include_current=False),
        strictly=count().over("card", ties="exclude"),
    )
    engine = engine_after(features, (0, 1.0), (5, 2.0), (5, 3.0))
    assert engine.lookup({"card": "c"}, at=5).to_dict() == {
        **{"before": 3.0, "second": 2.0, "ago": 0.0, "first": None, "others": 3, "strictly": 1}
    }
    assert engine.lookup({"card": "c"}, at=9).to_dict() == {
        **{"before": 3.0, "second": 2.0, "ago": 4.0, "first": None, "others": 3, "strictly": 3}
    }


def test_what_is_made_of_fields_that_the_keys_do_not_give_is_null():
    features = PAYMENTS.features(
        own=col("card"),
        x=X,
        ratio=X / X.mean().over("card"),
        mean=X.mean().over("card"),
        pair=count().over("card", "text"),
        whole=count().over(),
        computed=count().over(large=X > 1.0),
    )
    engine = engine_after(features, (0, 1.0), (1, 3.0))
    assert engine.lookup({"card": "c"}, at=1).to_dict() == {
        **{"own": "c", "x": None, "ratio": None, "mean": 2.0, "pair": 0, "whole": 2, "computed": 0}
    }
    assert engine.lookup({}, at=1)["whole"] == 2
    assert engine.lookup({}, at=1)["mean"] is None
    assert engine.lookup({"card": "c", "x": 4.0}, at=1)["ratio"] == 2.0
    assert engine.lookup({"card": "c", "x": 4.0}, at=1)["computed"] == 1


def test_the_time_field_is_the_time_asked_for():
    engine = engine_after(PAYMENTS.features(age=col("ts") - col("ts").last().over("card")), (3, 1.0))
    assert engine.lookup({"card": "c"}, at=10)["age"] == 7.0


def test_every_window_ages_on_read():
    features = PAYMENTS.features(
        tumbling=count().over("card", ff.tumbling("10s")),
        hopping=count().over("card", ff.hopping("10s", every="5s")),
        session=count().over("card", ff.session("10s")),
        last=count().over("card", ff.last(2)),
        since=count().over("card", ff.since(X == 2.0)),
        offset=count().over("card", ff.rolling("10s", offset="10s")),
        rate=ff.rate().over("card", "10s"),
        weighted=X.ewm_sum("10s").over("card"),
    )
    engine = engine_after(features, (0, 1.0), (5, 2.0), (9, 4.0))
    names = ("tumbling", "hopping", "session", "last", "since", "offset")
    found = {at: [engine.lookup({"card": "c"}, at=at)[name] for name in names] for at in (9, 10, 19, 20, 30)}
    assert found == {
        **{9: [3, 3, 3, 2, 2, 0], 10: [0, 3, 3, 2, 2, 1], 19: [0, 2, 3, 2, 2, 3]},
        **{20: [0, 0, 0, 2, 2, 2], 30: [0, 0, 0, 2, 2, 0]},
    }
    assert engine.lookup({"card": "c"}, at=18)["rate"] == pytest.approx(0.1)
    assert engine.lookup({"card": "c"}, at=19)["weighted"] == pytest.approx(1 / 2**1.9 + 2 / 2**1.4 + 2)


def test_of_another_stream_by_the_reading_streams_field():
    logins = Stream("logins", {"at": ff.Timestamp("s"), "user": ff.String()}, time="at")
    engine = Engine(PAYMENTS.features(n=logins.count().over("10s", user=col("card"))))
    engine.push({"at": 100, "user": "c"}, stream="logins")
    assert engine.lookup({"card": "c"}, at=99)["n"] == 0  # payments have not begun: no watermark
    assert engine.lookup({"card": "c"}, at=100)["n"] == 1
    assert engine.lookup({"card": "c"}, at=110)["n"] == 0


@pytest.mark.parametrize("keys", [{"card": 5}, {"nothing": "c"}, {"x": "text"}, "c", None, {"card": object()}])
def test_keys_that_are_no_fields_or_have_other_types_are_refused(keys):
    engine = engine_after(PAYMENTS.features(n=count().over("card")), (0, 1.0))
    with pytest.raises((ff.FastfeatError, TypeError, KeyError)):
        engine.lookup(keys, at=1)
    assert engine.push(payment((0, 1.0)))["n"] == 2


@pytest.mark.parametrize("at", [1.5, "yesterday", 10**20, True])
def test_what_is_no_time_is_refused(at):
    engine = engine_after(PAYMENTS.features(n=count().over("card")), (0, 1.0))
    with pytest.raises((ff.FastfeatError, TypeError, ValueError, OverflowError)):
        engine.lookup({"card": "c"}, at=at)


def test_a_row_of_a_lookup_is_a_vector_too_and_outlives_what_follows():
    engine = engine_after(PAYMENTS.features(n=count().over("card"), x=X.mean().over("card", "10s")), (0, 1.0))
    row = engine.lookup({"card": "c"}, at=20)
    engine.push(payment((30, 5.0)))
    assert row.to_dict() == {"n": 1, "x": None}
    assert numpy.isnan(numpy.asarray(row)).tolist() == [False, True]


def test_lookups_between_pushes_change_no_row():
    features = PAYMENTS.features(
        sum=X.sum().over("card", "10s"),
        k=X.last_k(3).over("card"),
        h=X.max().over("card", ff.hopping("9s", every="3s")),
    )
    asked, alone = Engine(features), Engine(features)
    for place in range(300):
        event = payment((place // 3, float(place)))
        assert row_bits(asked.push(event)) == row_bits(alone.push(event))
        for ahead in (0, 5, 10**6):
            asked.lookup({"card": "c"}, at=place // 3 + ahead)


@given(cases(max_size=25))
def test_lookup_at_the_newest_event_equals_the_reference(case):
    note(case.features.to_json())
    engine, reference = Engine(case.features), Reference(definition(case.features), case.lookups)
    own = case.features.stream
    unit = own.fields[own.time].unit
    for name, event in case.events:
        engine.push(event, stream=name)
        moment = reference.accept(event, name)
        if name == own.name and moment.event.time == reference.newest(name):
            keys = {field: event[field] for field in ("card", "merchant", "user") if field in event}
            row = engine.lookup(keys, at=in_unit(reference.nanoseconds(moment.event.time), unit, "text"))
            assert_row(reference, reference.lookup_moment(keys, moment.event.time, name), row, f"lookup of {keys}")
