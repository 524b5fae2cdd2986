"""How long an engine takes to go on from a checkpoint, beside plainly reading its file, by turns in one run.

`python benches/restore.py [MB]` prints a table for so many megabytes of state, 1,000 by default (minutes). Cold: the
file's pages have been given back to the disk before each turn. A virtual machine's disk may have a cache of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from workloads import cards, cards_30

MB = 1_000_000
EVENTS_A_STEP = 500_000
TURNS = 5
PIECE_BYTES = 1 << 20


def state_of(size_bytes: int, folder: Path) -> tuple[Path, int, int]:
    """A checkpoint of at least so many bytes: its path, its bytes, and the events that the engine has taken."""
    from fastfeat import Engine

    engine, taken, written = Engine(cards_30()), 0, 0
    path = folder / "state.ff"
    # All of a year's events at once would not fit beside the state, so the cards are new ones in each step.
    events = cards(max(EVENTS_A_STEP, size_bytes // 60), keys=max(20_000, size_bytes // 1_500))
    for start in range(0, len(events.ts), EVENTS_A_STEP):
        stop = min(start + EVENTS_A_STEP, len(events.ts))
        engine.push_batch(events.table(start, stop))
        taken = stop
        if engine.stats()["state_bytes"] > size_bytes:
            engine.checkpoint(path)
            written = path.stat().st_size
            if written >= size_bytes:
                break
    engine.checkpoint(path)
    return path, path.stat().st_size, taken


def drop_pages(path: Path) -> None:
    """Gives the file's pages back to the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def read(path: Path) -> None:
    """All bytes of a file, into one buffer."""
    buffer = bytearray(PIECE_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def timed(work) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def main(size_bytes: int) -> None:
    """Measures and prints."""
    from fastfeat import Engine

    with tempfile.TemporaryDirectory(dir=os.environ.get("FASTFEAT_RESTORE_FOLDER")) as folder:
        path, written, taken = state_of(size_bytes, Path(folder))
        features = cards_30()
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(TURNS):
            for heat in ("cold", "cached"):
                for name, work in (("read", lambda: read(path)), ("restore", lambda: Engine.restore(features, path))):
                    if heat == "cold":
                        drop_pages(path)
                    else:
                        read(path)
                    found.setdefault(f"{name}, {heat}", []).append(timed(work))
        print(f"{written / MB:,.0f} MB after {taken:,} events of cards-30; medians of {TURNS} turns\n")
        print("| what | s | s of the processor | MB/s | beside the read |")
        print("|---|---|---|---|---|")
        for name, turns in found.items():
            seconds, used = (median(column) for column in zip(*turns, strict=True))
            heat = name.partition(", ")[2]
            ratio = median(a / b for (a, _), (b, _) in zip(turns, found[f"read, {heat}"], strict=True))
            print(f"| {name} | {seconds:.3f} | {used:.3f} | {written / MB / seconds:,.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) * MB if len(sys.argv) > 1 else 1_000 * MB)
