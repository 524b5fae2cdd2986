"""Increments from Python: what is new since the last checkpoint of a folder, while the engine goes on."""

import threading

import pytest
from fastfeat import CheckpointError, Engine, Lookup
from harness import row_bits
from killed_run import FEATURES, STREAM, events

EVENTS = list(events(600))


def pushed(engine, begin, end):
    return [row_bits(engine.push(event)) for event in EVENTS[begin:end]]


def test_a_chain_is_gone_on_from(tmp_path):
    engine, never = Engine(FEATURES), Engine(FEATURES)
    names = []
    for place in range(0, 500, 50):
        pushed(engine, place, place + 50)
        path = engine.checkpoint(tmp_path, offsets={"place": place + 50}, incremental=True)
        names.append(path.name)
        assert engine.stats()["journal_bytes"] < 50_000
        if place == 200:
            engine = Engine.restore(FEATURES, tmp_path)
            assert engine.offsets == {"place": 250}
    assert names == ["checkpoint-1.ff", *(f"checkpoint-1.{number}.ff" for number in range(1, 10))]
    pushed(never, 0, 500)
    assert pushed(Engine.restore(FEATURES, tmp_path), 500, 600) == pushed(never, 500, 600)
    # Any of them can be gone back to.
    earlier, never = Engine.restore(FEATURES, tmp_path / "checkpoint-1.3.ff"), Engine(FEATURES)
    assert earlier.offsets == {"place": 200}
    pushed(never, 0, 200)
    assert pushed(earlier, 200, 260) == pushed(never, 200, 260)


def test_increments_need_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match="increments go to a folder"):
        Engine(FEATURES).checkpoint(tmp_path / "state.ff", incremental=True)


def test_what_lookups_gave_is_in_the_increment(tmp_path):
    """A replay needs no rows of lookups: what came of them then is what counts."""
    import pyarrow
    from fastfeat import col, count

    def shops(risk):
        return Lookup("shops", pyarrow.table({"shop": ["a", "b"], "risk": risk}), key="shop")

    lookup = shops([0.5, 2.0])
    features = STREAM.features(
        risk=lookup["risk"].sum().over("card"), n=count().where(col("x") > lookup["risk"]).over("card")
    )
    engine = Engine(features)
    pushed(engine, 0, 50)
    engine.checkpoint(tmp_path, incremental=True)
    engine.set_lookup(shops([7.0, 9.0]))
    pushed(engine, 50, 100)
    engine.set_lookup(shops([1.0, 3.0]))
    assert engine.checkpoint(tmp_path, incremental=True).name == "checkpoint-1.1.ff"
    restored = Engine.restore(features, tmp_path, lookups=[shops([1.0, 3.0])])
    assert restored.stats()["lookups"] == engine.stats()["lookups"]
    assert pushed(restored, 100, 200) == pushed(engine, 100, 200)


def test_the_engine_takes_events_while_others_write(tmp_path):
    """One engine from several threads: a push waits for a full checkpoint, and goes on beside an increment."""
    engine, never = Engine(FEATURES), Engine(FEATURES)
    engine.checkpoint(tmp_path, incremental=True)
    failures, done = [], threading.Event()

    def write(incremental):
        try:
            while not done.is_set():
                engine.checkpoint(tmp_path, incremental=incremental, keep=2)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(incremental,)) for incremental in (True, True, False)]
    for thread in threads:
        thread.start()
    rows = pushed(engine, 0, 600)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows == pushed(never, 0, 600)
    engine.checkpoint(tmp_path, incremental=True)
    again = [{**event, "ts": event["ts"] + 5_000} for event in EVENTS[:50]]
    restored = Engine.restore(FEATURES, tmp_path)
    assert [row_bits(restored.push(event)) for event in again] == [row_bits(never.push(event)) for event in again]


def test_batches_are_in_the_increment(tmp_path):
    """Also those that are pushed table beside table."""
    import fastfeat as ff
    import pyarrow
    from fastfeat import Stream, col, count

    fields = {"ts": ff.Timestamp("us"), "card": ff.String(), "x": ff.Float64()}
    stream = Stream("payments", fields, time="ts")
    features = stream.features(n=count().over("card", "1s"), total=col("x").sum().over("card", "1s"))
    rows = 20_000
    table = pyarrow.table(
        {
            "ts": list(range(rows)),
            "card": [f"c-{row % 97}" for row in range(rows)],
            "x": [row / 7 for row in range(rows)],
        }
    )
    engine = Engine(features)
    engine.push_batch(table.slice(0, 6_000))
    engine.checkpoint(tmp_path, incremental=True)
    engine.push_batch(table.slice(6_000, 9_000))
    assert engine.checkpoint(tmp_path, incremental=True).name == "checkpoint-1.1.ff"
    restored = Engine.restore(features, tmp_path)
    answers = [pyarrow.table(each.push_batch(table.slice(15_000))) for each in (engine, restored)]
    assert answers[0].equals(answers[1])
