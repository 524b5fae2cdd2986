"""The programs in Rust that `make bench` and `make bench-compare` run: built by cargo, called with events in a file.

`run("plain30", work)` is the yardstick of every gate, `run("core", work, features)` the engine without Python. Their
sampled rows are checked against slow plain Python here.
"""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads import Cards, close, expected

if TYPE_CHECKING:
    from fastfeat import FeatureSet

ROOT = Path(__file__).resolve().parents[1]
DRIFT = 1e-6  # of the plain loop's running sums; the engine is held to 1e-9


@functools.cache
def program(package: str, kind: str, name: str) -> Path:
    """The path of a benchmark or an example, built in release form."""
    verb = ["bench", "--no-run"] if kind == "bench" else ["build", "--release"]
    command = ["cargo", *verb, "--locked", "--package", package, f"--{kind}", name, "--message-format", "json"]
    build = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    for line in build.stdout.splitlines():
        message = json.loads(line)
        target = message.get("target", {})
        if message.get("executable") and target.get("name") == name and kind in target.get("kind", []):
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no {kind} `{name}` of {package}")


def run(
    contender: str,
    work: Cards,
    features: FeatureSet | None = None,
    *,
    latencies: bool = True,
    final_cards: int | None = None,
    in_order: bool = True,
    judge: bool = True,
    slowed: bool = True,
) -> dict[str, Any]:
    """One run in a process of its own: the numbers it printed, its sampled rows checked.

    Events out of their order have rows that only the final bits can be compared of. FASTFEAT_BENCH_DELAY_US slows the
    engine where `slowed` lets it.
    """
    with tempfile.TemporaryDirectory(prefix="fastfeat-bench-") as folder:
        events, definition = Path(folder) / "events.bin", Path(folder) / "definition.json"
        work.save(events)
        command = [str(program("fastfeat-engine", "bench", "compare")), contender, str(events)]
        if features is not None:
            definition.write_text(features.to_json())
            command += [
                str(definition),
                "--delay-us",
                os.environ.get("FASTFEAT_BENCH_DELAY_US", "0") if slowed else "0",
            ]
        command += [] if latencies else ["--rounds", "0"]
        command += [] if final_cards is None else ["--final", str(final_cards)]
        answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    samples, names = answer.pop("samples"), answer.pop("names")
    if in_order and judge:
        for event, row in samples.items():
            want = expected(work, int(event))
            for name, value in zip(names, row, strict=True):
                if name in want:
                    number = math.nan if value is None else value
                    relative = DRIFT if contender.startswith("plain") else 1e-9
                    assert close(number, want[name], relative), (
                        f"{contender}, event {event}: {name} is {number}, not {want[name]}"
                    )
    latency = answer.pop("latency", {})
    latency.pop("events", None)
    sums = dict(zip(names, latency.pop("sums", []), strict=False))
    return {**answer, **latency, "last_fifth_sums": sums, "events_per_s": 1e9 / answer["ns_per_event"]}
