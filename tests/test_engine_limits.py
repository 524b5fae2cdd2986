"""What an engine is told beside its features: lateness and its ledger, the memory limit, idle keys."""

from datetime import datetime, timedelta, timezone

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import DefinitionError, Engine, LateEvent, LateRecord, MemoryLimit, Stream, count

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIELDS = {"ts": ff.Timestamp("s"), "card": ff.String()}


def made(on_late="reject", **options) -> Engine:
    stream = Stream("s", FIELDS, time="ts", lateness="10s", on_late=on_late)
    return Engine(stream.features(n=count().over("card"), recent=count().over("card", "60s")), **options)


def event(ts: int, card: str = "c") -> dict:
    return {"ts": ts, "card": card}


def record(ts: int, newest: int, *, emitted: bool) -> LateRecord:
    seconds = [EPOCH + timedelta(seconds=each) for each in (ts, newest)]
    return LateRecord("s", *seconds, (newest - ts) * 1_000_000, emitted)


def test_an_event_within_the_lateness_takes_its_place():
    engine = made()
    assert [engine.push(event(ts))["n"] for ts in (100, 90, 95)] == [1, 1, 2]
    assert engine.push(event(100))["n"] == 4
    assert engine.late_events() == []


def test_a_late_event_is_refused_counted_and_listed():
    engine = made()
    engine.push(event(100))
    with pytest.raises(LateEvent, match="11000000 us older than the newest") as caught:
        engine.push(event(89))
    assert (caught.value.behind_us, caught.value.lateness_us) == (11_000_000, 10_000_000)
    assert engine.late_events() == [record(89, 100, emitted=False)]
    assert engine.stats()["late"] == 1
    assert engine.push(event(100))["n"] == 2


def test_a_late_event_gets_a_row_where_the_stream_emits():
    engine = made(on_late="emit")
    engine.push(event(100))
    assert engine.push(event(5))["n"] == 1
    assert engine.late_events() == [record(5, 100, emitted=True)]
    assert engine.push(event(100))["n"] == 2


def test_the_newest_late_events_are_listed():
    engine = made(on_late="emit", late_events_max=2)
    for ts in (100, 1, 2, 3):
        engine.push(event(ts))
    assert engine.late_events() == [record(ts, 100, emitted=True) for ts in (2, 3)]
    assert made(late_events_max=0).late_events() == []


def table(*times: int) -> pyarrow.Table:
    return pyarrow.table({"ts": list(times), "card": ["c"] * len(times)})


def test_a_table_may_be_out_of_order_within_the_lateness():
    answer = pyarrow.table(made().push_batch(table(100, 90, 95)))
    assert answer.column("n").to_pylist() == [1, 1, 2]


def test_a_table_with_a_late_row_is_refused_whole_and_listed_once():
    engine = made()
    with pytest.raises(LateEvent, match="row 2: ") as caught:
        engine.push_batch(table(100, 101, 90, 1))
    assert (caught.value.behind_us, caught.value.lateness_us) == (11_000_000, 10_000_000)
    assert (engine.stats()["late"], engine.stats()["events"]) == (1, 0)
    assert engine.late_events() == [record(90, 101, emitted=False)]
    assert engine.push(event(1))["n"] == 1


def test_a_table_with_a_late_row_gets_a_row_for_it_where_the_stream_emits():
    engine = made(on_late="emit")
    assert pyarrow.table(engine.push_batch(table(100, 1, 100))).column("n").to_pylist() == [1, 1, 2]
    assert engine.late_events() == [record(1, 100, emitted=True)]


def test_at_the_memory_limit_a_new_key_is_refused_and_an_old_one_is_not():
    engine = made(memory_limit="1MB")

    def fill():
        for number in range(100_000):
            engine.push(event(number, f"c-{number}"))

    with pytest.raises(MemoryLimit, match="memory_limit") as caught:
        fill()
    error = caught.value
    assert (error.stream, error.limit_bytes) == ("s", 1_000_000)
    assert 0.5 * error.limit_bytes < error.state_bytes <= error.limit_bytes
    stats = engine.stats()
    assert (stats["refused"], stats["evicted"]) == (1, 0)
    kept = stats["events"] - 1
    assert engine.push(event(stats["events"], f"c-{kept}"))["n"] == 2


def test_at_the_memory_limit_idle_keys_make_room_where_it_is_asked_for():
    engine = made(memory_limit=1_000_000, on_limit="evict_idle")
    for number in range(20_000):
        engine.push(event(number, f"c-{number}"))
    stats = engine.stats()
    assert (stats["refused"], stats["events"]) == (0, 20_000)
    assert stats["evicted"] > 0
    assert stats["state_bytes"] <= 1_000_000
    assert engine.push(event(20_000, "c-19999"))["n"] == 2
    assert engine.push(event(20_000, "c-0"))["n"] == 1


def test_an_idle_key_is_let_go():
    engine = made(idle_after="100s")
    engine.push(event(0, "old"))
    for ts in range(1, 2_000):
        engine.push(event(ts))
    assert engine.stats()["keys"] == 1
    assert engine.push(event(2_000, "old"))["n"] == 1
    forever = made()
    forever.push(event(0, "old"))
    forever.push(event(2_000))
    assert forever.push(event(2_000, "old"))["n"] == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"memory_limit": "2G"}, "memory_limit '2G' is no amount of memory; write a number of bytes"),
        (
            {"on_limit": "evict"},
            "on_limit is 'evict'; did you mean `evict_idle`? write `error`, `evict_idle` or `spill`",
        ),
        ({"on_limit": None}, "on_limit is None"),
        ({"idle_after": "90"}, "idle_after `90` is not a duration; write `90d`"),
        ({"idle_after": "0s"}, "idle_after `0s` is not positive"),
        ({"late_events_max": -1}, "late_events_max is -1; write a whole number from 0 to"),
        ({"late_events_max": True}, "late_events_max is True"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict, told: str):
    with pytest.raises(DefinitionError) as caught:
        made(**options)
    assert told in str(caught.value)
