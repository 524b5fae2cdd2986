"""How pushes of several threads into one engine scale, on a Python without its lock.

`.venv-free/bin/python benches/threads.py [EVENTS]` (after `make test-free-threaded`) prints a table: the time per event
of one thread, and of two that push the same events, by turns in one run. Cards and merchants are a thread's own, so
that the events of each come in order whichever thread is ahead.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import workloads

ROUNDS = 5
THREADS = 2
LATENESS = "30d"
"""Longer than the events last: none is late where a thread falls behind."""


def events(count: int) -> list[dict[str, Any]]:
    """`cards` as dicts, those of each thread in turn."""
    work = workloads.cards(count)
    columns = (work.ts, work.card, work.merchant, work.country, work.amount, work.declined)
    return [
        {
            "ts": int(ts),
            "card": f"c-{card}-{number % THREADS}",
            "merchant": f"m-{merchant}-{number % THREADS}",
            "country": f"k-{country}",
            "amount": float(amount),
            "declined": bool(declined),
        }
        for number, (ts, card, merchant, country, amount, declined) in enumerate(zip(*columns, strict=True))
    ]


def turn(features: Any, shares: Sequence[Sequence[dict[str, Any]]]) -> tuple[float, bool]:
    """Microseconds an event of all threads, in the second half; whether they went beside each other."""
    from fastfeat import Engine

    engine, begin, middle = Engine(features), threading.Barrier(len(shares)), threading.Barrier(len(shares) + 1)

    def work(share: Sequence[dict[str, Any]]) -> None:
        # Bound once: each look at the engine counts a reference that all threads share.
        half, push = len(share) // 2, engine.push
        begin.wait()
        for event in share[:half]:
            push(event)
        middle.wait()
        for event in share[half:]:
            push(event)

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    middle.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    spent_s = time.perf_counter() - start
    return 2e6 * spent_s / sum(map(len, shares)), engine._is_crowded()


def main() -> None:
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        sys.exit("this Python has its lock, so that threads push one after the other: see make test-free-threaded")
    features, all_events = (
        workloads.cards_30(lateness=LATENESS),
        events(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000),
    )
    ones, twos = [], []
    for _ in range(ROUNDS):
        ones.append(turn(features, [all_events])[0])
        two, crowded = turn(features, [all_events[thread::THREADS] for thread in range(THREADS)])
        assert crowded, "the threads never went beside each other"
        twos.append(two)
    rates = sorted(one / two for one, two in zip(ones, twos, strict=True))
    print("| threads | us an event: best | worst |\n|---|---|---|")
    print(f"| 1 | {min(ones):.2f} | {max(ones):.2f} |\n| {THREADS} | {min(twos):.2f} | {max(twos):.2f} |")
    print(f"\n{THREADS} threads take {rates[0]:.2f} to {rates[-1]:.2f} times the events of one; best by best")
    print(f"{min(ones) / min(twos):.2f}")


if __name__ == "__main__":
    main()
