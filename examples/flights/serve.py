"""History in as tables, then one event after the other, as a service would get them."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from fastfeat import Engine

from .data import Flights, events
from .report import progress

PICKS = {
    "surest to be late": lambda score: score,
    "hardest to tell": lambda score: -abs(score - 0.5),
    "surest to be in time": lambda score: -score,
}


@dataclass(frozen=True)
class Pick:
    """A scored departure worth showing."""

    number: int
    event: dict[str, Any]
    result: Any


@dataclass
class Served:
    """What came out of the service, by departure, and how long each call took."""

    scores: list[float] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    score_ns: list[int] = field(default_factory=list)
    seconds: float = 0.0
    events: int = 0
    picks: dict[str, Pick] = field(default_factory=dict)  # by the keys of PICKS


def backfill(engine: Engine, flights: Flights) -> pa.Table:
    """Pushes the nine months in parts, both streams merged by time; a row of features for each departure."""
    with progress(
        "backfilling", total=sum(len(table) for part in flights.history for table in part.values())
    ) as advance:
        parts = []
        for part in flights.history:
            parts.append(engine.push_batch(part))
            advance(sum(map(len, part.values())))
    return pa.concat_tables(parts)


def serve(engine: Engine, flights: Flights) -> Served:
    """Scores each departure as it is due and takes in each arrival as it happens."""
    served, clock = Served(), time.perf_counter_ns
    to_come = merged(flights.to_come)
    with progress("scoring event by event", total=len(to_come)) as advance:
        for number, (stream, event) in enumerate(to_come):
            start = clock()
            if stream == "arrivals":
                engine.push(event, stream="arrivals")
                served.seconds += (clock() - start) / 1e9
            else:
                result = engine.score(event)
                took = clock() - start
                served.seconds += took / 1e9
                served.score_ns.append(took)
                served.scores.append(result.score)
                served.rows.append(np.array(result.features))
                keep_the_telling(served, event, result)
            if number % 1000 == 999:
                advance(1000)
    served.events = len(to_come)
    return served


def merged(streams: dict[str, pa.Table]) -> list[tuple[str, dict]]:
    """The events of both streams by time; at the same minute departures first, as push_batch takes them."""
    tagged = [[(name, event) for event in events(table)] for name, table in streams.items()]
    return list(heapq.merge(*tagged, key=lambda item: item[1]["time"]))


def keep_the_telling(served: Served, event: dict, result: Any) -> None:
    """Remembers the most extreme flights of PICKS so far."""
    for name, rank in PICKS.items():
        best = served.picks.get(name)
        if best is None or rank(result.score) > rank(best.result.score):
            served.picks[name] = Pick(len(served.scores) - 1, event, result)
