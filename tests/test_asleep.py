"""Keys of a large checkpoint sleep until something has to do with them: rows, counts and files are those of an engine
that was never stopped."""

import fastfeat as ff
import numpy as np
import pyarrow as pa
import pytest
from fastfeat import Engine, Stream, col, count
from harness import row_bits

CARDS = 40_000
SLEEPING_FROM_BYTES = 8 << 20
PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(), "amount": ff.Float64()},
    time="ts",
)


def features(*more):
    amount = col("amount")
    return PAYMENTS.features(
        amount.agg("count", "sum", "std", "max").over("card", "1h", "24h"),
        *more,
        shops=col("shop").n_unique().over("card", "24h"),
        previous=amount.lag(1).over("card"),
        at_the_shop=count().over("shop", "1h"),
    )


def table(start, stop):
    """Events of ever the same cards, one after the other, and of some shops."""
    places = np.arange(start, stop)
    return pa.table(
        {
            "ts": 1_700_000_000_000_000 + places * 20_000,
            "card": [f"card {place * 7 % CARDS}" for place in places],
            "shop": [f"shop {place % 400}" for place in places],
            "amount": (places % 9_973) / 8,
        }
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """An engine, and the path of its checkpoint, which is large enough."""
    engine = Engine(features())
    engine.push_batch(table(0, 12 * CARDS))
    path = engine.checkpoint(tmp_path_factory.mktemp("asleep") / "state.ff", offsets={"payments": 7})
    assert path.stat().st_size > SLEEPING_FROM_BYTES
    return engine, path


def asleep(engine):
    return engine.stats()["asleep_keys"]


def counted(engine):
    return {name: value for name, value in engine.stats().items() if name not in ("state_bytes", "asleep_keys")}


def test_keys_sleep_until_an_event_comes(stored):
    _, path = stored
    never, restored = Engine(features()), Engine.restore(features(), path)
    never.push_batch(table(0, 12 * CARDS))
    assert (asleep(never), asleep(restored), restored.offsets) == (0, restored.stats()["keys"], {"payments": 7})
    assert restored.stats()["state_bytes"] < 0.9 * never.stats()["state_bytes"]
    assert counted(restored) == counted(never)
    events = table(12 * CARDS, 12 * CARDS + 500).to_pylist()
    for event in events:
        assert row_bits(restored.push(event)) == row_bits(never.push(event))
    # A card and a shop of each event.
    assert asleep(restored) == restored.stats()["keys"] - 500 - 400
    rest = table(12 * CARDS + 500, 13 * CARDS)
    assert restored.push_batch(rest, threads=2).equals(never.push_batch(rest))
    assert asleep(restored) == 0
    assert restored._state() == never._state()
    assert counted(restored) == counted(never)


def test_a_checkpoint_of_keys_that_sleep_is_that_of_the_others(stored, tmp_path):
    engine, path = stored
    restored = Engine.restore(features(), path)
    restored.checkpoint(tmp_path / "again.ff", offsets={"payments": 7})
    assert asleep(restored) == restored.stats()["keys"]
    assert Engine.restore(features(), tmp_path / "again.ff")._state() == engine._state() == restored._state()


def test_increments_go_on_from_keys_that_sleep(stored, tmp_path):
    _, path = stored
    folder = tmp_path / "chain"
    folder.mkdir()
    one = Engine.restore(features(), path)
    one.checkpoint(folder, incremental=True)
    one.push_batch(table(12 * CARDS, 12 * CARDS + 3_000))
    one.checkpoint(folder, incremental=True)
    assert sorted(file.name for file in folder.glob("*.ff")) == ["checkpoint-1.1.ff", "checkpoint-1.ff"]
    other = Engine.restore(features(), folder)
    assert 0 < asleep(other) < other.stats()["keys"]
    assert other._state() == one._state()


def test_another_definition_goes_on_from_keys_that_sleep(stored):
    engine, path = stored
    new = features(col("amount").min().over("card", "1h").alias("smallest"))
    changed = Engine.restore(new, path)
    assert asleep(changed) == 0
    event = table(12 * CARDS, 12 * CARDS + 1).to_pylist()[0]
    wanted = engine.peek(event).to_dict()
    assert {name: value for name, value in changed.peek(event).to_dict().items() if name in wanted} == wanted


def test_questions_and_explanations_wake_keys(stored):
    engine, path = stored
    restored = Engine.restore(features(), path)
    at = engine.stats()["streams"]["payments"]["newest"]
    keys = {"card": "card 21", "shop": "shop 3"}
    assert row_bits(restored.lookup(keys, at=at)) == row_bits(engine.lookup(keys, at=at))
    assert str(restored.explain("shops", {"card": "card 28"}, at=at)) == str(
        engine.explain("shops", {"card": "card 28"}, at=at)
    )
    assert restored.stats()["keys"] - asleep(restored) == 3


def test_under_a_limit_no_key_sleeps(stored):
    engine, path = stored
    limited = Engine.restore(features(), path, memory_limit="1GB")
    assert asleep(limited) == 0
    assert limited.stats()["keys"] == engine.stats()["keys"]
