"""What an engine says that it holds, beside what its process really grew by: each work in a process of its own.

Memory that something else gave back would hide what the state takes. One thread pushes, small tables: what a table and
its rows take on their way, which the allocator keeps for the next, and the slack of other threads, is no state.
`make bench-memory` prints the works below, up to ten million keys, as a table and fails where one is off.
`python benches/growth.py '{"features": "cards_30", "keys": 1000000}'` prints the numbers of one as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

CHUNK = 2_000
DAY_US = 86_400_000_000
START_US = 1_700_000_000_000_000
MERCHANTS = 2_000


@dataclass(frozen=True)
class Work:
    """Payments of so many cards, `per_day` of each for so many days at times of chance; or, without it, one of each."""

    features: str
    keys: int
    per_day: float | None = None
    days: float = 7.0
    memory_limit: int | None = None
    on_limit: str = "error"

    def tables(self) -> Iterator:
        """The events in time order, a table of `CHUNK` at a time. What it takes itself, it takes before the first."""
        random = np.random.Generator(np.random.PCG64(1))
        events = self.keys if self.per_day is None else round(self.keys * self.per_day * self.days)
        if self.per_day is None:
            cards = times = None
        else:
            cards = random.integers(0, self.keys, events, np.int32)
            times = random.integers(0, round(self.days * DAY_US), events)
            times.sort()
        for start in range(0, events, CHUNK):
            stop = min(start + CHUNK, events)
            if cards is None:
                yield _table(np.arange(start, stop), START_US + 1_000 * np.arange(start, stop), random)
            else:
                yield _table(cards[start:stop], START_US + times[start:stop], random)


def _table(cards: np.ndarray, times: np.ndarray, random: np.random.Generator):
    import pyarrow as pa
    import pyarrow.compute as pc

    def texts(prefix: str, numbers: np.ndarray):
        return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers), pa.string()), "")

    return pa.table(
        {
            "ts": pa.array(times, pa.timestamp("us", tz="UTC")),
            "card": texts("c-", cards),
            "merchant": texts("m-", random.integers(0, MERCHANTS, len(cards))),
            "country": texts("k-", random.integers(0, 40, len(cards))),
            "amount": np.round(np.exp(random.normal(3.2, 1.1, len(cards))), 2),
            "declined": random.random(len(cards)) < 0.04,
        }
    )


def feature_set(name: str):
    """Features by the name of what they are made of."""
    import fastfeat as ff
    from fastfeat import col, count
    from workloads import cards_30, stream

    amount = col("amount")
    if name == "cards_30":
        return cards_30()
    if name == "all_time":
        return stream().features(amount.agg("count", "sum", "mean", "std", "min", "max").over("card"))
    if name == "hopping":
        return stream().features(amount.agg("count", "sum", "max").over("card", ff.hopping("7d", every="6h")))
    if name == "session":
        return stream().features(
            amount.agg("count", "sum").over("card", ff.session("30m")),
            declines=count().where(col("declined")).over("card", ff.session("30m")),
        )
    if name == "mixed":
        return stream().features(
            amount.agg("sum", "max").over("card"),
            amount.agg("sum", "max").over("card", ff.hopping("7d", every="6h")),
            amount.agg("count", "sum").over("card", ff.session("30m")),
        )
    raise ValueError(f"there are no features `{name}`")


def resident_bytes() -> int:
    """What the process holds of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _trimmed_bytes() -> int:
    """What the process holds when its allocator has given back what was freed, where state would come to lie unseen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
    return resident_bytes()


def probe(work: Work) -> dict:
    """Runs the work in this process and says what it took: `kept_bytes` is without what was freed, before and after."""
    import fastfeat as ff

    features = feature_set(work.features)
    # What the first calls bring along is no state; their engine stays, so that nothing it gives back hides what comes.
    warm, first = ff.Engine(features), list(islice(Work(work.features, 50 * CHUNK, 1.0, 1.0).tables(), 50))
    for table in first:
        warm.push_batch(table, threads=1)
    options = {} if work.memory_limit is None else {"memory_limit": work.memory_limit, "on_limit": work.on_limit}
    engine, refused, tables = ff.Engine(features, **options), 0, work.tables()
    table = next(tables)
    before, grown, highest = resident_bytes(), 0, 0
    bare = _trimmed_bytes()
    while table is not None:
        try:
            engine.push_batch(table, threads=1)
        except ff.MemoryLimit:
            refused += 1
        grown = resident_bytes() - before
        highest = max(highest, grown)
        table = next(tables, None)
    stats = engine.stats()
    names = ["keys", "state_bytes", "evicted", "refused", "expired", "events"]
    return {
        **{name: stats[name] for name in names},
        "grown_bytes": grown,
        "kept_bytes": _trimmed_bytes() - bare,
        "highest_bytes": highest,
        "tables_refused": refused,
    }


def measured(work: Work) -> dict:
    """What `probe` says in a fresh process."""
    here = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, __file__, json.dumps(asdict(work))],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent / "tests")])},
    )
    return json.loads(run.stdout)


MIB = 2**20
# What a process grows by beside its state, since its allocator likes to.
NOISE_BYTES = MIB
WORKS = [
    *(Work(features, 10_000, per_day=10.0) for features in ("all_time", "cards_30", "mixed")),
    *(Work(features, keys) for features in ("all_time", "cards_30", "mixed") for keys in (1_000_000, 10_000_000)),
    Work("cards_30", 1_000_000, per_day=1.0),
    Work("mixed", 1_000_000, per_day=1.0),
    *(
        Work(features, 10_000_000, memory_limit=256 * MIB, on_limit=on_limit)
        for features in ("all_time", "cards_30")
        for on_limit in ("error", "evict_idle")
    ),
]


def estimated(work: Work) -> int:
    """The bytes that `features.estimate` expects of such events."""
    assert work.per_day is not None
    keys: dict[str, int] = {"card": work.keys}
    rates = {"card": work.per_day}
    if work.features == "cards_30":
        keys["merchant"], rates["merchant"] = MERCHANTS, work.per_day * work.keys / MERCHANTS
    texts = MERCHANTS if work.features == "cards_30" else 0
    features = feature_set(work.features)
    found = features.estimate(
        keys=keys, events_per_key_per_day=rates, days=work.days, key_bytes=8, texts=texts, text_bytes=6
    )
    return found.bytes


def problems(work: Work, found: dict) -> list[str]:
    """What is not as it should be."""
    wrong = []
    if abs(found["grown_bytes"] - found["state_bytes"]) > 0.1 * found["state_bytes"] + NOISE_BYTES:
        wrong.append("`state_bytes` is more than 10 % off")
    if work.memory_limit is not None and found["highest_bytes"] > work.memory_limit + NOISE_BYTES:
        wrong.append("the process has passed the limit")
    if work.memory_limit is not None and not found["evicted"] + found["refused"]:
        wrong.append("the limit was never met")
    if work.per_day is not None and abs(estimated(work) - found["state_bytes"]) > 0.2 * found["state_bytes"]:
        wrong.append("the estimate is more than a fifth off")
    return wrong


def show_all() -> bool:
    """Prints a line for each work; false where one is not as it should be."""
    names = ["features", "events", "limit", "keys", "evicted", "`state_bytes`, MB", "a key", "process grew by, MB"]
    names += ["at most", "estimate"]
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}", flush=True)
    fits = True
    for work in WORKS:
        found = measured(work)
        share = found["grown_bytes"] / found["state_bytes"] - 1
        cells = [
            f"`{work.features}`",
            f"{found['events']:,}",
            "" if work.memory_limit is None else f"{work.memory_limit / 1e6:,.0f} MB, {work.on_limit}",
            f"{found['keys']:,}",
            "" if work.memory_limit is None else f"{found['evicted']:,}",
            f"{found['state_bytes'] / 1e6:,.1f}",
            f"{found['state_bytes'] / found['keys']:,.0f}",
            f"{found['grown_bytes'] / 1e6:,.1f} ({share:+.1%})",
            f"{found['highest_bytes'] / 1e6:,.1f}",
            "" if work.per_day is None else f"{estimated(work) / found['state_bytes'] - 1:+.1%}",
        ]
        wrong = problems(work, found)
        fits &= not wrong
        print(f"| {' | '.join(cells)} |{''.join(f' {each}!' for each in wrong)}", flush=True)
    return fits


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(0 if show_all() else 1)
    print(json.dumps(probe(Work(**json.loads(sys.argv[1])))))
