"""cards-30 over 20,000, 2,000,000 and 10,000,000 cards: time per event one by one and in tables, bytes per card.

`python benches/compare/fastfeat_keys.py --cards 2000000 --events 10000000` prints one line of JSON; without arguments
it is one size, a hundredth of that. Cards are drawn evenly, so that state is as cold as it can be.
"""

from __future__ import annotations

import argparse
import time

from yardstick import check_row, report, sampled

CHUNK = 250_000


def in_tables(work) -> dict:
    """The events as tables of a quarter of a million: as a job reads them that does not hold them all."""
    from fastfeat import Engine
    from workloads import cards_30

    engine, seconds = Engine(cards_30()), 0.0
    wanted = list(sampled(len(work)))
    for start in range(0, len(work), CHUNK):
        table = work.table(start, start + CHUNK)
        began = time.perf_counter()
        rows = engine.push_batch(table)
        seconds += time.perf_counter() - began
        for event in (each for each in wanted if start <= each < start + CHUNK):
            row = {name: rows[name][event - start].as_py() for name in rows.column_names}
            check_row(work, event, row, 1e-9)
    return {"ns_per_event": seconds * 1e9 / len(work), "state_bytes": engine.stats()["state_bytes"]}


def main() -> None:
    from rust_loop import run
    from workloads import cards, cards_30

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, default=20_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--plain", action="store_true", help="the plain Rust loop too")
    given = parser.parse_args()
    work = cards(given.events, keys=given.cards, exponent=0.0)
    online = run("core", work, cards_30(), latencies=False)
    measured = {"core": online, "batch": in_tables(work)}
    if given.plain:
        measured["plain"] = run("plain30", work, latencies=False)
    for numbers in measured.values():
        numbers |= {"cards": given.cards, "events": given.events}
        numbers["bytes_per_card"] = (numbers["state_bytes"] or numbers["resident_bytes"]) / given.cards
        numbers.pop("last_fifth_sums", None)
    report(**{f"keys_{given.cards}_{name}": numbers for name, numbers in measured.items()})


if __name__ == "__main__":
    main()
