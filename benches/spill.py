"""State four times the limit on memory: what an event costs where keys come and go, beside an engine that holds all.


`make bench-spill` prints the table; `python benches/spill.py EVENTS CARDS EXPONENT` does it with other numbers. Every
row of the one is compared with that of the other. The cards are drawn evenly (exponent 0), which is the worst there
is: of four events three meet a card that is on disk.
"""

from __future__ import annotations

import sys
import tempfile
from time import perf_counter_ns

import numpy as np
import workloads
from fastfeat import Engine

TIMES_THE_LIMIT = 4
WARM_SHARE = 2


def main(events: int, cards: int, exponent: float) -> None:
    payments = workloads.cards(events, keys=cards, exponent=exponent).dicts()
    features = workloads.cards_30()
    never = Engine(features, memory_limit="1TB")
    wanted, plain_ns = timed(never, payments)
    limit = never.stats()["state_bytes"] // TIMES_THE_LIMIT
    with tempfile.TemporaryDirectory(dir=".") as folder:
        engine = Engine(features, memory_limit=limit, on_limit="spill", spill_path=folder)
        rows, spilled_ns = timed(engine, payments)
        assert all(row == want for row, want in zip(rows, wanted, strict=True)), "rows differ"
        stats = engine.stats()
        assert stats["state_bytes"] <= limit, stats
        # Once more, told apart by what the event did: the looks between events are not timed.
        del engine
        engine = Engine(features, memory_limit=limit, on_limit="spill", spill_path=folder)
        kinds: dict[str, list[int]] = {"in memory": [], "from disk": [], "with a batch written": []}
        for place, payment in enumerate(payments):
            before = engine.stats()["spilled_keys"]
            begin = perf_counter_ns()
            engine.push(payment)
            took = perf_counter_ns() - begin
            after = engine.stats()["spilled_keys"]
            if place >= len(payments) // WARM_SHARE:
                kind = "in memory" if after == before else "from disk" if after < before else "with a batch written"
                kinds[kind].append(took)
    held, disk, file = (stats[name] / 1e6 for name in ("state_bytes", "spilled_bytes", "spill_file_bytes"))
    state = never.stats()["state_bytes"] / 1e6
    print(f"{events:,} events of {cards:,} cards (Zipf {exponent}): {state:,.0f} MB of state;")
    print(f"limit {limit / 1e6:,.0f} MB, {held:,.0f} MB in memory; {stats['spilled_keys']:,} keys on disk,")
    print(f"{disk:,.0f} MB of them in {file:,.0f} MB\n")
    print("| engine | share of events | p50, us | p99 | p99.9 | max | events/s |")
    print("|---|---|---|---|---|---|---|")
    half = len(payments) // WARM_SHARE
    show("all in memory", plain_ns[half:], 1.0)
    show("a quarter in memory", spilled_ns[half:], 1.0)
    for kind, took in kinds.items():
        show(f"... {kind}", np.array(took), len(took) / (len(payments) - half))


def timed(engine: Engine, payments: list) -> tuple[list[bytes], np.ndarray]:
    rows, took = [], np.empty(len(payments), np.int64)
    for place, payment in enumerate(payments):
        begin = perf_counter_ns()
        row = engine.push(payment)
        took[place] = perf_counter_ns() - begin
        rows.append(hash(bytes(memoryview(row))))
    return rows, took


def show(name: str, took: np.ndarray, share: float) -> None:
    if not len(took):
        return
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9]) / 1e3
    rate = 1e9 / took.mean()
    print(f"| {name} | {share:.1%} | {p50:,.1f} | {p99:,.1f} | {p999:,.1f} | {took.max() / 1e3:,.0f} | {rate:,.0f} |")


if __name__ == "__main__":
    given = sys.argv[1:]
    events, cards = (int(number) for number in (given[:2] if given[1:] else (1_000_000, 100_000)))
    main(events, cards, float(given[2]) if given[2:] else 0.0)
