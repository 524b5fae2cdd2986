"""How long an engine takes to go on from a checkpoint, beside plainly reading its file, by turns in one run; and what
the first events then cost, beside the engine that was never stopped: keys sleep until something has to do with them.

`python benches/restore.py [MB]` prints tables for a file of about so many megabytes, 400 by default, which hold a
gigabyte of state (minutes, 4 GB of memory). Cold: the file's pages have been given back to the disk before each turn. A
virtual machine's disk may have a cache of its own. Restores are those of a process that has done nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from gates import quantiles
from workloads import Cards, cards, cards_30

MB = 1_000_000
EVENTS_A_STEP = 500_000
TURNS = 7
PIECE_BYTES = 1 << 20
# Of cards-30: bytes of a file for each event, and for each card, as there are many.
EVENT_BYTES = 10
CARD_BYTES = 600
PUSHES = 100_000
PUSHES_A_TURN = 5_000


def state_of(size_bytes: int) -> tuple[Any, Cards, int]:
    """An engine whose checkpoint has about so many bytes, events, and how many of them it has taken."""
    from fastfeat import Engine

    engine, count = Engine(cards_30()), max(EVENTS_A_STEP, size_bytes // EVENT_BYTES)
    events = cards(count + PUSHES, keys=max(20_000, size_bytes // CARD_BYTES))
    for start in range(0, count, EVENTS_A_STEP):
        engine.push_batch(events.table(start, min(start + EVENTS_A_STEP, count)))
    return engine, events, count


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


def timed(work: Any) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def restores(path: Path) -> None:
    """Prints how long they take."""
    from fastfeat import Engine

    features = cards_30()

    found: dict[str, list[tuple[float, float]]] = {}
    # The first turn asks the machine for memory that it has never given.
    for turn in range(TURNS + 1):
        for heat in ("cold", "cached"):
            for name, work in (("read", lambda: read(path)), ("restore", lambda: Engine.restore(features, path))):
                if heat == "cold":
                    drop_pages(path)
                else:
                    read(path)
                one = timed(work)
                if turn > 0:
                    found.setdefault(f"{name}, {heat}", []).append(one)
    print("| what | s | s of the processor | MB/s | beside the read | from | to |")
    print("|---|---|---|---|---|---|---|")
    for name, turns in found.items():
        seconds, used = (median(column) for column in zip(*turns, strict=True))
        heat = name.partition(", ")[2]
        ratios = [a / b for (a, _), (b, _) in zip(turns, found[f"read, {heat}"], strict=True)]
        print(f"| {name} | {seconds:.3f} | {used:.3f} | {path.stat().st_size / MB / seconds:,.0f} "
              f"| {median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |")  # fmt: skip


def pushes(engine: Any, messages: list[bytes]) -> list[float]:
    """Seconds of each push."""
    push, clock, found = engine.push_json, time.perf_counter, []
    for message in messages:
        begin = clock()
        push(message)
        found.append(clock() - begin)
    return found


def first_events(never: Any, restored: Any, messages: list[bytes]) -> None:
    """Prints what events cost that come to keys that sleep, and the same ones where none does, by turns."""
    print("\n| events after the restore | asleep of all keys | p50 us | p99 us | p99.9 us | max us "
          "| never stopped: p50 us | p99 us | p99.9 us | max us |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for start in range(0, len(messages), PUSHES // 4):
        stats, found = restored.stats(), {"restored": [], "never": []}
        share = stats["asleep_keys"] / stats["keys"]
        for at in range(start, min(start + PUSHES // 4, len(messages)), PUSHES_A_TURN):
            for name, engine in (("restored", restored), ("never", never)):
                found[name] += pushes(engine, messages[at : at + PUSHES_A_TURN])
        rows = [quantiles(sorted(seconds)).values() for seconds in found.values()]
        told = " | ".join(f"{value:.1f}" for row in rows for value in row)
        print(f"| {start:,} to {start + PUSHES // 4:,} | {share:.1%} | {told} |")


def main(size_bytes: int) -> None:
    """Measures and prints."""
    from fastfeat import Engine

    with tempfile.TemporaryDirectory(dir=os.environ.get("FASTFEAT_RESTORE_FOLDER")) as folder:
        never, events, taken = state_of(size_bytes)
        path = Path(folder) / "state.ff"
        never.checkpoint(path)
        print(f"{path.stat().st_size / MB:,.0f} MB after {taken:,} events of cards-30, {never.stats()['keys']:,} keys, "
              f"{never.stats()['state_bytes'] / MB:,.0f} MB of state; medians of {TURNS} turns\n")  # fmt: skip
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--restores", str(path)], check=True)
        restored = Engine.restore(cards_30(), path)
        print(f"\n{restored.stats()['state_bytes'] / MB:,.0f} MB of state after a restore")
        messages = [json.dumps(event).encode() for event in events.dicts(taken, taken + PUSHES)]
        first_events(never, restored, messages)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--restores", path]:
            restores(Path(path))
        case [megabytes]:
            main(int(float(megabytes) * MB))
        case _:
            main(400 * MB)
