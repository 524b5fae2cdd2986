"""From an event to a score, on real data: `python -m examples.flights`.

1. Read the flights that left New York in 2013 as two streams of events (data.py).
2. Push nine months through the engine as tables: the rows are the training set (features.py, train.py).
3. Start a service: a new engine with the model, warmed up with the same nine months.
4. Stream the last three months event by event. Each departure is scored when it is due to leave (serve.py).
5. Run the same as a pipeline over a log of files and, with --kafka, over a real broker: the same rows (pipeline.py).
6. Report how well and how fast (report.py).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fastfeat import Engine

from . import data, pipeline, report
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
    parser.add_argument("--kafka", metavar="HOST:PORT", help="run the pipeline over Kafka too; `own` starts a broker")
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

    same = as_a_pipeline(booster, flights, served.scores, options.kafka)

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
        "same_rows": same,
        "seconds": time.perf_counter() - started,
    }
    report.show(numbers)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers


def as_a_pipeline(booster: Any, flights: data.Flights, scores: list[float], kafka: str | None) -> list[str]:
    """Runs the pipeline, and holds what it makes against the scores of the service, to the bit. Over what it ran."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made, log = pipeline.pipeline(booster, folder), pipeline.write_log(flights, folder)
        rows = pipeline.over_files(made, log, folder)
        assert [json.loads(row)["score"] for row in rows[-len(scores) :]] == scores, "files and service differ"
        if kafka is None:
            return ["files"]
        with broker(kafka, folder) as servers:
            over_kafka = pipeline.over_kafka(made, log, servers)
        without_id = pipeline.without_id
        assert list(map(without_id, over_kafka)) == list(map(without_id, rows)), "files and Kafka differ"
        return ["files", "Kafka"]


@contextlib.contextmanager
def broker(kafka: str, folder: Path) -> Iterator[str]:
    """`own` is the broker of the tests, which is started and stopped."""
    if kafka != "own":
        yield kafka
        return
    from tests.kafka.broker import Broker

    with report.step("starting Kafka"):
        own = Broker(folder).start()
    try:
        yield own.address
    finally:
        own.stop()


def outcome(delay: float) -> str:
    """What came of a flight, in words."""
    return (
        "never arrived" if np.isnan(delay) else f"arrived {abs(delay):.0f} minutes {'late' if delay > 0 else 'early'}"
    )


if __name__ == "__main__":
    main()
