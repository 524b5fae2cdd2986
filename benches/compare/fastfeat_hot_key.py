"""cards-30 when one card has a million live events: the latency of each event of a second million.

`python benches/compare/fastfeat_hot_key.py --events 1000000` prints one line of JSON: so many events are live. The
engine has no Python above it.
"""

from __future__ import annotations

import numpy as np
from yardstick import events_of, report

WEEK_US = 7 * 24 * 3_600_000_000


def main() -> None:
    from rust_loop import run
    from workloads import cards, cards_30

    live = events_of(__doc__)
    work = cards(live * 5, keys=1)
    # So many a week, for five weeks: the last fifth, which is measured, loses an event with each that comes.
    step = max(WEEK_US // live, 1)
    work = work.take(np.arange(len(work)))
    work.ts[:] = work.ts[0] + np.arange(len(work)) * step
    numbers = run("core", work, cards_30(), judge=len(work) <= 200_000)
    report(fastfeat_core_hot_key={**numbers, "live": min(live, WEEK_US // step)})


if __name__ == "__main__":
    main()
