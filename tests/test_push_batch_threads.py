"""push_batch on several threads: the same bits as on one, and as push."""

import random

import numpy
import pyarrow
import pytest
from fastfeat import Engine, Float64, Stream, String, Timestamp, col, count

PAYMENTS = Stream(
    "payments",
    {"ts": Timestamp("us"), "card": String(nullable=True), "shop": String(), "amount": Float64(nullable=True)},
    time="ts",
    lateness="2s",
)
AMOUNT = col("amount")
FEATURES = PAYMENTS.features(
    AMOUNT.agg("count", "sum", "mean", "std", "min", "max").over("card", "1m", "10m"),
    shops=col("shop").n_unique().over("card", "10m"),
    last_shop=col("shop").last().over("card", "10m"),
    previous=AMOUNT.lag(1).over("card"),
    large=count().where(AMOUNT > 500.0).over("shop", "1m"),
    share=AMOUNT / AMOUNT.sum().over("shop", "10m"),
)
ROWS = 12_000


# So many that the rows of a key are answered together.
MANY_ROWS = 70_000


def table(seed=1, count=ROWS):
    rng = random.Random(seed)
    now, rows = 1_700_000_000_000_000, []
    for _ in range(count):
        now += rng.randrange(200_000)
        rows.append(
            {
                "ts": now - (rng.randrange(2_000_000) if rng.random() < 0.1 else 0),
                "card": None if rng.random() < 0.01 else f"card {int(rng.paretovariate(0.7)) % 300}",
                "shop": f"shop {rng.randrange(20)}",
                "amount": None if rng.random() < 0.05 else round(rng.lognormvariate(3, 2), 2),
            }
        )
    return pyarrow.Table.from_pylist(rows)


def test_threads_change_no_bit():
    events = table()
    engines = [Engine(FEATURES) for _ in range(3)]
    alone, two, default = (
        engine.push_batch(events, threads=threads) for engine, threads in zip(engines, (1, 2, None), strict=True)
    )
    assert two.equals(alone)
    assert default.equals(alone)
    one_by_one = Engine(FEATURES)
    last = [one_by_one.push(event) for event in events.to_pylist()][-1]
    assert last.to_dict() == alone.slice(ROWS - 1).to_pylist()[0]
    sizes = {engine.stats()["state_bytes"] for engine in engines}
    assert max(sizes) < 1.2 * min(sizes), "the same state lies in about the same memory"
    later = {"ts": events["ts"][-1].as_py() + 1, "card": "card 1", "shop": "shop 1", "amount": 1.0}
    rows = [numpy.asarray(engine.push(later)).tobytes() for engine in [*engines, one_by_one]]
    assert len(set(rows)) == 1


def test_rows_of_a_key_together_change_no_bit():
    events = table(2, MANY_ROWS)
    slices = [events.slice(start, 5_000) for start in range(0, MANY_ROWS, 5_000)]
    apart = Engine(FEATURES)
    wanted = pyarrow.concat_tables([apart.push_batch(part, threads=1) for part in slices])
    for threads in (1, 2):
        together = Engine(FEATURES)
        assert together.push_batch(events, threads=threads).combine_chunks().equals(wanted.combine_chunks())
        counters = [{**engine.stats(), "state_bytes": 0} for engine in (together, apart)]
        assert counters[0] == counters[1]
    later = {"ts": events["ts"][-1].as_py() + 1, "card": "card 1", "shop": "shop 1", "amount": 1.0}
    assert numpy.asarray(together.push(later)).tobytes() == numpy.asarray(apart.push(later)).tobytes()


def test_no_thread_is_refused():
    with pytest.raises(ValueError, match="threads=0 leaves none to work"):
        Engine(FEATURES).push_batch(table(), threads=0)
