"""Where the milliseconds go when events come at a steady rate: each event's time at each stage, joined from what the
processes noted: the one that sends (`load.py`), the worker (`staged.py`) or the bare loop, and the one that reads.

The broker's own times are whole milliseconds. A reader may have a row before the worker knows that it is confirmed:
that stage is then below nothing.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from load import PARTITIONS

SHARES = (50, 99, 99.9)
STAGES = {
    "sent": "due, to handed over by the process that sends",
    "appended": "to appended by the broker",
    "fetched": "to fetched",
    "pushed": "to pushed and scored",
    "handed": "to encoded and handed over to the producer",
    "confirmed": "to confirmed by the broker",
    "done": "to committed, or the commit under way",
    "read": "confirmed (exactly once: committed) to read",
}
TOTALS = {"added": "fetched to handed over", "end to end": "due to read"}


def stages(folder: Path, begin: float, per_second: int, count: int, *, exactly_once: bool) -> dict[str, np.ndarray]:
    """Milliseconds of each event in each stage, and the two totals."""
    load, rows, answers = (np.load(folder / f"{name}.npy") for name in ("load", "stages", "answers"))
    # From the broker's clock to the monotonic one.
    shift = time.time() - time.monotonic()
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*STAGES, *TOTALS)}
    for place in range(PARTITIONS):
        mine = np.arange(place, count, PARTITIONS)
        due = begin + mine / per_second
        handed, _, appended = _each(load, place, len(mine))
        fetched, pushed, given, confirmed, done = _each(rows, place, len(mine))
        seen, _ = _each(answers, place, len(mine))
        appended = appended / 1e3 - shift
        points = [due, handed, appended, fetched, pushed, given, confirmed, done]
        for name, before, after in zip(STAGES, points, points[1:], strict=False):
            found[name].append(after - before)
        found["read"].append(seen - (done if exactly_once else confirmed))
        found["added"].append(given - fetched)
        found["end to end"].append(seen - due)
    return {name: 1e3 * np.concatenate(each) for name, each in found.items()}


def _each(batches: np.ndarray, place: int, count: int) -> list[np.ndarray]:
    """What was noted of batches, for each of their events."""
    mine = batches[batches[:, 0] == place]
    sizes = mine[:, 1].astype(int)
    assert sizes.sum() == count, f"partition {place}: {sizes.sum()} of {count} events were noted"
    return [np.repeat(mine[:, column], sizes) for column in range(2, mine.shape[1])]


def counted(found: dict[str, np.ndarray], per_second: int, warm_seconds: float) -> dict[str, np.ndarray]:
    """Without the first seconds, in which everything warms up."""
    warm = int(per_second * warm_seconds) // PARTITIONS
    return {
        name: np.concatenate([part[warm:] for part in np.array_split(each, PARTITIONS)]) for name, each in found.items()
    }


def shares(values: np.ndarray) -> list[float]:
    """At p50, p99 and p99.9."""
    return [float(np.percentile(values, share)) for share in SHARES]


def table(bare: dict[str, np.ndarray], worker: dict[str, np.ndarray]) -> str:
    """The stages of a bare loop and of a worker, side by side."""
    heads = "".join(f"{f'p{share:g}':>9}" for share in SHARES)
    width = len(heads)
    lines = [f"{'':48} {'bare loop':>{width}}   {'worker':>{width}}", f"{'milliseconds':48} {heads}   {heads}"]
    for name, text in (STAGES | TOTALS).items():
        shown = ["".join(f"{value:9.2f}" for value in shares(each[name])) for each in (bare, worker)]
        lines.append(f"{text:48} {shown[0]}   {shown[1]}")
    return "\n".join(lines)
