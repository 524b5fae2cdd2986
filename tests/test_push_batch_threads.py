"""push_batch on several threads: the same bits as on one, and as push."""

import random

import numpy
import pyarrow
import pytest
from fastfeat import Boolean, Categorical, Engine, Float64, Int64, Stream, String, Timestamp, col, count

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


# Many chunks' worth, and slices of so few rows that these go one by one.
MANY_ROWS = 70_000
FEW_ROWS = 4_000


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
    slices = [events.slice(start, FEW_ROWS) for start in range(0, MANY_ROWS, FEW_ROWS)]
    apart = Engine(FEATURES)
    wanted = pyarrow.concat_tables([apart.push_batch(part, threads=1) for part in slices])
    for threads in (1, 2):
        together = Engine(FEATURES)
        assert together.push_batch(events, threads=threads).combine_chunks().equals(wanted.combine_chunks())
        counters = [{**engine.stats(), "state_bytes": 0} for engine in (together, apart)]
        assert counters[0] == counters[1]
    later = {"ts": events["ts"][-1].as_py() + 1, "card": "card 1", "shop": "shop 1", "amount": 1.0}
    assert numpy.asarray(together.push(later)).tobytes() == numpy.asarray(apart.push(later)).tobytes()


def test_columns_of_every_type_are_those_of_single_rows():
    stream = Stream(
        "payments",
        {
            "ts": Timestamp("us"),
            "card": String(),
            "amount": Float64(nullable=True),
            "items": Int64(nullable=True),
            "declined": Boolean(nullable=True),
            "tier": Categorical(["gold", "silver"], nullable=True),
        },
        time="ts",
    )
    features = stream.features(
        total=AMOUNT.sum().over("card", "1m"),
        items_last=col("items").last().over("card", "1m", include_current=False),
        declined_last=col("declined").lag(1).over("card"),
        tier_last=col("tier").last().over("card", "2m"),
        ts_last=col("ts").lag(2).over("card"),
        tier=col("tier"),
        ts=col("ts"),
        is_large=AMOUNT.mean().over("card", "5m") < AMOUNT,
        twice=col("items") * 2,
    )
    rng = random.Random(5)
    events = [
        {
            "ts": 1_700_000_000_000_000 + place * 1_000_000,
            "card": f"card {rng.randrange(40)}",
            "amount": rng.choice([None, round(rng.lognormvariate(3, 2), 2)]),
            "items": rng.choice([None, rng.randrange(-(2**62), 2**62) | 1]),
            "declined": rng.choice([None, True, False]),
            "tier": rng.choice([None, "gold", "silver"]),
        }
        for place in range(5_003)
    ]
    events = [{**event, "items": None if event["items"] is None else event["items"] // 2} for event in events]
    one_by_one = Engine(features)
    wanted = [one_by_one.push(event).to_dict() for event in events]
    schema = pyarrow.schema(
        {"ts": "int64", "card": "string", "amount": "double", "items": "int64", "declined": "bool", "tier": "string"}
    )
    whole = pyarrow.Table.from_pylist(events, schema=schema)
    for threads in (1, 2, 3):
        found = Engine(features).push_batch(whole, threads=threads)
        found.validate(full=True)
        assert found.to_pylist() == wanted
    pieces = pyarrow.concat_tables([whole.slice(0, 1_001), whole.slice(1_001)])
    assert Engine(features).push_batch(pieces, threads=2).to_pylist() == wanted


def test_columns_without_nulls_change_no_bit():
    events = table(3).drop_null()
    texts = pyarrow.table({name: events[name] for name in ("ts", "amount", "card")} | {"shop": events["shop"]})
    encoded = texts.set_column(3, "shop", texts["shop"].dictionary_encode())
    features = PAYMENTS.features(
        AMOUNT.agg("count", "sum", "mean", "std", "min", "max").over("card", "1m", "10m"),
        shops=col("shop").n_unique().over("card", "10m"),
        share=AMOUNT / AMOUNT.sum().over("shop", "10m"),
        both=count().over("card", "shop", "5m"),
    )
    one_by_one = Engine(features)
    wanted = [one_by_one.push(event).to_dict() for event in events.to_pylist()]
    for whole in (texts, encoded, pyarrow.concat_tables([texts.slice(0, 5_001), texts.slice(5_001)])):
        for threads in (1, 2, 3):
            engine = Engine(features)
            assert engine.push_batch(whole, threads=threads).to_pylist() == wanted
            assert {**engine.stats(), "state_bytes": 0} == {**one_by_one.stats(), "state_bytes": 0}


def test_no_thread_is_refused():
    with pytest.raises(ValueError, match="threads=0 leaves none to work"):
        Engine(FEATURES).push_batch(table(), threads=0)
