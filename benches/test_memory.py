"""Bytes of state per key, as `stats()` counts them, beside what the process really grew by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from workloads import cards, cards_30

CHUNK = 20_000
RESIDENT_TELLS = 16 * 2**20  # below that, a process grows by what its allocator likes


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def probe() -> dict:
    """Runs cards-30 in this process and says what it took."""
    from fastfeat import Engine

    work = cards()
    Engine(cards_30()).push_batch(work.table(0, CHUNK))  # what the first call brings along is no state
    engine, before = Engine(cards_30()), resident_bytes()
    for start in range(0, len(work), CHUNK):
        engine.push_batch(work.table(start, start + CHUNK))
    stats = engine.stats()
    return {"keys": stats["keys"], "state_bytes": stats["state_bytes"], "resident_bytes": resident_bytes() - before}


def test_bytes_per_key(record):
    # A process of its own: memory that earlier benchmarks gave back would hide what the state takes.
    run = subprocess.run([sys.executable, __file__], check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)
    assert 0 < found["keys"] <= 22_000
    if found["resident_bytes"] > RESIDENT_TELLS:
        assert abs(found["state_bytes"] / found["resident_bytes"] - 1) < 0.1, found
    record("cards_30", "memory", **found, bytes_per_key=found["state_bytes"] / found["keys"])


if __name__ == "__main__":
    print(json.dumps(probe()))
