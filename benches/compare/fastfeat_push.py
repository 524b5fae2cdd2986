"""fastfeat on cards-30 from Python, one event after the other: push, push into a buffer, push_json.

`python benches/compare/fastfeat_push.py --events 1000000` prints one line of JSON. Four fifths of the events are
history; each of the last fifth is measured by itself, with Python's collector as a service has it: on.
"""

from __future__ import annotations

import json
import math

import numpy as np
from yardstick import check_row, events_of, latencies, report


def warm(work, **options):
    """An engine that has seen four fifths of the events."""
    from fastfeat import Engine
    from workloads import cards_30

    engine, history = Engine(cards_30(), **options), len(work) * 4 // 5
    for start in range(0, history, 100_000):
        engine.push_batch(work.table(start, min(start + 100_000, history)))
    return engine, work.dicts(history)


def numbers(row) -> dict:
    return {name: math.nan if value is None else value for name, value in row.items()}


def main() -> None:
    from workloads import cards

    work = cards(events_of(__doc__))
    last = len(work) - 1
    engine, events = warm(work)
    push, row = latencies(engine.push, events)
    check_row(work, last, numbers(row.to_dict()), 1e-9)

    engine, events = warm(work)
    out = np.empty(len(engine.names))
    push_out, _ = latencies(lambda event: engine.push(event, out=out), events)
    check_row(work, last, dict(zip(engine.names, out.tolist(), strict=True)), 1e-9)

    engine, events = warm(work)
    push_json, row = latencies(engine.push_json, [json.dumps(event).encode() for event in events])
    check_row(work, last, numbers(row.to_dict()), 1e-9)
    measured = {"push": push, "push_out": push_out, "push_json": push_json}
    report(**{f"fastfeat_{name}": {"events": len(events), **spread} for name, spread in measured.items()})


if __name__ == "__main__":
    main()
