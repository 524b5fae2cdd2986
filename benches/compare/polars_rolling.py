"""cards-18 and cards-30 as a table in and a table out, with Polars' rolling aggregations. A yardstick for `batch`.

`POLARS_MAX_THREADS=1 python benches/compare/polars_rolling.py --events 1000000` prints one line of JSON. It needs
requirements/polars_rolling.txt; nothing imports it.
"""

from __future__ import annotations

import polars as pl
from yardstick import check_table, events_of, report, timed

AMOUNT = pl.col("amount")


def windows(events: pl.DataFrame, key: str, aggregations: dict[str, list[pl.Expr]]) -> list[pl.DataFrame]:
    """Rolling aggregations by key, one frame a window, in the order of the events (their times are unique)."""
    return [
        events.rolling("ts", period=window, group_by=key).agg(columns).sort("ts").drop(key, "ts")
        for window, columns in aggregations.items()
    ]


def amounts(window: str) -> list[pl.Expr]:
    """Count, sum, mean, std, min, max of the amount."""
    kinds = ("count", "sum", "mean", "std", "min", "max")
    return [getattr(AMOUNT, kind)().alias(f"amount_{kind}_card_{window}") for kind in kinds]


def cards_18(events: pl.DataFrame) -> pl.DataFrame:
    """By card over 1h, 24h, 7d."""
    return pl.concat(
        windows(events, "card", {window: amounts(window) for window in ("1h", "24h", "7d")}), how="horizontal"
    )


def cards_30(events: pl.DataFrame) -> pl.DataFrame:
    """cards-18 and the twelve others."""
    by_card = {window: amounts(window) for window in ("1h", "24h", "7d")}
    by_merchant = {}
    for window in ("24h", "7d"):
        by_card[window].append(pl.col("merchant").n_unique().alias(f"merchants_{window}"))
    for window in ("1h", "24h"):
        by_card[window].append(pl.col("declined").sum().alias(f"declines_{window}"))
        by_merchant[window] = [
            AMOUNT.count().alias(f"merchant_count_{window}"),
            AMOUNT.mean().alias(f"merchant_mean_{window}"),
        ]
    before = events.select(
        AMOUNT,
        AMOUNT.shift(1).over("card").alias("previous_amount"),
        (pl.col("ts").diff().over("card").dt.total_microseconds() / 1e6).alias("seconds_since_previous"),
    )
    frames = [before, *windows(events, "card", by_card), *windows(events, "merchant", by_merchant)]
    mean, std = pl.col("amount_mean_card_7d"), pl.col("amount_std_card_7d")
    return pl.concat(frames, how="horizontal").with_columns(
        amount_vs_week=AMOUNT / mean, amount_z_week=(AMOUNT - mean) / std
    )


def main() -> None:
    from workloads import cards

    work = cards(events_of(__doc__))
    events = pl.from_arrow(work.table())
    threads = pl.thread_pool_size()
    measured = {}
    for name, run in (("cards_18", cards_18), ("cards_30", cards_30)):
        seconds, rows = timed(lambda run=run: run(events))
        rows = rows.select(pl.exclude("amount"))
        measured[f"polars_{threads}_{name}"] = {
            "events": len(work), "events_per_s": len(work) / seconds, "sums": check_table(work, rows.to_arrow()),
        }  # fmt: skip
    report(**measured)


if __name__ == "__main__":
    main()
