"""A worker that runs on and on: memory, descriptors and threads stay what they were.

A minute by itself, five beside the other tests of `make test`, eight hours by `make soak`.
"""

import os
import signal
import statistics
import time

import pytest
from kafka.scene import Scene, payments, until

SECONDS = float(os.environ.get("FASTFEAT_SOAK_SECONDS", "60"))
EVENTS = 500
"""Sent at once, several times a second, or once a second where it takes longer."""


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def held(process):
    """Bytes that are resident and cannot be paged out, file descriptors, threads."""
    with open(f"/proc/{process.pid}/status") as status:
        told = dict(line.split(":", 1) for line in status)
    return int(told["RssAnon"].split()[0]) * 1_024, len(os.listdir(f"/proc/{process.pid}/fd")), int(told["Threads"])


@pytest.mark.timeout(SECONDS + 300)
def test_memory_descriptors_and_threads_stay_what_they_were(scene):
    process, begin = scene.worker(checkpoint_every_s=1.0), 0

    def more(count):
        nonlocal begin
        scene.send(payments(count, seed=begin, begin=begin))
        begin += count
        if SECONDS > 300:
            scene.sent = {place: [None] * len(values) for place, values in scene.sent.items()}

    # The longest window is full of events, and what is made once is made.
    more(20_000)
    scene.wait()
    samples, begun = [], time.monotonic()
    while time.monotonic() - begun < SECONDS:
        more(EVENTS)
        time.sleep(0.2 if SECONDS <= 60 else 1.0)
        samples.append((time.monotonic() - begun, *held(process)))
    scene.wait()
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    for place, what in ((2, "file descriptors"), (3, "threads")):
        assert max(one[place] for one in last) <= max(one[place] for one in middle), what
    grown = statistics.median(one[1] for one in last) - statistics.median(one[1] for one in middle)
    hours = SECONDS / 3 / 3_600
    # A page or two come and go: over a minute a slope of a megabyte an hour is not to be told from none.
    assert grown < max(1_000_000 * hours, 2_000_000), f"{grown / hours / 1e6:.1f} MB an hour"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    if SECONDS <= 300:
        scene.assert_exactly_once()
    until(lambda: any((scene.folder / "checkpoints").rglob("*.ff")))
