"""An engine that has gone on under another definition is as any other: batches, checkpoints, limits, more changes."""

from datetime import datetime, timedelta, timezone

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import CheckpointError, Engine, LateEvent, Lookup, Stream, col, count
from fastfeat.checkpoints import inspect_checkpoint
from harness import EPOCH, row_bits
from stored import FIXTURES, OFFSETS, PAYMENTS, stored_events, stored_features

NEVER = datetime.max.replace(tzinfo=timezone.utc)
X, SHOP = col("x"), col("shop")
SPEND = {"spend": X.sum().over("card", "1ms"), "kinds": SHOP.n_unique().over("card", "1ms")}
OLD = PAYMENTS.features(**SPEND, total=X.std().over("card"), top=SHOP.top_k(2).over("card"), n=count().over("shop"))
NEW = PAYMENTS.features(
    n=count().over("shop"),
    mean=X.mean().over("card", "500us"),
    later=X.max().over("card", "2ms"),
    **SPEND,
    shops=SHOP.mode().over("shop", "1ms"),
)


def event(place):
    shop = None if place % 11 == 0 else "sh" * (place % 5)
    return {"ts": 7 * place - place % 3 * 9, "card": f"c-{place % 4}", "shop": shop, "x": place / 8 % 5}


def pushed(engine, places):
    return [row_bits(engine.push(event(place))) for place in places]


def values(engine, place):
    return engine.push(event(place)).to_dict()


def at(us):
    return EPOCH + timedelta(microseconds=us)


def written(tmp_path, features=OLD, events=400, name="state.ff", **options):
    engine = Engine(features, **options)
    pushed(engine, range(events))
    return engine, engine.checkpoint(tmp_path / name)


def picked(rows, names):
    """Of each row the bits of some features."""
    found = []
    for typed, vector in rows:
        by_name = {each[0]: (each, bits) for each, bits in zip(typed, vector, strict=True)}
        found.append([by_name[name] for name in names])
    return found


# --- What it is then -------------------------------------------------------------------------------------------------


def test_since_when_features_are_complete(tmp_path):
    _, path = written(tmp_path)
    newest = max(event(place)["ts"] for place in range(400))
    engine = Engine.restore(NEW, path)
    assert engine.features_complete_since() == {
        "n": None,
        "mean": None,
        "later": at(newest + 2_000),
        "spend": None,
        "kinds": None,
        "shops": at(newest + 1_000),
    }
    assert set(Engine(OLD).features_complete_since().values()) == {None}
    assert set(Engine.restore(OLD, path).features_complete_since().values()) == {None}
    back = PAYMENTS.features(first=X.first().over("card"), last=X.min().over("card", ff.last(3)))
    assert Engine.restore(back, path).features_complete_since() == {"first": NEVER, "last": NEVER}


def test_nanoseconds_are_rounded_up(tmp_path):
    ticks = Stream("ticks", {"ts": ff.Timestamp("ns")}, time="ts")
    engine = Engine(ticks.features(n=count().over("1us")))
    engine.push({"ts": 1_001})
    path = engine.checkpoint(tmp_path / "state.ff")
    engine = Engine.restore(ticks.features(m=count().over("2us")), path)
    assert engine.features_complete_since() == {"m": at(4)}


def test_an_empty_checkpoint_has_nothing_to_miss(tmp_path):
    path = Engine(OLD).checkpoint(tmp_path / "state.ff")
    engine = Engine.restore(NEW, path)
    assert set(engine.features_complete_since().values()) == {None}
    assert pushed(engine, range(200)) == pushed(Engine(NEW), range(200))


def test_everything_may_be_new_and_everything_old_gone(tmp_path):
    old, path = written(tmp_path)
    new = PAYMENTS.features(other=X.min().over("shop", "1ms"), away=count().over("2ms"))
    engine = Engine.restore(new, path)
    assert engine.stats()["keys"] == 0
    assert engine.stats()["events"] == old.stats()["events"] == 400
    assert values(engine, 401) == {"other": event(401)["x"], "away": 1}
    with pytest.raises(LateEvent):
        engine.push({**event(0), "ts": 0})


def test_what_is_dropped_gives_its_memory_back(tmp_path):
    old, path = written(tmp_path, events=3_000)
    lean = Engine.restore(PAYMENTS.features(spend=SPEND["spend"]), path)
    alone = Engine(PAYMENTS.features(spend=SPEND["spend"]))
    pushed(alone, range(3_000))
    assert lean.stats()["state_bytes"] < 0.7 * old.stats()["state_bytes"]
    assert lean.stats()["state_bytes"] < 1.3 * alone.stats()["state_bytes"]


def test_texts_that_only_dropped_features_had_are_gone(tmp_path):
    _, path = written(tmp_path)
    engine = Engine.restore(PAYMENTS.features(spend=SPEND["spend"]), path)
    found = inspect_checkpoint(engine.checkpoint(tmp_path / "lean.ff"))
    assert found["chains"][0][0]["texts"] == 0


def test_counts_late_events_and_lookups_go_on(tmp_path):
    table = pyarrow.table({"id": ["sh", "shsh"], "fee": [1.5, 2.5]})
    shops = Lookup("shops", table, key="id")
    fee = shops.on(SHOP)["fee"].sum().over("card", "1ms")
    old, path = written(tmp_path, PAYMENTS.features(fee=fee, n=count().over("shop")))
    for place in (0, 1):
        with pytest.raises(LateEvent):
            old.push(event(place))
    path = old.checkpoint(path)
    engine = Engine.restore(PAYMENTS.features(fee=fee, more=shops.on(SHOP)["fee"].max().over("card", "1ms")), path)
    assert engine.late_events() == old.late_events()
    for name in ("events", "late", "streams", "lookups"):
        assert engine.stats()[name] == old.stats()[name], name
    assert picked(pushed(engine, range(400, 500)), ["fee"]) == picked(pushed(old, range(400, 500)), ["fee"])


def test_another_time_column_begins_with_another_clock(tmp_path):
    fields = {**PAYMENTS.fields, "sent": ff.Timestamp("us")}
    old, new = (Stream("payments", fields, time=time, lateness="20us") for time in ("ts", "sent"))
    engine = Engine(old.features(n=count().over("card", "1ms")))
    engine.push({**event(500), "sent": 5})
    path = engine.checkpoint(tmp_path / "state.ff")
    engine = Engine.restore(new.features(n=count().over("card", "1ms")), path, changed=["n"])
    assert engine.features_complete_since() == {"n": NEVER}
    assert engine.push({**event(500), "sent": 5}).to_dict() == {"n": 1}, "it is not late by the other clock"


def test_a_finer_clock_goes_on_where_the_coarser_stood(tmp_path):
    fields = {**PAYMENTS.fields, "sent": ff.Timestamp("ns", nullable=True)}
    old, path = written(tmp_path)
    new = Stream("payments", fields, time="ts", lateness="20us").features(spend=SPEND["spend"])
    engine = Engine.restore(new, path, changed="restart")
    assert engine.stats()["streams"] == old.stats()["streams"]
    assert engine.features_complete_since() == {
        "spend": old.stats()["streams"]["payments"]["newest"] + timedelta(milliseconds=1)
    }


# --- And goes on -----------------------------------------------------------------------------------------------------


def test_late_events_right_after_the_change_count(tmp_path):
    old, path = written(tmp_path)
    engine = Engine.restore(NEW, path)
    newest = old.stats()["streams"]["payments"]["newest"]
    late = {**event(1), "ts": (newest - EPOCH) // timedelta(microseconds=1) - 19}
    rows = [row_bits(each.push(late)) for each in (old, engine)]
    assert picked(rows[:1], SPEND) == picked(rows[1:], SPEND)
    rows = [row_bits(each.push({**late, "ts": late["ts"] + 5})) for each in (old, engine)]
    assert picked(rows[:1], SPEND) == picked(rows[1:], SPEND)


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_go_on(tmp_path, threads):
    features = PAYMENTS.features(**SPEND, n=count().over("shop", "1ms"), later=X.max().over("card", "2ms"))
    _, path = written(tmp_path, PAYMENTS.features(**SPEND, gone=count().over("shop", "2ms")))
    one, batch = Engine.restore(features, path), Engine.restore(features, path)
    events = [event(place) for place in range(400, 3_000)]
    table = pyarrow.Table.from_pylist(events)
    table = table.set_column(0, "ts", table["ts"].cast(pyarrow.timestamp("us")))
    assert table.num_rows == 2_600
    found = pyarrow.table(batch.push_batch(table, threads=threads)).to_pylist()
    assert found == [one.push(each).to_dict() for each in events]


def test_checkpoints_go_on(tmp_path):
    """The one after a change is full; it says since when features are complete; increments follow on it."""
    folder = tmp_path / "chain"
    folder.mkdir()
    old = Engine(OLD)
    pushed(old, range(200))
    old.checkpoint(folder, incremental=True)
    pushed(old, range(200, 300))
    assert old.checkpoint(folder, incremental=True).name == "checkpoint-1.1.ff"
    engine = Engine.restore(NEW, folder)
    never = pushed(engine, range(300, 350))
    assert picked(never, SPEND) == picked(pushed(old, range(300, 350)), SPEND)
    assert engine.checkpoint(folder, offsets=OFFSETS, incremental=True).name == "checkpoint-2.ff"
    pushed(engine, range(350, 400))
    assert engine.checkpoint(folder, offsets=OFFSETS, incremental=True).name == "checkpoint-2.1.ff"
    again = Engine.restore(NEW, folder)
    assert again.offsets == OFFSETS
    assert again.features_complete_since() == engine.features_complete_since()
    assert pushed(again, range(400, 500)) == pushed(engine, range(400, 500))
    assert engine._state() == again._state(), "both have come to the same state"
    found = inspect_checkpoint(folder, key={"card": "c-1"})
    tables = [each["name"] for each in found["chains"][0][0]["tables"]]
    assert "payments by card" in tables
    assert "payments by card since change 1" in tables
    # The way back: the old chain under the old features.
    assert set(Engine.restore(OLD, folder / "checkpoint-1.1.ff").features_complete_since().values()) == {None}


def test_a_second_change_goes_on_top(tmp_path):
    _, path = written(tmp_path)
    first = Engine.restore(NEW, path)
    rows = pushed(first, range(400, 700))
    path = first.checkpoint(tmp_path / "second.ff")
    since = first.features_complete_since()
    last = PAYMENTS.features(
        later=X.max().over("card", "2ms"),
        soon=X.min().over("card", "1ms"),
        longest=X.max().over("card", "4ms"),
        **SPEND,
    )
    second = Engine.restore(last, path)
    newest = second.stats()["streams"]["payments"]["newest"]
    assert second.features_complete_since() == {
        "later": since["later"],
        "soon": None,
        "longest": newest + timedelta(milliseconds=4),
        "spend": None,
        "kinds": None,
    }
    assert len(rows) == 300
    kept = ["later", *SPEND]
    assert picked(pushed(second, range(700, 900)), kept) == picked(pushed(first, range(700, 900)), kept)
    third = Engine.restore(last, second.checkpoint(tmp_path / "third.ff"))
    assert third.features_complete_since() == second.features_complete_since()
    assert pushed(third, range(900, 1_000)) == pushed(second, range(900, 1_000))


def test_what_a_change_began_may_be_all_there_is(tmp_path):
    """Features of the beginning are gone, and those of a change go on with their own state."""
    _, path = written(tmp_path)
    first = Engine.restore(NEW, path)
    pushed(first, range(400, 500))
    path = first.checkpoint(tmp_path / "first.ff")
    only = PAYMENTS.features(shops=SHOP.mode().over("shop", "1ms"))
    second = Engine.restore(only, path)
    assert second.features_complete_since() == {"shops": first.features_complete_since()["shops"]}
    assert picked(pushed(first, range(500, 600)), ["shops"]) == pushed_as(second, range(500, 600))


def pushed_as(engine, places):
    return picked(pushed(engine, places), list(engine.names))


def test_idle_keys_leave_as_before(tmp_path):
    features = {"total": X.sum().over("card"), "most": X.max().over("shop")}
    old, path = written(tmp_path, PAYMENTS.features(**features, n=count().over("shop", "100us")), idle_after="1ms")
    kept = PAYMENTS.features(total=features["total"], more=X.std().over("shop"))
    engine = Engine.restore(kept, path, idle_after="1ms")
    far = {**event(3), "ts": 10_000}
    assert engine.push(far)["total"] == old.push(far)["total"] == far["x"], "its card had been idle for too long"
    for place in range(300):
        near = {**event(place), "ts": 10_000 + 40 * place}
        assert engine.push(near)["total"] == old.push(near)["total"]
    assert engine.stats()["expired"] > 0


def test_what_was_forgotten_for_idleness_is_not_taken_for_all(tmp_path):
    """A window longer than `idle_after` saw less while an all-time feature of its key forgot idle keys."""
    features = {"long": count().over("card", "5ms"), "total": count().over("card")}
    _, path = written(tmp_path, PAYMENTS.features(**features), idle_after="1ms")
    long = PAYMENTS.features(long=features["long"])
    with pytest.raises(CheckpointError, match=r"`long` .*without that of the features that are gone"):
        Engine.restore(long, path, idle_after="1ms")
    both = PAYMENTS.features(**features, more=X.sum().over("card", "1ms"))
    assert Engine.restore(both, path, idle_after="1ms").features_complete_since()["long"] is None
    engine = Engine.restore(long, path, idle_after="1ms", changed=["long"])
    assert engine.features_complete_since()["long"] is not None
    assert values(engine, 400) == {"long": 1}


@pytest.mark.parametrize("on_limit", ["error", "evict_idle"])
def test_a_memory_limit_holds(tmp_path, on_limit):
    _, path = written(tmp_path)
    engine = Engine.restore(NEW, path, memory_limit="400kB", on_limit=on_limit)
    refused = 0
    for place in range(400, 3_000):
        try:
            engine.push({**event(place), "ts": 2_800 + place % 20, "card": f"c-{place}"})
        except ff.MemoryLimit:
            refused += 1
    stats = engine.stats()
    assert stats["state_bytes"] < 400_000
    assert (refused > 0) == (on_limit == "error")
    assert (stats["evicted"] > 0) == (on_limit == "evict_idle")


@pytest.mark.parametrize("name", ["state.ff", "chain"])
def test_keys_on_disk_are_carried(tmp_path, name):
    def many(place):
        return {**event(place), "card": f"c-{place * 7919 % 3_000}", "shop": f"s-{place % 700}", "ts": 2 * place}

    options = {"memory_limit": "900kB", "on_limit": "spill", "spill_path": tmp_path / "spilled"}
    kept = {**SPEND, "total": X.std().over("card")}
    old = PAYMENTS.features(**kept, n=count().over("shop"), top=SHOP.top_k(2).over("card"))
    new = PAYMENTS.features(**kept, n=count().over("shop"), later=X.max().over("card", "2ms"))
    engine, place = Engine(old), tmp_path / name
    incremental = {"incremental": True} if name == "chain" else {}
    if incremental:
        place.mkdir()
    for begin in (0, 4_000):
        for number in range(begin, begin + 4_000):
            engine.push(many(number))
        path = engine.checkpoint(place, **incremental)
    never, spilled = (Engine.restore(new, path, **each) for each in ({"memory_limit": "1GB"}, options))
    stats = spilled.stats()
    assert stats["spilled_keys"] > 1_000
    assert stats["state_bytes"] < 900_000 < never.stats()["state_bytes"]
    assert (stats["keys"], stats["events"]) == (never.stats()["keys"], never.stats()["events"])
    assert spilled.features_complete_since() == never.features_complete_since()
    for number in range(8_000, 11_000):
        assert row_bits(spilled.push(many(number))) == row_bits(never.push(many(number)))
    # Keys stand in a file in the order in which they were saved: compared are engines in memory.
    files = [each.checkpoint(tmp_path / f"{number}.ff") for number, each in enumerate((never, spilled))]
    again = [Engine.restore(new, file, memory_limit="1GB")._state() for file in files]
    assert again[0] == again[1]


def test_a_disk_that_does_not_take_what_is_carried_is_named(tmp_path):
    _, path = written(tmp_path)
    (tmp_path / "spilled").write_text("a file")
    options = {"memory_limit": "1MB", "on_limit": "spill", "spill_path": tmp_path / "spilled"}
    with pytest.raises(CheckpointError, match="cannot be used") as caught:
        Engine.restore(NEW, path, **options)
    assert caught.value.fault == "disk"


# --- Stored, and damaged -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", sorted(each.name for each in FIXTURES.iterdir()))
@pytest.mark.parametrize("name", ["state.ff", "chain"])
def test_stored_checkpoints_open_under_another_definition(version, name):
    whole = stored_features()
    logins = next(stream for stream in whole.streams if stream.name == "logins")
    new = PAYMENTS.features(
        mean=X.mean().over("card"),
        top=SHOP.top_k(2).over("card"),
        newest=SHOP.last_k(3).over("card"),
        shops=SHOP.max_by(X).over("card", "2ms"),
        logins=logins.count().over("1ms", user=col("card")),
    )
    engine, old = Engine.restore(new, FIXTURES / version / name), Engine.restore(whole, FIXTURES / version / name)
    assert [name for name, since in engine.features_complete_since().items() if since] == ["shops"]
    for stream, each in stored_events()[150:]:
        row, before = engine.push(each, stream=stream), old.push(each, stream=stream)
        if row is not None:
            kept = ["mean", "top", "newest", "logins"]
            assert picked([row_bits(row)], kept) == picked([row_bits(before)], kept)


def test_a_damaged_file_is_named_under_another_definition(tmp_path):
    _, path = written(tmp_path, events=60)
    changed = Engine.restore(NEW, path).checkpoint(tmp_path / "changed.ff")
    for file, features in ((path, NEW), (changed, NEW), (changed, OLD)):
        data = file.read_bytes()
        for place in range(0, len(data), 97):
            file.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
            with pytest.raises(CheckpointError):
                Engine.restore(features, file, changed="restart")
            file.write_bytes(data[:place])
            with pytest.raises(CheckpointError):
                Engine.restore(features, file, changed="restart")
        file.write_bytes(data)
        Engine.restore(features, file, changed="restart")
