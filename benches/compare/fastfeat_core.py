"""fastfeat's engine without Python, one event after the other: cards-18, cards-30, and cards-30 with a window more.

`python benches/compare/fastfeat_core.py --events 1000000` prints one line of JSON.
"""

from __future__ import annotations

from yardstick import events_of, report


def main() -> None:
    from rust_loop import run
    from workloads import cards, cards_18, cards_30

    work = cards(events_of(__doc__))
    report(
        fastfeat_core_cards_18=run("core", work, cards_18()),
        fastfeat_core_cards_30=run("core", work, cards_30()),
        fastfeat_core_cards_30_and_a_window=run("core", work, cards_30(more_windows=("72h",)), latencies=False),
    )


if __name__ == "__main__":
    main()
