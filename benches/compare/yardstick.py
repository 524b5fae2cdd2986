"""What the scripts of this folder share: their arguments, the check of their rows, and the one line of JSON they print.

A script measures in its own process and prints `{"measured": {name: numbers}}`. Names and numbers are those of
`catalogue.py`. Rows are checked against slow plain Python; `sums` of all rows are there to be compared between engines.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

BENCHES = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCHES))

SAMPLES = 20
# Running sums drift, and that is part of what is compared: engines that have them are held to this, not to 1e-9.
DRIFT = 1e-6


def events_of(description: str) -> int:
    """`--events N`, or what FASTFEAT_BENCH_EVENTS says."""
    from workloads import events_wanted

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--events", type=int, default=None, help="how many (a million, or FASTFEAT_BENCH_EVENTS)")
    return parser.parse_args().events or events_wanted()


def sampled(count: int) -> range:
    """Numbers of the events whose rows are checked."""
    return range(0, count, max(count // SAMPLES, 1))


def check_row(work: Any, event: int, row: Mapping[str, float | None], relative: float = DRIFT) -> None:
    """One row is the one that slow plain Python computes."""
    from workloads import close, expected

    want = expected(work, event)
    assert set(row) <= set(want), sorted(set(row) - set(want))
    for name, value in row.items():
        number = math.nan if value is None else value
        assert close(number, want[name], relative), f"event {event}: {name} is {number}, not {want[name]}"


def check_table(work: Any, table: Any, relative: float = DRIFT) -> dict[str, float]:
    """Sampled rows of an Arrow table are right; the sum of each column's numbers."""
    assert table.num_rows == len(work)
    for event in sampled(len(work)):
        check_row(work, event, {name: table[name][event].as_py() for name in table.column_names}, relative)
    sums = {}
    for name in table.column_names:
        values = table[name].to_numpy().astype(float)
        sums[name] = float(values[np.isfinite(values)].sum())
    return sums


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


def latencies(function: Callable[[Any], Any], arguments: list[Any]) -> tuple[dict[str, float], Any]:
    """p50, p99, p99.9, the largest and the mean in microseconds of calls one after the other, and the last answer."""
    from gates import quantiles

    clock = time.perf_counter_ns
    # Kept as plain numbers in memory that is there already: nothing grows between two calls.
    spent = np.zeros(len(arguments), np.int64)
    answer = None
    for place, argument in enumerate(arguments):
        start = clock()
        answer = function(argument)
        spent[place] = clock() - start
    spent.sort()
    return {**quantiles((spent / 1e9).tolist()), "mean_us": float(spent.mean()) / 1e3}, answer


def report(**measured: Mapping[str, Any]) -> None:
    """Prints the one line."""
    print(json.dumps({"measured": measured}))
