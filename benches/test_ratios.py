"""fastfeat against the plain Rust loop of the same run: what the gates hold on any machine.

All take turns several times and the best of each counts, so that a neighbour's load falls on both.
FASTFEAT_BENCH_DELAY_IN names the contenders that FASTFEAT_BENCH_DELAY_US slows, where it is not all.
"""

from __future__ import annotations

import os
import time

import pytest
from rust_loop import run
from workloads import cards, cards_18, cards_30, events_wanted

ROUNDS = 3


@pytest.fixture(scope="module")
def work():
    return cards()


def batch_ns(work, features, delay) -> float:
    """Nanoseconds of an event as a row of a table."""
    from fastfeat import Engine

    engine, table = Engine(features), work.table()
    start = time.perf_counter()
    rows = delay(engine.push_batch, events=len(work))(table)
    seconds = time.perf_counter() - start
    assert rows.num_rows == len(work)
    return seconds * 1e9 / len(work)


@pytest.fixture(scope="module")
def found(delay, work):
    """The best nanoseconds of an event, by contender. Once where there are too few events to hold a gate."""
    late = work.out_of_order(share=0.05, most_us=10_000_000)
    bits = set()

    def core(name, features, events=work, *, final_cards=None):
        numbers = run(
            "core", events, features, latencies=False, final_cards=final_cards, in_order=events is work,
            slowed=name in os.environ.get("FASTFEAT_BENCH_DELAY_IN", name).split(","),
        )  # fmt: skip
        bits.add(numbers["final_bits"])
        return numbers["ns_per_event"]

    turns = {
        "plain_30": lambda: run("plain30", work, latencies=False)["ns_per_event"],
        "core": lambda: core("core", cards_30()),
        "four_windows": lambda: core("four_windows", cards_30(more_windows=("72h",))),
        "plain_18": lambda: run("plain18", work, latencies=False)["ns_per_event"],
        "batch_18": lambda: batch_ns(work, cards_18(), delay),
        "batch_30": lambda: batch_ns(work, cards_30(), delay),
        "sorted": lambda: core("sorted", cards_30(lateness="10s"), final_cards=200),
        "late": lambda: core("late", cards_30(lateness="10s"), late, final_cards=200),
    }
    rounds = ROUNDS if events_wanted() >= 20_000 else 1
    taken = [{name: turn() for name, turn in turns.items()} for _ in range(rounds)]
    assert len(bits - {None}) == 1, "events out of order have left other bits"
    return {name: min(each[name] for each in taken) for name in turns}


def test_core(record, found):
    ratio = found["core"] / found["plain_30"]
    record("core", "online", ns_per_event=found["core"], plain_ns=found["plain_30"], ratio_to_plain=ratio)


@pytest.mark.parametrize("kind", ["18", "30"])
def test_batch(record, found, kind):
    batch, plain = found[f"batch_{kind}"], found[f"plain_{kind}"]
    record(f"cards_{kind}_ratio", "batch", ns_per_event=batch, plain_ns=plain, ratio_to_plain=batch / plain)


def test_a_window_more(record, found):
    more = found["four_windows"] - found["core"]
    record("one_window_more", "online", ns_more=more, ratio_to_plain=more / found["plain_30"])


def test_late_events(record, found):
    record("late_events", "online", ns_per_event=found["late"], ratio_to_sorted=found["late"] / found["sorted"])
