"""Collects what the benchmarks measured: prints it, keeps it as JSON in `benches/results`, holds it to the gates."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

import pytest
from gates import failures, quantiles
from workloads import events_wanted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
COLUMNS = ["events", "p50_us", "p99_us", "p99_9_us", "max_us", "events_per_s", "bytes_per_key"]
MEASURED = pytest.StashKey[dict]()


def pytest_addoption(parser):
    parser.addoption("--gates", type=Path, default=HERE / "gates.toml", help="limits to hold (benches/gates.toml)")
    parser.addoption("--results", type=Path, default=HERE / "results", help="folder for the JSON (benches/results)")


def pytest_configure(config):
    config.stash[MEASURED] = {}


@pytest.fixture
def record(request):
    """`record("push", "online", events=n, seconds=sorted_data, ...)` notes the numbers of one benchmark."""

    def note(name: str, way: str, *, seconds=None, **numbers):
        row = {**numbers, **(quantiles(seconds) if seconds is not None else {})}
        request.config.stash[MEASURED][f"{name}_{way}"] = row
        if "benchmark" in request.fixturenames:
            request.getfixturevalue("benchmark").extra_info.update(row, way=way)
        return row

    return note


@pytest.fixture(scope="session")
def delay():
    """Wraps a function so that it wastes FASTFEAT_BENCH_DELAY_US an event: a gate closes when the code gets slow."""
    delay_s = float(os.environ.get("FASTFEAT_BENCH_DELAY_US", "0")) / 1e6

    def wrap(function, events=1):
        wasted_s = delay_s * events
        if not wasted_s:
            return function

        def slow(*arguments):
            until = time.perf_counter() + wasted_s
            answer = function(*arguments)
            while time.perf_counter() < until:
                pass
            return answer

        return slow

    return wrap


def pytest_sessionfinish(session):
    config = session.config
    measured = config.stash[MEASURED]
    if not measured:
        return
    gates = tomllib.loads(config.getoption("gates").read_text())
    held = events_wanted() >= gates["events_min"]
    reached = failures(measured, gates) if held else []
    config.stash[MEASURED] = {"measured": measured, "reached": reached, "held": held}
    if reached:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    folder = config.getoption("results")
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    about = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    result = {**about, "time": stamp, "measured": measured, "gates_reached": reached, "gates_held": held}
    (folder / f"{stamp}-{os.getpid()}.json").write_text(json.dumps(result, indent=1) + "\n")


def pytest_terminal_summary(terminalreporter, config):
    state = config.stash[MEASURED]
    if "measured" not in state:
        return
    write = terminalreporter.write_line
    terminalreporter.section(f"fastfeat on cards, {events_wanted():,} events")
    width = max(map(len, state["measured"]))
    write(" " * width + "".join(f"{column:>14}" for column in COLUMNS))
    for name, row in state["measured"].items():
        cells = "".join(f"{_cell(row.get(column)):>14}" for column in COLUMNS)
        more = "  ".join(f"{key} {_cell(value)}" for key, value in row.items() if key not in COLUMNS)
        write(f"{name:<{width}}{cells}  {more}".rstrip())
    if not state["held"]:
        write("too few events to hold the gates")
    for line in state["reached"]:
        write(f"FAILED {line}", red=True)


def _cell(value) -> str:
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)
