"""Events per second: a table in and a table out (`batch`), and one event after the other (`online`).

The yardsticks of `compare/` run beside, each in a process of its own, so that a ratio to them comes from one sitting.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workloads import cards, cards_18, cards_30, close, expected

COMPARE = Path(__file__).parent / "compare"


@pytest.fixture(scope="module")
def work():
    return cards()


@pytest.fixture(scope="module")
def table(work):
    return work.table()


def check(rows, work):
    """Twenty rows are those that slow plain Python computes. `rows(i)` is a dict."""
    for i in range(0, len(work), max(len(work) // 20, 1)):
        row, want = rows(i), expected(work, i)
        assert set(row) <= set(want)
        for name, value in row.items():
            assert close(float("nan") if value is None else value, want[name]), (i, name)


@pytest.mark.parametrize("features", [cards_18, cards_30])
def test_batch(benchmark, record, features, work, table):
    from fastfeat import Engine

    setup = lambda: ((Engine(features()),), {})  # noqa: E731
    rows = benchmark.pedantic(lambda engine: engine.push_batch(table), setup=setup, rounds=3)
    assert rows.num_rows == len(work)
    check(lambda i: {name: rows[name][i].as_py() for name in rows.column_names}, work)
    record(features.__name__, "batch", events=len(work), events_per_s=len(work) / benchmark.stats.stats.min)


def test_online(record, work):
    from fastfeat import Engine

    engine = Engine(cards_30())
    push, events, kept = engine.push, work.dicts(), {}
    step = max(len(work) // 20, 1)
    seconds = 0.0
    for start in range(0, len(events), step):
        chunk = events[start : start + step]
        kept[start] = push(chunk[0]).to_dict()
        began = time.perf_counter()
        for event in chunk[1:]:
            push(event)
        seconds += time.perf_counter() - began
    check(kept.__getitem__, work)
    record("cards_30", "online", events=len(work), events_per_s=(len(work) - len(kept)) / seconds)


def beside(name, work, **environment):
    command = [sys.executable, str(COMPARE / name), "--events", str(len(work))]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
    return json.loads(run.stdout)["measured"]


def test_python_deques_beside(record, work):
    record("python_deques", "online", **beside("python_deques.py", work)["python_deques_cards_30"])


@pytest.mark.parametrize("threads", [1, 2])
def test_polars_beside(record, work, threads):
    answer = beside("polars_rolling.py", work, POLARS_MAX_THREADS=str(threads))
    for features in ("cards_18", "cards_30"):
        events_per_s = answer[f"polars_{threads}_{features}"]["events_per_s"]
        record(f"polars_{threads}_threads_{features}", "batch", events=len(work), events_per_s=events_per_s)
