"""Features over more than one stream: read as of the row's time, written by the other stream's own events."""

import fastfeat as ff
import numpy
import pytest
from fastfeat import Engine, LateEvent, Stream, col, count
from harness import assert_equals_reference

PAYMENTS = Stream(
    "payments", {"ts": ff.Timestamp("s"), "customer": ff.String(nullable=True), "x": ff.Float64()}, time="ts"
)
LOGINS = Stream(
    "logins",
    {
        "at": ff.Timestamp("s"),
        "user": ff.String(nullable=True),
        "failed": ff.Boolean(default=False),
        "n": ff.Int64(default=0),
    },
    time="at",
)
USER = {"user": col("customer")}
FEATURES = PAYMENTS.features(
    logins=LOGINS.count().over("10s", **USER),
    last=LOGINS["n"].last().over(**USER),
    before=LOGINS["n"].lag(1).over(**USER),
    second=LOGINS["n"].lag(2).over(**USER),
    ago=LOGINS.time_since_last().over(**USER),
    failed_ago=LOGINS.time_since_last().where(LOGINS["failed"]).over(**USER),
    total=LOGINS["n"].sum().over("10s"),
    payments=count().over("customer", "10s"),
)


def login(at, n, user="u", failed=False):
    return ("logins", {"at": at, "user": user, "n": n, "failed": failed})


def pay(ts, customer="u"):
    return ("payments", {"ts": ts, "customer": customer, "x": 1.0})


def rows(*events, features=FEATURES):
    engine = Engine(features)
    assert_equals_reference(features, events)
    return [engine.push(event, stream=stream) for stream, event in events]


def test_event_of_a_stream_without_features_updates_and_gives_none():
    none, row = rows(login(0, 7), pay(1))
    assert none is None
    assert row["logins"] == 1
    assert row["last"] == 7


def test_login_newer_than_the_payment_is_not_seen():
    *_, row = rows(login(10, 1), login(30, 2), pay(20))
    assert row.to_dict() == {
        **{"logins": 0, "last": 1, "before": 1, "second": None, "ago": 10.0, "failed_ago": None},
        **{"total": 0.0, "payments": 1},
    }


def test_login_of_the_very_time_that_arrived_before_is_seen():
    *_, row = rows(login(20, 1), pay(20))
    assert row["logins"] == 1
    assert row["ago"] == 0.0


def test_login_of_the_very_time_that_arrives_after_is_not_seen_then():
    first, _, second = rows(pay(20), login(20, 1), pay(20))
    assert first["logins"] == 0
    assert second["logins"] == 1


def test_login_on_the_window_edge_is_out():
    *_, row = rows(login(10, 1), login(11, 2), pay(20))
    assert row["logins"] == 1
    assert row["total"] == 2.0


def test_many_newer_logins_hide_the_older_ones_from_nobody():
    """The history of the key is far ahead of the row, in both its shapes."""
    for ahead in (1, 5, 40, 200, 1_000):
        *_, row = rows(*(login(at, at) for at in range(15)), *(login(1_000 + at, at) for at in range(ahead)), pay(14))
        assert row["logins"] == 10
        assert row["last"] == 14
        assert row["second"] == 13
        assert row["total"] == float(sum(range(5, 15)))


def test_streams_have_each_their_own_newest_event():
    engine = Engine(FEATURES)
    engine.push(login(100, 1)[1], stream="logins")
    assert engine.push(pay(50)[1], stream="payments")["logins"] == 0
    with pytest.raises(LateEvent):
        engine.push(login(99, 1)[1], stream="logins")
    with pytest.raises(LateEvent):
        engine.push(pay(49)[1], stream="payments")


def test_a_payment_behind_the_logins_leaves_them_for_the_next():
    """Reading at an older time must not throw away what a later row still sees."""
    found = rows(login(10, 1), login(15, 2), pay(5), pay(15), pay(21), pay(26))
    assert [row["logins"] for row in found[2:]] == [0, 2, 1, 0]


def test_logins_far_ahead_expire_nothing_that_a_payment_still_sees():
    """A login at 1,000 has windows of its own time only in rows that old."""
    found = rows(login(10, 1), login(12, 2), login(1_000, 3), pay(15), login(1_001, 4), pay(21), pay(1_001))
    assert [found[place]["logins"] for place in (3, 5, 6)] == [2, 1, 2]


def test_null_key_of_either_side_is_no_key():
    found = rows(login(0, 1, user=None), pay(1, None), pay(1))
    assert found[1]["logins"] == 0
    assert found[1]["last"] is None
    assert found[1]["payments"] == 0
    assert found[1]["total"] == 1.0
    assert found[2]["logins"] == 0


def test_computed_key_of_the_reading_stream():
    by_number = PAYMENTS.features(n=LOGINS.count().over(n=(col("x") * 2).cast(ff.Int64())))
    *_, two, three = rows(
        login(0, 2),
        login(0, 2),
        ("payments", {"ts": 1, "x": 1.0}),
        ("payments", {"ts": 1, "x": 1.5}),
        features=by_number,
    )
    assert two["n"] == 2
    assert three["n"] == 0


def test_stream_that_no_feature_reads_is_taken_and_gives_none():
    engine = Engine(PAYMENTS.features(n=count().over()), streams=[PAYMENTS, LOGINS])
    assert engine.push(login(0, 1)[1], stream="logins") is None
    assert engine.push(pay(0)[1], stream="payments")["n"] == 1
    with pytest.raises(ff.InvalidEvent):
        engine.push({"at": 0, "n": "1"}, stream="logins")


def test_without_a_name_the_event_is_of_the_stream_of_the_features():
    assert Engine(FEATURES).push(pay(1)[1])["payments"] == 1


def test_unknown_stream_is_named():
    with pytest.raises((ff.FastfeatError, KeyError, ValueError), match="login"):
        Engine(FEATURES).push(pay(1)[1], stream="login")


def test_streams_in_units_of_their_own_share_one_time():
    slow = Stream("slow", {"at": ff.Timestamp("ns"), "user": ff.String()}, time="at")
    features = PAYMENTS.features(ago=slow.time_since_last().over(**USER), n=slow.count().over("1s", **USER))
    at = 1_000_000_001
    *_, row = rows(("slow", {"at": at, "user": "u"}), pay(2), features=features)
    assert row["ago"] == 0.999999999
    assert row["n"] == 1
    assert numpy.asarray(row).tolist() == [0.999999999, 1.0]
