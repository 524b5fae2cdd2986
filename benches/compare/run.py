"""`make bench-compare`: every yardstick and fastfeat beside it, alternating, best of several rounds, into one file.

`python benches/compare/run.py [--repeats 5] [--only NAME ...] [--skip-once] [--out docs/performance.json]`; there are
a million events, or FASTFEAT_BENCH_EVENTS. `report.py` makes tables and the plot of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import yardstick  # noqa: F401  (puts benches/ on the path)
from catalogue import Script, scripts
from environments import NotInstalledError, last_line, python_with

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[2]
# Larger is better of these; of all other numbers the smaller is the best.
LARGER = {"events_per_s"}
SUMS = ("sums", "last_fifth_sums")
SUMS_RELATIVE = 1e-6


def run_script(script: Script, model: Path) -> dict[str, dict]:
    """The measurements that it printed."""
    python = sys.executable if script.requirements is None else str(python_with(script.requirements))
    environment = {**os.environ, **script.environment, "FASTFEAT_BENCH_MODEL": str(model)}
    run = subprocess.run(
        [python, str(HERE / f"{script.name}.py"), *script.arguments], capture_output=True, text=True, env=environment
    )
    if run.returncode:
        raise RuntimeError(last_line(run.stderr))
    return json.loads(run.stdout.splitlines()[-1])["measured"]


def best_and_worst(runs: list[dict]) -> dict:
    """Each number of several runs as [best, worst]; what is no number as the last run has it."""
    found = {}
    for name in runs[-1]:
        values = [run[name] for run in runs]
        if name in SUMS:
            continue
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            ordered = sorted(values, reverse=name in LARGER)
            found[name] = [ordered[0], ordered[-1]]
        else:
            found[name] = values[-1]
    return found


def disagreements(measured: dict[str, list[dict]]) -> list[str]:
    """Sums of columns that two engines see differently."""
    told = []
    for kind in SUMS:
        for work in ("cards_18", "cards_30"):
            named = {
                name: runs[-1][kind] for name, runs in measured.items() if name.endswith(work) and kind in runs[-1]
            }
            if len(named) < 2:
                continue
            (first, wanted), *others = named.items()
            for other, sums in others:
                for column in wanted.keys() & sums.keys():
                    if abs(sums[column] - wanted[column]) > SUMS_RELATIVE * max(abs(wanted[column]), 1):
                        told.append(f"{work} {column}: {first} {wanted[column]!r}, {other} {sums[column]!r}")
    return told


def about(events: int, repeats: int) -> dict:
    """Where and when."""
    cpu = next(
        (line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines() if "MemTotal" in line), 0)
    return {
        "cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory / 2**20, 1), "system": platform.platform(),
        "python": platform.python_version(), "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load_before": round(os.getloadavg()[0], 2), "events": events, "repeats": repeats,
    }  # fmt: skip


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def main() -> int:
    from workloads import events_wanted

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=int(os.environ.get("FASTFEAT_BENCH_REPEATS", "5")))
    parser.add_argument("--only", action="append", help="a script's name; may be given several times")
    parser.add_argument("--skip-once", action="store_true", help="leave out what takes minutes: many keys, one hot key")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance.json")
    given = parser.parse_args()
    events = events_wanted()
    chosen = [
        script
        for script in scripts(events)
        if (given.only is None or script.name in given.only) and not (script.once and given.skip_once)
    ]
    if not chosen:
        parser.error(f"--only {given.only}: there are {', '.join(sorted({each.name for each in scripts(events)}))}")
    where = about(events, given.repeats)
    measured: dict[str, list[dict]] = defaultdict(list)
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="fastfeat-model-") as model:
        if any(script.needs_model for script in chosen):
            subprocess.run([sys.executable, str(HERE / "model_files.py"), model], check=True)
        for repeat in range(given.repeats):
            for script in chosen:
                if script.label in missing or (script.once and repeat > 0):
                    continue
                print(f"round {repeat + 1} of {given.repeats}: {script.label}", file=sys.stderr, flush=True)
                try:
                    for name, numbers in run_script(script, Path(model)).items():
                        measured[name].append(numbers)
                except (NotInstalledError, RuntimeError) as error:
                    missing[script.label] = str(error)
                    print(f"  did not run: {error}", file=sys.stderr)
    told = disagreements(measured)
    result = {
        "about": where,
        "measured": {name: best_and_worst(runs) for name, runs in sorted(measured.items())},
        "missing": missing,
        "disagreements": told,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {given.out}", file=sys.stderr)
    for line in told:
        print(f"DISAGREE {line}", file=sys.stderr)
    # A yardstick that cannot be installed is told in the table; fastfeat's own must run.
    own = [label for label in missing if label.startswith(("fastfeat", "plain_rust"))]
    return 1 if told or own else 0


if __name__ == "__main__":
    sys.exit(main())
