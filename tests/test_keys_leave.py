"""Keys leave by themselves when nothing can see them any more, are counted, and give their memory back."""

import fastfeat as ff
import pytest
from fastfeat import Engine, MemoryLimit, Stream, col, count

STREAM = Stream("s", {"ts": ff.Timestamp("s"), "card": ff.String(), "x": ff.Float64(), "note": ff.String()}, time="ts")
X, CARD = col("x"), "card"
KEYS = 20_000
WINDOWS = {
    "rolling": {"spend": X.sum().over(CARD, "60s"), "notes": col("note").n_unique().over(CARD, "30s")},
    "tumbling": {"spend": X.sum().over(CARD, ff.tumbling("60s"))},
    "hopping": {"spend": X.sum().over(CARD, ff.hopping("60s", every="10s"))},
    "session": {"spend": X.sum().over(CARD, ff.session("60s"))},
}


def flood(engine, keys=KEYS, events=3):
    """Some events of each key within a second."""
    for number in range(keys * events):
        key = number % keys
        engine.push({"ts": number // keys, "card": f"c-{key}", "x": 1.0, "note": f"note {key} {number}" * 3})


def alone(engine, seconds):
    """Time goes on, with one key."""
    for second in seconds:
        for _ in range(8):
            engine.push({"ts": second, "card": "alone", "x": 1.0, "note": "the same"})


@pytest.mark.parametrize("window", WINDOWS)
def test_keys_leave_as_time_goes_on(window):
    engine = Engine(STREAM.features(**WINDOWS[window]))
    flood(engine)
    full = engine.stats()
    assert (full["keys"], full["expired"]) == (KEYS, 0)
    alone(engine, range(10, 40))
    assert engine.stats()["keys"] == KEYS + 1, "they are seen still"
    alone(engine, range(200, 200 + KEYS // 16))
    empty = engine.stats()
    assert (empty["keys"], empty["expired"]) == (1, KEYS)
    assert empty["state_bytes"] < full["state_bytes"] / 2
    assert engine.push({"ts": 10_000, "card": "c-1", "x": 5.0, "note": ""})["spend"] == 5.0


def test_keys_of_all_time_leave_when_they_have_been_idle():
    features = STREAM.features(spend=X.sum().over(CARD), notes=col("note").n_unique().over(CARD))
    forever, engine = Engine(features), Engine(features, idle_after="100s")
    for each in (forever, engine):
        flood(each)
        alone(each, range(300, 300 + KEYS // 16))
    assert (forever.stats()["keys"], forever.stats()["expired"]) == (KEYS + 1, 0)
    assert (engine.stats()["keys"], engine.stats()["expired"]) == (1, KEYS)
    assert engine.stats()["state_bytes"] < forever.stats()["state_bytes"] / 2
    event = {"ts": 10_000, "card": "c-1", "x": 5.0, "note": ""}
    assert (engine.push(event)["spend"], forever.push(event)["spend"]) == (5.0, 8.0)


def test_a_key_that_has_had_events_meanwhile_stays():
    engine = Engine(STREAM.features(n=count().over(CARD, "60s")))
    flood(engine, keys=100, events=1)
    for second in range(0, 600, 5):
        for key in range(50):
            engine.push({"ts": second, "card": f"c-{key}", "x": 1.0, "note": ""})
    assert engine.stats()["keys"] == 50
    assert engine.push({"ts": 600, "card": "c-7", "x": 1.0, "note": ""})["n"] == 12


def test_at_the_limit_the_error_names_it_and_the_way_out_and_old_keys_go_on():
    engine = Engine(STREAM.features(n=count().over(CARD)), memory_limit="2MiB")
    with pytest.raises(MemoryLimit, match=r"2097152.*memory_limit|memory_limit.*2097152") as caught:
        flood(engine, keys=200_000, events=1)
    assert "evict_idle" in str(caught.value)
    before = engine.stats()
    for key in range(0, 1_000):
        assert engine.push({"ts": 1, "card": f"c-{key}", "x": 1.0, "note": ""})["n"] == 2
    with pytest.raises(MemoryLimit):
        engine.push({"ts": 1, "card": "another", "x": 1.0, "note": ""})
    after = engine.stats()
    assert (after["keys"], after["refused"]) == (before["keys"], before["refused"] + 1)
    assert after["state_bytes"] <= 2 * 2**20


def test_at_the_limit_the_longest_idle_go_and_busy_ones_stay():
    engine = Engine(STREAM.features(n=count().over(CARD)), memory_limit="2MiB", on_limit="evict_idle")
    for number in range(200_000):
        engine.push({"ts": number, "card": f"c-{number}", "x": 1.0, "note": ""})
        if number % 100 == 0:
            n = engine.push({"ts": number, "card": "regular", "x": 1.0, "note": ""})["n"]
            assert n == number // 100 + 1, "the one that comes again and again was let go"
    stats = engine.stats()
    assert stats["keys"] + stats["evicted"] == 200_001
    assert stats["keys"] > 5_000
    assert stats["state_bytes"] <= 2 * 2**20


@pytest.mark.parametrize("step_s", [0, 1, 100])
def test_those_that_go_came_before_all_that_stay(step_s):
    """Also where all come at one instant: then what counts is the order in which they came."""
    features = STREAM.features(spend=X.sum().over(CARD, "90d"), n=count().over("note", "1h"))
    engine = Engine(features, memory_limit="3MiB", on_limit="evict_idle")
    keys = 60_000
    for number in range(keys):
        engine.push({"ts": number * step_s, "card": f"c-{number}", "x": 1.0, "note": f"{number % 100}"})
    evicted = engine.stats()["evicted"]
    assert evicted > keys / 10
    at = (keys - 1) * step_s

    def is_there(number):
        return engine.lookup({"card": f"c-{number}", "note": "0"}, at=at)["spend"] == 1.0

    there = [is_there(number) for number in range(keys)]
    wrong = 500
    assert not any(there[: evicted - wrong]), "one that came early is there still"
    assert all(there[evicted + wrong :]), "one that came late is gone"


def test_where_known_keys_grow_idle_ones_make_room():
    features = STREAM.features(top=X.max().over(CARD, "100000s"))
    engine = Engine(features, memory_limit="3MiB", on_limit="evict_idle")
    flood(engine, keys=30_000, events=1)
    kept = engine.stats()["keys"]
    assert engine.stats()["evicted"] == 0
    for number in range(100_000):
        engine.push({"ts": 1 + number // 10, "card": "busy", "x": 1.0, "note": ""})
    stats = engine.stats()
    assert stats["keys"] < kept
    assert stats["evicted"] == kept + 1 - stats["keys"]
    assert stats["state_bytes"] <= 3 * 2**20
    assert engine.push({"ts": 10_001, "card": "busy", "x": 0.5, "note": ""})["top"] == 1.0, "the busy one stays"
