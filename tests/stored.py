"""The stored checkpoints of each format version, `tests/fixtures/checkpoints`: they have to open for ever.

`python tests/stored.py` writes those of this version anew, before it is released.
"""

import shutil
from pathlib import Path

import fastfeat as ff
from fastfeat import Engine, Stream, col, count

FIXTURES = Path(__file__).parent / "fixtures" / "checkpoints"
VERSION = "v4"
OFFSETS = {"payments": {"0": 12, "1": 7}, "logins": 3}
PAYMENTS = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(nullable=True), "x": ff.Float64(allow_nan=True)},
    time="ts",
    lateness="20us",
)
EVENTS = [
    {"ts": 100 + 7 * place - place % 3 * 9, "card": f"c-{place % 4}", "shop": "sh" * (place % 5), "x": place / 8}
    for place in range(200)
]


def stored_features():
    """Those of all stored checkpoints: they never change."""
    logins = Stream("logins", {"at": ff.Timestamp("us"), "user": ff.String()}, time="at")
    x, shop = col("x"), col("shop")
    return PAYMENTS.features(
        x.agg("count", "sum", "std", "min", "max", "skew", "slope", "n_unique").over("card", "1ms"),
        x.agg("sum", "var", "kurtosis", "max").over("card", ff.hopping("1ms", every="100us")),
        mean=x.mean().over("card"),
        median=x.median().over("card", "1ms"),
        near=x.approx_quantile(0.9).over("card"),
        unique=shop.n_unique().over("card"),
        about=shop.approx_n_unique().over("card"),
        top=shop.top_k(2).over("card"),
        best=shop.max_by(x).over("card"),
        newest=shop.last_k(3).over("card"),
        decayed=x.ewm_mean("1ms").over("card"),
        session=count().over("card", ff.session("20us")),
        since=x.sum().over("card", ff.since(x > 20)),
        logins=logins.count().over("1ms", user=col("card")),
    )


def stored_events():
    events = [("payments", {**event, "card": f"c-{place % 5 // 4}"}) for place, event in enumerate(EVENTS)]
    for place in range(0, 200, 10):
        events.insert(place, ("logins", {"at": 100 + 6 * place, "user": f"c-{place % 20 // 10}"}))
    return events


def write(folder):
    """A full checkpoint of 150 events, and a chain that comes to the same."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "chain").mkdir(parents=True)
    engine = Engine(stored_features())
    for place, (stream, event) in enumerate(stored_events()[:150], 1):
        engine.push(event, stream=stream)
        if place % 50 == 0:
            engine.checkpoint(folder / "chain", offsets=OFFSETS, incremental=True)
    engine.checkpoint(folder / "state.ff", offsets=OFFSETS)


if __name__ == "__main__":
    write(FIXTURES / VERSION)
