"""cards-18 and cards-30 as a table in and a table out, with DuckDB's window functions. A yardstick for `batch`.

`DUCKDB_THREADS=1 python benches/compare/duckdb_range.py --events 1000000` prints one line of JSON. It needs
requirements/duckdb_range.txt; nothing imports it.
"""

from __future__ import annotations

import os

import duckdb
from yardstick import check_table, events_of, report, timed

HOURS = {"1h": 1, "24h": 24, "7d": 168}


def frames() -> str:
    """The windows (t - w, t]: a frame of RANGE has both its ends in, so it begins one microsecond later."""
    by = {"card": HOURS, "merchant": {"1h": 1, "24h": 24}}
    texts = [
        f"{key}_{window} AS (PARTITION BY {key} ORDER BY us"
        f" RANGE BETWEEN {hours * 3_600_000_000 - 1} PRECEDING AND CURRENT ROW)"
        for key, windows in by.items()
        for window, hours in windows.items()
    ]
    return ", ".join([*texts, "card_all AS (PARTITION BY card ORDER BY us)"])


def moments() -> list[str]:
    kinds = {"count": "count", "sum": "sum", "mean": "avg", "std": "stddev_samp", "min": "min", "max": "max"}
    return [
        f"{function}(amount) OVER card_{window} AS amount_{name}_card_{window}"
        for window in HOURS
        for name, function in kinds.items()
    ]


def others() -> list[str]:
    week = "avg(amount) OVER card_7d", "stddev_samp(amount) OVER card_7d"
    return [
        *(f"count(DISTINCT merchant) OVER card_{window} AS merchants_{window}" for window in ("24h", "7d")),
        *(f"count(*) FILTER (WHERE declined) OVER card_{window} AS declines_{window}" for window in ("1h", "24h")),
        "lag(amount) OVER card_all AS previous_amount",
        "(us - lag(us) OVER card_all) / 1e6 AS seconds_since_previous",
        f"amount / {week[0]} AS amount_vs_week",
        f"(amount - {week[0]}) / nullif({week[1]}, 0) AS amount_z_week",
        *(
            f"{function}(amount) OVER merchant_{window} AS merchant_{name}_{window}"
            for window in ("1h", "24h")
            for name, function in (("count", "count"), ("mean", "avg"))
        ),
    ]


def main() -> None:
    from workloads import cards

    work = cards(events_of(__doc__))
    threads = int(os.environ.get("DUCKDB_THREADS", "1"))
    connection = duckdb.connect(config={"threads": threads})
    connection.register("given", work.table())
    # Its own copy, with times as whole numbers, made before the clock starts.
    connection.execute("CREATE TABLE events AS SELECT *, epoch_us(ts) AS us FROM given")
    measured = {}
    for name, columns in (("cards_18", moments()), ("cards_30", moments() + others())):
        query = f"SELECT {', '.join(columns)} FROM events WINDOW {frames()} ORDER BY us"
        seconds, rows = timed(lambda query=query: connection.sql(query).to_arrow_table())
        measured[f"duckdb_{threads}_{name}"] = {
            "events": len(work), "events_per_s": len(work) / seconds, "sums": check_table(work, rows),
        }  # fmt: skip
    report(**measured)


if __name__ == "__main__":
    main()
