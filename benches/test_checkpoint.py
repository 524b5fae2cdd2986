"""Increments of checkpoints: what a million events write, how long that takes, and how fast they are taken in again.
An engine from a file; and pushes while all state is written.
"""

from __future__ import annotations

import time
import zlib
from statistics import median

from gates import quantiles
from snapshot import Pushes, turn
from workloads import cards, cards_30, events_wanted

RESTORES = 3
TURNS = 5


def test_increments(record, tmp_path):
    """`cards-30`: a state of 2.5 times the events of the increment, for 200,000 cards."""
    from fastfeat import Engine

    count = events_wanted()
    old = count * 5 // 2
    events, features = cards(old + count, keys=200_000), cards_30()
    engine = Engine(features)
    engine.push_batch(events.table(0, old))
    full = engine.checkpoint(tmp_path, incremental=True)
    engine.push_batch(events.table(old, old + count))
    begin = time.perf_counter()
    path = engine.checkpoint(tmp_path, offsets={"cards": old + count}, incremental=True)
    seconds = time.perf_counter() - begin
    assert path.name == "checkpoint-1.1.ff"

    def restored_s(path):
        begin, used, own = time.perf_counter(), time.process_time(), time.thread_time()
        restored = Engine.restore(features, path)
        seconds = (time.perf_counter() - begin, time.process_time() - used, time.thread_time() - own)
        return seconds, restored

    replays = []
    for _ in range(RESTORES):
        (whole, restored), (base, _) = restored_s(tmp_path), restored_s(full)
        replays.append([(with_it - without) * 1e6 / count for with_it, without in zip(whole, base, strict=True)])
    wall_us, replay_us, own_us = (median(column) for column in zip(*replays, strict=True))
    assert restored.offsets == {"cards": old + count}
    [event] = events.dicts(old + count - 1)
    event["ts"] += 1
    assert restored.push(event).to_dict() == engine.push(event).to_dict()
    record(
        "increment",
        "batch",
        events=count,
        mb_per_million=path.stat().st_size / count,
        s_per_million=seconds * 1e6 / count,
        # Of the processor, of all threads; of that the thread that makes rows ready; and of the clock.
        replay_us=replay_us,
        replay_own_us=own_us,
        replay_wall_us=wall_us,
    )


def test_restore(record, delay, tmp_path):
    """`cards-30`: an engine from a file, beside reading the same bytes and taking their CRC-32, by turns."""
    from fastfeat import Engine

    count = events_wanted()
    events, features = cards(count, keys=200_000), cards_30()
    engine = Engine(features)
    engine.push_batch(events.table(0, count))
    path = engine.checkpoint(tmp_path / "state.ff")

    def timed(work):
        begin, used = time.perf_counter(), time.process_time()
        result = work(path)
        return time.process_time() - used, time.perf_counter() - begin, result

    restore = delay(lambda path: Engine.restore(features, path))
    turns = [(timed(checked), timed(restore)) for _ in range(TURNS)]
    assert turns[-1][1][2].stats()["keys"] == engine.stats()["keys"]
    # Seconds of the processor, of all threads; the fastest of each, as the first restore of a process has its memory
    # from the system, and not from the one before.
    read_s, restore_s = (min(turn[which][0] for turn in turns) for which in (0, 1))
    mb_per_s = path.stat().st_size / min(turn[1][1] for turn in turns) / 1e6
    record("restore", "batch", events=count, ratio_to_read=restore_s / read_s, mb_per_s=mb_per_s)


def checked(path):
    """The CRC-32 of a file."""
    found, buffer = 0, bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            found = zlib.crc32(memoryview(buffer)[:read], found)
    return found


def test_while_written(record, delay, tmp_path):
    """`cards-30`: pushes of one thread while another writes all state, and as many without a checkpoint, by turns."""
    from fastfeat import Engine

    count = events_wanted()
    pushed = max(100, count // 20)
    events, features = cards(count + 2 * TURNS * pushed), cards_30()
    engine = Engine(features)
    engine.push_batch(events.table(0, count))
    pushes, path = Pushes(engine, events, count, delay), tmp_path / "state.ff"
    turns = [turn(pushes, path, pushed) for _ in range(TURNS)]
    restored = Engine.restore(features, path)
    assert count < restored.stats()["events"] <= engine.stats()["events"]
    without = quantiles(sorted(second for each in turns for second in each["without"]))
    seconds = sorted(second for each in turns for second in each["while_written"])
    record(
        "while_written",
        "online",
        events=len(seconds),
        seconds=seconds,
        longest_share=median(max(each["while_written"]) / each["seconds"] for each in turns),
        # Of the processor: what a push that was not switched out takes, whatever else the machine does.
        longest_used_us=median(each["slow"]["while_written"].used_s for each in turns) * 1e6,
        p99_9_ratio=quantiles(seconds)["p99_9_us"] / without["p99_9_us"],
        instant_us=median(each["instant_us"] for each in turns),
        longest_hold_us=median(each["longest_us"] for each in turns),
    )
