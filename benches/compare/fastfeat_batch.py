"""fastfeat on cards-18 and cards-30, an Arrow table in and an Arrow table out, by one thread and by two.

`python benches/compare/fastfeat_batch.py --events 1000000` prints one line of JSON.
"""

from __future__ import annotations

from yardstick import check_table, events_of, report, timed


def main() -> None:
    from fastfeat import Engine
    from workloads import cards, cards_18, cards_30

    work = cards(events_of(__doc__))
    table = work.table()
    measured = {}
    for name, features in (("cards_18", cards_18()), ("cards_30", cards_30())):
        for threads in (1, 2):
            engine = Engine(features)
            seconds, rows = timed(lambda engine=engine, threads=threads: engine.push_batch(table, threads=threads))
            stats = engine.stats()
            measured[f"fastfeat_{threads}_{name}"] = {
                "events": len(work), "events_per_s": len(work) / seconds, "sums": check_table(work, rows, 1e-9),
                "bytes_per_key": stats["state_bytes"] / stats["keys"],
            }  # fmt: skip
    report(**measured)


if __name__ == "__main__":
    main()
