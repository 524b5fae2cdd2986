"""`kill -9` at any instant of a run that pushes and checkpoints: every row stays what it would have been.

FASTFEAT_KILLS says how many instants (12 by default).
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import killed_run
from fastfeat import Engine

KILLS = int(os.environ.get("FASTFEAT_KILLS", "12"))
EVENTS = 500 * KILLS
RUN = Path(killed_run.__file__)


def uninterrupted():
    engine = Engine(killed_run.FEATURES)
    return [killed_run.row_hash(engine.push(event)) for event in killed_run.events(EVENTS)]


def size(path):
    return path.stat().st_size if path.exists() else 0


def run_and_kill(folder, rows, after_s):
    """Whether it was killed; it is once it has begun to push, and so long after that."""
    before = size(rows)
    process = subprocess.Popen([sys.executable, RUN, folder, rows, str(EVENTS)], stderr=subprocess.PIPE)
    while size(rows) == before and process.poll() is None:
        time.sleep(0.001)
    if after_s is not None:
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
    _, error = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGKILL), error.decode()
    return process.returncode != 0


def test_rows_are_the_same_after_any_kill(tmp_path):
    folder, rows = tmp_path / "state", tmp_path / "rows"
    folder.mkdir()
    wanted, chosen, kills = uninterrupted(), random.Random(os.getpid()), 0
    print("seed", os.getpid())
    for _ in range(KILLS):
        # Its events take about 50 us each, a checkpoint some milliseconds.
        kills += run_and_kill(folder, rows, chosen.random() * 0.08)
        if (folder / "done").exists():
            break
    run_and_kill(folder, rows, None)
    assert (folder / "done").exists()
    assert kills >= KILLS // 2, f"only {kills} of {KILLS} runs were killed: make them longer"
    seen, place = set(), 0
    for line in rows.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "begin":
            # It never goes back further than to its last checkpoint, and leaves nothing out.
            assert place - killed_run.EVERY - 1 <= int(rest) <= place + 1, f"went from {place} back to {rest}"
            continue
        place = int(word)
        if len(rest) == 24:
            assert rest == wanted[place], f"event {place} after {kills} kills"
            seen.add(place)
    assert seen == set(range(EVENTS))
