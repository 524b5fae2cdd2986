"""A run that may be killed at any instant: it goes on from the folder's checkpoint, and writes down every row.

`python killed_run.py FOLDER ROWS EVENTS`: pushes the events from where the checkpoint stands, an increment every few
events, a full one now and then, and appends to ROWS a line per event: its place and a hash of its row.
"""

import hashlib
import os
import random
import sys
from pathlib import Path

import fastfeat as ff
from fastfeat import Engine, Stream, col, count

STREAM = Stream(
    "payments",
    {"ts": ff.Timestamp("us"), "card": ff.String(), "shop": ff.String(nullable=True), "x": ff.Float64(allow_nan=True)},
    time="ts",
    lateness="20us",
    on_late="emit",
)
FEATURES = STREAM.features(
    col("x").agg("count", "sum", "std", "min", "max", "median").over("card", "1ms"),
    total=col("x").sum().over("card"),
    decayed=col("x").ewm_mean("1ms").over("card"),
    spread=col("x").std().over("card", ff.hopping("1ms", every="100us")),
    shops=col("shop").top_k(2).over("card"),
    unique=col("shop").n_unique().over("card", "2ms"),
    session=count().over("card", ff.session("20us")),
    last=col("shop").last().over("card", ff.last(5)),
)
EVERY = 13


def events(number):
    """The same ones at every call; some come late."""
    chosen = random.Random(17)
    for place in range(number):
        behind = chosen.choice([0, 0, 0, 5, 15, 40])
        yield {
            "ts": 1_000 + 7 * place - behind,
            "card": f"c-{chosen.randrange(6)}",
            "shop": chosen.choice([None, "a", "b", "c", "d" * 9]),
            "x": chosen.choice([chosen.random() * 100, 1e300, -0.0, float("inf"), 0.1]),
        }


def row_hash(row):
    return hashlib.blake2b(repr(list(row.to_dict().items())).encode(), digest_size=12).hexdigest()


def run(folder, rows, number):
    engine = Engine.restore(FEATURES, folder) if (folder / "manifest.json").exists() else Engine(FEATURES)
    begin = engine.offsets.get("place", 0)
    with rows.open("ab", buffering=0) as out:
        out.write(f"begin {begin}\n".encode())
        for place, event in enumerate(events(number)):
            if place < begin:
                continue
            out.write(f"{place} {row_hash(engine.push(event))}\n".encode())
            if place % EVERY == 0:
                engine.checkpoint(folder, offsets={"place": place + 1}, incremental=place % (EVERY * 10) != 0, keep=2)
    out_of = os.open(folder / "done", os.O_CREAT | os.O_WRONLY)
    os.close(out_of)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
