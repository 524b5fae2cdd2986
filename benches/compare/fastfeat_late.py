"""cards-30 with 5 % of the events up to 10 s late, against the same events in order: time, and the same final bits.

`python benches/compare/fastfeat_late.py --events 1000000` prints one line of JSON. The engine has no Python above it.
"""

from __future__ import annotations

from yardstick import events_of, report

CARDS_COMPARED = 1_000


def main() -> None:
    from rust_loop import run
    from workloads import cards, cards_30

    work = cards(events_of(__doc__))
    features = cards_30(lateness="10s")
    late = work.out_of_order(share=0.05, most_us=10_000_000)
    assert (late.ts[1:] < late.ts[:-1]).any(), "no event is out of order: there are too few of them"
    sorted_run = run("core", work, features, latencies=False, final_cards=CARDS_COMPARED)
    late_run = run("core", late, features, latencies=False, final_cards=CARDS_COMPARED, in_order=False)
    assert late_run["final_bits"] == sorted_run["final_bits"], "late events have left other bits"
    report(fastfeat_core_sorted=sorted_run, fastfeat_core_late=late_run)


if __name__ == "__main__":
    main()
