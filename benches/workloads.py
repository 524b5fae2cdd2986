"""The `cards` work: seeded card payments, and the 18 and 30 features that every benchmark here computes over them.

20,000 cards (Zipf 0.8), 2,000 merchants (Zipf 1.0), 40 countries, 21 days, times unique and increasing;
amount = exp(N(3.2, 1.1)) rounded to cents, 4 % declined. `expected` is the slow obvious answer for one event.
"""

from __future__ import annotations

import math
import os
import statistics
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

SEED = 20_240_601
DAYS = 21
CARDS, MERCHANTS, COUNTRIES = 20_000, 2_000, 40
START_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000
HOURS = {"1h": 1, "24h": 24, "7d": 168}


def events_wanted() -> int:
    """How many events a benchmark runs: a million, or what FASTFEAT_BENCH_EVENTS says."""
    return int(os.environ.get("FASTFEAT_BENCH_EVENTS", "1000000"))


@dataclass(frozen=True)
class Cards:
    """The events, column by column."""

    ts: np.ndarray
    card: np.ndarray
    merchant: np.ndarray
    country: np.ndarray
    amount: np.ndarray
    declined: np.ndarray

    def __len__(self) -> int:
        return len(self.ts)

    def dicts(self, start: int = 0, stop: int | None = None) -> list[dict]:
        """Events as a service gets them; `ts` in microseconds."""
        part = slice(start, stop)
        return [
            {"ts": ts, "card": f"c-{card}", "merchant": f"m-{merchant}", "country": f"k-{country}", "amount": amount,
             "declined": declined}
            for ts, card, merchant, country, amount, declined in zip(
                self.ts[part].tolist(), self.card[part].tolist(), self.merchant[part].tolist(),
                self.country[part].tolist(), self.amount[part].tolist(), self.declined[part].tolist(), strict=True,
            )
        ]  # fmt: skip

    def table(self, start: int = 0, stop: int | None = None):
        """The same as an Arrow table."""
        import pyarrow as pa

        part = slice(start, stop)
        return pa.table(
            {
                "ts": pa.array(self.ts[part], pa.timestamp("us", tz="UTC")),
                "card": _texts("c-", self.card[part]),
                "merchant": _texts("m-", self.merchant[part]),
                "country": _texts("k-", self.country[part]),
                "amount": self.amount[part],
                "declined": self.declined[part],
            }
        )

    def save(self, path: Path) -> None:
        """For the programs in Rust: `rust/engine/benches/compare/events.rs` has the layout."""
        columns = (
            ("ts", "<i8"),
            ("amount", "<f8"),
            ("card", "<u4"),
            ("merchant", "<u4"),
            ("country", "u1"),
            ("declined", "u1"),
        )
        with path.open("wb") as file:
            file.write(b"FFCARDS1" + len(self).to_bytes(8, "little"))
            for name, kind in columns:
                getattr(self, name).astype(kind).tofile(file)

    def out_of_order(self, share: float, most_us: int, seed: int = SEED) -> Cards:
        """The same events as they arrive when a share of them is up to `most_us` late."""
        random = np.random.Generator(np.random.PCG64(seed))
        late = random.random(len(self)) < share
        arrival = self.ts + late * random.integers(0, most_us, len(self))
        return self.take(np.argsort(arrival, kind="stable"))

    def take(self, order: np.ndarray) -> Cards:
        """Some of the events, in this order."""
        return Cards(**{each.name: getattr(self, each.name)[order] for each in fields(self)})

    @cached_property
    def rows_of(self) -> dict[str, np.ndarray]:
        """Event numbers in order, grouped by card and by merchant: `rows_of["card"][places["card"][k]:...]`."""
        return {name: np.argsort(getattr(self, name), kind="stable") for name in ("card", "merchant")}

    def rows(self, name: str, event: int) -> np.ndarray:
        """The events up to and with `event` that share its card or merchant."""
        order = self.rows_of[name]
        column = getattr(self, name)[order]
        start, stop = np.searchsorted(column, [getattr(self, name)[event], getattr(self, name)[event] + 1])
        mine = order[start:stop]
        return mine[mine <= event]


def cards(events: int | None = None, seed: int = SEED, *, keys: int = CARDS, exponent: float = 0.8) -> Cards:
    """`events` payments spread over 21 days; the same for the same seed. Exponent 0: no card is busier than another."""
    events = events_wanted() if events is None else events
    random = np.random.Generator(np.random.PCG64(seed))
    span = DAYS * 24 * HOUR_US
    ts = START_US + np.sort(random.integers(0, span - events, events)) + np.arange(events)
    return Cards(
        ts=ts,
        card=_zipf(random, keys, exponent, events),
        merchant=_zipf(random, MERCHANTS, 1.0, events),
        country=random.integers(0, COUNTRIES, events),
        amount=np.round(np.exp(random.normal(3.2, 1.1, events)), 2),
        declined=random.random(events) < 0.04,
    )


def stream(lateness: str = "0s"):
    """The schema of a payment."""
    import fastfeat as ff

    return ff.Stream(
        "payments",
        {
            "ts": ff.Timestamp("us"),
            "card": ff.String(max_bytes=64),
            "merchant": ff.String(max_bytes=64),
            "country": ff.String(max_bytes=64),
            "amount": ff.Float64(ge=0),
            "declined": ff.Boolean(),
        },
        time="ts",
        lateness=lateness,
    )


def cards_18():
    """By card over 1h, 24h, 7d of the amount: count, sum, mean, std, min, max."""
    return stream().features(*_per_card())


def cards_30(*, lateness: str = "0s", more_windows: tuple[str, ...] = ()):
    """cards-18, and distinct merchants, declines, what came before, the amount against its week, and the merchant.

    `more_windows` are windows of the amount beside the three.
    """
    import fastfeat as ff
    from fastfeat import col, count

    amount = col("amount")
    week = amount.mean().over("card", "7d"), amount.std().over("card", "7d")
    return stream(lateness).features(
        *_per_card(more_windows),
        merchants=col("merchant").n_unique().over("card", "24h", "7d"),
        declines=count().where(col("declined")).over("card", "1h", "24h"),
        previous_amount=amount.lag(1).over("card"),
        seconds_since_previous=ff.time_since_last().over("card"),
        amount_vs_week=amount / week[0],
        amount_z_week=(amount - week[0]) / week[1],
        merchant=amount.agg("count", "mean").over("merchant", "1h", "24h"),
    )


def expected(cards: Cards, event: int) -> dict[str, float]:
    """cards-30 of one event, computed from all events, by name; null is NaN."""
    ts, amount = cards.ts, cards.amount
    answer: dict[str, float] = {}
    mine, theirs = cards.rows("card", event), cards.rows("merchant", event)
    for window, hours in HOURS.items():
        inside = mine[ts[mine] > ts[event] - hours * HOUR_US]
        values = amount[inside].tolist()
        mean = math.fsum(values) / len(values)
        std = statistics.stdev(values) if len(values) > 1 else math.nan
        moments = {"count": len(values), "sum": math.fsum(values), "mean": mean, "std": std}
        answer |= {f"amount_{name}_card_{window}": x for name, x in moments.items()}
        answer |= {f"amount_min_card_{window}": min(values), f"amount_max_card_{window}": max(values)}
        if window != "1h":
            answer[f"merchants_{window}"] = len(set(cards.merchant[inside].tolist()))
        if window != "7d":
            answer[f"declines_{window}"] = int(cards.declined[inside].sum())
            inside = theirs[ts[theirs] > ts[event] - hours * HOUR_US]
            answer[f"merchant_count_{window}"] = len(inside)
            answer[f"merchant_mean_{window}"] = math.fsum(amount[inside].tolist()) / len(inside)
    before = mine[-2] if len(mine) > 1 else None
    answer["previous_amount"] = math.nan if before is None else amount[before]
    answer["seconds_since_previous"] = math.nan if before is None else (ts[event] - ts[before]) / 1e6
    mean, std = answer["amount_mean_card_7d"], answer["amount_std_card_7d"]
    answer["amount_vs_week"] = amount[event] / mean
    answer["amount_z_week"] = (amount[event] - mean) / std if std else math.nan
    return answer


def close(value: float, want: float, relative: float = 1e-9) -> bool:
    """Whether a feature is right: equal, or both null, or within the rounding that `semantics.md` allows."""
    both_null = math.isnan(value) and math.isnan(want)
    return both_null or math.isclose(value, want, rel_tol=relative, abs_tol=relative)


def _per_card(more_windows: tuple[str, ...] = ()):
    from fastfeat import col

    return [col("amount").agg("count", "sum", "mean", "std", "min", "max").over("card", *HOURS, *more_windows)]


def _zipf(random: np.random.Generator, names: int, exponent: float, size: int) -> np.ndarray:
    weights = np.arange(1, names + 1) ** -exponent
    return np.searchsorted(np.cumsum(weights) / weights.sum(), random.random(size), side="right").clip(max=names - 1)


def _texts(prefix: str, numbers: np.ndarray):
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers), pa.string()), "")
