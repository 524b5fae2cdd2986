"""Increments of checkpoints: what a million events write, how long that takes, and how fast they are taken in again."""

from __future__ import annotations

import time
from statistics import median

from workloads import cards, cards_30, events_wanted

RESTORES = 3


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
        begin = time.process_time()
        restored = Engine.restore(features, path)
        return time.process_time() - begin, restored

    replays = []
    for _ in range(RESTORES):
        (whole_s, restored), (full_s, _) = restored_s(tmp_path), restored_s(full)
        replays.append(whole_s - full_s)
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
        replay_us=median(replays) * 1e6 / count,
    )
