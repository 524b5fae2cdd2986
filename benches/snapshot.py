"""How long a push takes while a checkpoint of all state is written, beside pushes without one, by turns in one run.

`python benches/snapshot.py [MB]` prints a table for so many megabytes of state, 1,000 by default (minutes, four times
the memory). A checkpoint is written by another thread, to a file; pushes are one after the other, of JSON.

A push that takes long either works for long or does not have the processor: the table has the longest by the time that
its thread had it, too, and of the slow ones how many had lost it to others (switched out by the system, where the
thread had more to do) or had waited. The middle row is the machine's share: no checkpoint, but another process that
takes checksums of as many bytes and writes them to the same disk.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gates import quantiles
from workloads import Cards, cards, cards_30

MB = 1_000_000
EVENTS_A_STEP = 500_000
TURNS = 5
PUSHES = 100_000
SAMPLED_EVERY = 256
# A push of so many seconds is slow: what took it is told. Switches are counted for so many pushes together.
SLOW_S = 500e-6
COUNTED_EVERY = 64
# Writes so many bytes to a file, and has its processor busy for about as long as a checkpoint does.
OTHER = """
import os, sys, zlib
block, file = os.urandom(1 << 20), open(sys.argv[1], "wb", buffering=0)
for _ in range(int(sys.argv[2]) >> 20):
    zlib.crc32(block)
    file.write(block)
os.fsync(file)
"""


def engine_of(size_bytes: int) -> tuple[Any, Cards, int]:
    """An engine whose state has at least so many bytes, events, and how many of them it has taken."""
    from fastfeat import Engine

    engine, taken = Engine(cards_30()), 0
    events = cards(max(EVENTS_A_STEP, size_bytes // 25) + 20 * PUSHES, keys=max(20_000, size_bytes // 1_500))
    while engine.stats()["state_bytes"] < size_bytes and taken < len(events.ts) - 10 * PUSHES:
        stop = min(taken + EVENTS_A_STEP // 5, len(events.ts) - 10 * PUSHES)
        engine.push_batch(events.table(taken, stop))
        taken = stop
    return engine, events, taken


def resident_bytes() -> int:
    """What the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Slow:
    """The slow ones of some pushes."""

    used_s: float = 0.0
    """The longest that one of all pushes, slow or not, had the processor for."""
    count: int = 0
    worked: int = 0
    """So many had the processor for as long as makes a push slow."""
    switched_out: int = 0
    """Of the others: the system gave the processor to another thread, which this one had not asked for."""
    waited: int = 0
    """Of the rest: the thread waited, for a lock or for a page."""

    def add(self, used_s: float, is_switched_out: bool, has_waited: bool) -> None:
        """One that was slow."""
        self.count += 1
        self.worked += used_s > SLOW_S
        self.switched_out += used_s <= SLOW_S and is_switched_out
        self.waited += used_s <= SLOW_S and not is_switched_out and has_waited


class Pushes:
    """Pushes events one by one, and notes how long each takes."""

    def __init__(self, engine: Any, events: Cards, start: int, delay: Any = lambda function: function) -> None:
        self.engine, self.events, self.at, self.delay = engine, events, start, delay

    def ready(self, count: int) -> list[bytes]:
        events = self.events.dicts(self.at, self.at + count)
        self.at += count
        return [json.dumps(event).encode() for event in events]

    def times(self, messages: list[bytes], until: threading.Event | None = None) -> tuple[list[float], int, Slow]:
        """Seconds of each push, until an event is set or there are no more; how many bytes were held at most; and what
        took the slow ones."""
        push, clock, processor, found, held = (
            self.engine.push_json, time.perf_counter, time.thread_time, [], resident_bytes()
        )  # fmt: skip
        if until is not None:
            push = self.delay(push)
        slow, before = Slow(), resource.getrusage(resource.RUSAGE_THREAD)
        for number, message in enumerate(messages):
            used = processor()
            begin = clock()
            push(message)
            seconds = clock() - begin
            used = processor() - used
            found.append(seconds)
            slow.used_s = max(slow.used_s, used)
            if seconds > SLOW_S or number % COUNTED_EVERY == 0:
                now = resource.getrusage(resource.RUSAGE_THREAD)
                if seconds > SLOW_S:
                    slow.add(used, now.ru_nivcsw > before.ru_nivcsw, now.ru_nvcsw > before.ru_nvcsw)
                before = now
            if until is not None and until.is_set():
                break
            if number % SAMPLED_EVERY == 0:
                held = max(held, resident_bytes())
        return found, held, slow


def turn(pushes: Pushes, path: Path, count: int) -> dict[str, Any]:
    """So many pushes at most without a checkpoint, then as many while one is written."""
    engine = pushes.engine
    without, _, alone = pushes.times(pushes.ready(count))
    messages, over, seconds = pushes.ready(count), threading.Event(), []
    state, held = engine.stats()["state_bytes"], resident_bytes()

    def write() -> None:
        begin = time.perf_counter()
        engine.checkpoint(path)
        seconds.append(time.perf_counter() - begin)
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    while_written, most, beside = pushes.times(messages, over)
    thread.join()
    grown = engine.stats()["state_bytes"] - state
    instant_ns, longest_ns = engine._held_ns()
    helped, helped_ns = engine._helped()
    return {
        "without": without,
        "while_written": while_written,
        "slow": {"without": alone, "while_written": beside},
        "seconds": seconds[0],
        "instant_us": instant_ns / 1e3,
        "longest_us": longest_ns / 1e3,
        "helped": helped,
        "helped_us": helped_ns / 1e3,
        "extra_share": max(0, most - held - grown) / state,
        "bytes": path.stat().st_size,
    }


def beside_another(pushes: Pushes, path: Path, count: int, size_bytes: int) -> tuple[list[float], Slow]:
    """So many pushes at most while another process writes so many bytes."""
    messages, over = pushes.ready(count), threading.Event()

    def write() -> None:
        subprocess.run([sys.executable, "-c", OTHER, path, str(size_bytes)], check=True)
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    seconds, _, slow = pushes.times(messages, over)
    thread.join()
    path.unlink()
    return seconds, slow


def main(size_bytes: int) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("FASTFEAT_SNAPSHOT_FOLDER")) as folder:
        engine, events, taken = engine_of(size_bytes)
        pushes = Pushes(engine, events, taken)
        turns = []
        for _ in range(TURNS):
            turns.append(turn(pushes, Path(folder) / "state.ff", PUSHES))
            other = beside_another(pushes, Path(folder) / "other", PUSHES, turns[-1]["bytes"])
            turns[-1]["another_writes"], turns[-1]["slow"]["another_writes"] = other
    held, last = engine.stats()["state_bytes"], turns[-1]
    print(f"{held / MB:,.0f} MB of state, {taken:,} events; a file of {last['bytes'] / MB:,.0f} MB")
    slow_us = SLOW_S * 1e6
    print(f"{'':15}{'pushes':>10}{'p50 us':>10}{'p99 us':>10}{'p99.9 us':>10}{'max us':>10}"
          f"{'max of the processor us':>26}   over {slow_us:.0f} us: worked, switched out, waited")  # fmt: skip
    for name in ("without", "another_writes", "while_written"):
        seconds = sorted(second for each in turns for second in each[name])
        row = quantiles(seconds)
        slow = [each["slow"][name] for each in turns]
        count, *what = (
            sum(getattr(each, what) for each in slow) for what in ("count", "worked", "switched_out", "waited")
        )
        print(f"{name:15}{len(seconds):>10,}" + "".join(f"{value:>10,.1f}" for value in row.values())
              + f"{max(each.used_s for each in slow) * 1e6:>26,.1f}   {count}: "
              + ", ".join(map(str, what)))  # fmt: skip
    for number, unit, scale in (
        ("seconds", "s: a checkpoint", 1),
        ("instant_us", "us: the instant", 1),
        ("longest_us", "us: the longest hold of the writer", 1),
        ("helped_us", "us: the longest part that a push saved", 1),
        ("helped", "parts that pushes saved", 1),
        ("extra_share", "% of the state: extra memory", 100),
    ):
        print(f"{max(each[number] for each in turns) * scale:>14,.2f} {unit}, at most of {TURNS}")


if __name__ == "__main__":
    main(int(float(sys.argv[1]) * MB) if len(sys.argv) > 1 else 1_000 * MB)
