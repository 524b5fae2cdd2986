"""From an event to a score, on real data: `python -m examples.flights`.

1. Read the flights that left New York in 2013 as two streams of events (data.py).
2. Push nine months through the engine as tables: the rows are the training set (features.py, train.py).
3. Start a service: a new engine with the model, warmed up with the same nine months.
4. Stream the last three months event by event. Each departure is scored when it is due to leave (serve.py).
5. Report how well and how fast (report.py).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from fastfeat import Engine

from . import data, report
from .features import CATEGORICAL, SCHEDULE, arrivals, departures, features
from .serve import backfill, serve
from .train import quality, train


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Runs the whole example and returns the numbers of its report."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights", description="Will this flight be late?")
    parser.add_argument(
        "--days", type=int, default=365, help="the first days of the year; three quarters of them train"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers of the report to FILE, too")
    options = parser.parse_args(arguments)
    if not 8 <= options.days <= 365:
        parser.error("--days goes from 8 to 365")
    started = time.perf_counter()

    with report.step("reading the flights of 2013"):
        flights = data.load(options.days)
    rows = backfill(Engine(features, streams=[departures, arrivals]), flights)

    # Learn from what had landed by the split. Cancelled and diverted flights have no outcome.
    past, to_come = slice(0, len(rows)), slice(len(rows), None)
    known = flights.landed[past] < flights.split
    learn, late = rows.filter(known), flights.late[past][known]
    with report.step("training on schedule and streams"):
        booster = train(learn, late, CATEGORICAL)
    with report.step("training on the schedule alone"):
        schedule_booster = train(learn.select(SCHEDULE), late, CATEGORICAL)

    engine = Engine(features, streams=[departures, arrivals], model=booster)
    backfill(engine, flights)
    served = serve(engine, flights)

    judged = ~np.isnan(flights.delay[to_come])
    truth = flights.late[to_come][judged]
    schedule = [features.names.index(name) for name in SCHEDULE]
    schedule_scores = schedule_booster.predict(np.array(served.rows)[:, schedule])
    stats = engine.stats()
    numbers = {
        "trained_on": len(learn),
        "scored": len(served.scores),
        "judged": len(truth),
        "late_share": float(truth.mean()),
        "with_streams": quality(truth, np.array(served.scores)[judged]),
        "schedule_alone": quality(truth, schedule_scores[judged]),
        "features": len(features.names),
        "latency_us": report.latencies(served.score_ns),
        "events_per_s": served.events / served.seconds,
        "keys": stats["keys"],
        "state_bytes": stats["state_bytes"],
        "examples": [
            report.example(why, pick.event, pick.result, outcome(flights.delay[to_come][pick.number]))
            for why, pick in served.picks.items()
        ],
        "seconds": time.perf_counter() - started,
    }
    report.show(numbers)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def outcome(delay: float) -> str:
    """What came of a flight, in words."""
    return (
        "never arrived" if np.isnan(delay) else f"arrived {abs(delay):.0f} minutes {'late' if delay > 0 else 'early'}"
    )


if __name__ == "__main__":
    main()
