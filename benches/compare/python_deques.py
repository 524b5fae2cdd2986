"""cards-30 as a careful Python programmer writes it by hand: deques, running sums, monotonic deques. A yardstick.

`python benches/compare/python_deques.py --events 100000` prints one line of JSON. Running sums drift; that is part of
what is compared. It needs numpy (for the events) and nothing else; nothing imports it.
"""

from __future__ import annotations

from collections import Counter, deque
from math import nan, sqrt

from yardstick import check_row, events_of, latencies, report, sampled

HOUR_US = 3_600_000_000


class Window:
    """One key's amounts over one rolling window."""

    __slots__ = ("entries", "highest", "length", "lowest", "square", "total")

    def __init__(self, length_us: int) -> None:
        self.length = length_us
        self.entries: deque = deque()
        self.lowest: deque = deque()
        self.highest: deque = deque()
        self.total = self.square = 0.0

    def push(self, ts: int, amount: float) -> None:
        entries, lowest, highest = self.entries, self.lowest, self.highest
        edge = ts - self.length
        while entries and entries[0][0] <= edge:
            _, old = entries.popleft()
            self.total -= old
            self.square -= old * old
        while lowest and lowest[0][0] <= edge:
            lowest.popleft()
        while highest and highest[0][0] <= edge:
            highest.popleft()
        entry = (ts, amount)
        entries.append(entry)
        self.total += amount
        self.square += amount * amount
        while lowest and lowest[-1][1] >= amount:
            lowest.pop()
        lowest.append(entry)
        while highest and highest[-1][1] <= amount:
            highest.pop()
        highest.append(entry)

    def values(self, row: list) -> tuple[float, float]:
        count = len(self.entries)
        mean = self.total / count
        std = sqrt(max(self.square - self.total * mean, 0.0) / (count - 1)) if count > 1 else nan
        row += (count, self.total, mean, std, self.lowest[0][1], self.highest[0][1])
        return mean, std


class Card:
    """One card: three windows of amounts, merchants seen, declines, and the payment before."""

    __slots__ = ("amount", "declines", "merchants", "ts", "windows")

    def __init__(self) -> None:
        self.windows = [Window(hours * HOUR_US) for hours in (1, 24, 168)]
        self.merchants = [(hours * HOUR_US, deque(), Counter()) for hours in (24, 168)]
        self.declines = [(hours * HOUR_US, deque()) for hours in (1, 24)]
        self.ts: int | None = None
        self.amount = nan


class Merchant:
    """One merchant: count and sum over two windows."""

    __slots__ = ("windows",)

    def __init__(self) -> None:
        self.windows = [[hours * HOUR_US, deque(), 0.0] for hours in (1, 24)]


class Engine:
    """`push(event)` returns the thirty values in the order of cards-30."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.sellers: dict[str, Merchant] = {}

    def push(self, event: dict) -> list:
        ts, amount, seller = event["ts"], event["amount"], event["merchant"]
        card = self.cards.get(event["card"])
        if card is None:
            card = self.cards[event["card"]] = Card()
        row: list = []
        for window in card.windows:
            window.push(ts, amount)
            mean, std = window.values(row)
        for length, entries, seen in card.merchants:
            edge = ts - length
            while entries and entries[0][0] <= edge:
                _, old = entries.popleft()
                if seen[old] == 1:
                    del seen[old]
                else:
                    seen[old] -= 1
            entries.append((ts, seller))
            seen[seller] += 1
            row.append(len(seen))
        for length, entries in card.declines:
            edge = ts - length
            while entries and entries[0] <= edge:
                entries.popleft()
            if event["declined"]:
                entries.append(ts)
            row.append(len(entries))
        row.append(card.amount)
        row.append(nan if card.ts is None else (ts - card.ts) / 1e6)
        card.ts, card.amount = ts, amount
        row.append(amount / mean)
        row.append((amount - mean) / std if std else nan)
        merchant = self.sellers.get(seller)
        if merchant is None:
            merchant = self.sellers[seller] = Merchant()
        for window in merchant.windows:
            length, entries, total = window
            edge = ts - length
            while entries and entries[0][0] <= edge:
                total -= entries.popleft()[1]
            entries.append((ts, amount))
            total += amount
            window[2] = total
            row += (len(entries), total / len(entries))
        return row


NAMES = [
    *(f"amount_{name}_card_{window}" for window in ("1h", "24h", "7d")
      for name in ("count", "sum", "mean", "std", "min", "max")),
    "merchants_24h", "merchants_7d", "declines_1h", "declines_24h", "previous_amount", "seconds_since_previous",
    "amount_vs_week", "amount_z_week", "merchant_count_1h", "merchant_mean_1h", "merchant_count_24h",
    "merchant_mean_24h",
]  # fmt: skip


def main() -> None:
    from workloads import cards

    work = cards(events_of(__doc__))
    engine, kept = Engine(), {}
    wanted = set(sampled(len(work)))

    def push(numbered: tuple[int, dict]) -> None:
        row = engine.push(numbered[1])
        if numbered[0] in wanted:
            kept[numbered[0]] = row

    spread, _ = latencies(push, list(enumerate(work.dicts())))
    for event, row in kept.items():
        check_row(work, event, dict(zip(NAMES, row, strict=True)))
    report(python_deques_cards_30={"events": len(work), "events_per_s": 1e6 / spread["mean_us"], **spread})


if __name__ == "__main__":
    main()
