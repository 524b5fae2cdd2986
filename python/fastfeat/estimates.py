"""What the state will take, before anything is deployed: `features.estimate(keys=..., events_per_key_per_day=...)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import Final

from fastfeat.compiler import Compiled
from fastfeat.durations import duration_ns
from fastfeat.errors import DefinitionError, nearest, shown
from fastfeat.sizes import size_text

__all__ = ["Estimate", "TableEstimate", "estimate"]

KEYS_MAX: Final = 2**32 - 1
EVENTS_MAX: Final = 1e9
DAYS_MAX: Final = 36_500.0
TEXT_BYTES_MAX: Final = 1_048_576
_PLACE: Final = "estimate"


@dataclass(frozen=True)
class TableEstimate:
    """What the state of one stream by one key will take."""

    name: str
    """E.g. `payments by card`."""
    key: tuple[str, ...]
    """What its key is made of; empty where there is one state for the whole stream."""
    keys: int
    """Keys with an event that some window still sees."""
    bytes: int
    """What they take together."""

    @property
    def bytes_per_key(self) -> float:
        """What one of them takes, on average."""
        return self.bytes / self.keys if self.keys else 0.0


@dataclass(frozen=True)
class Estimate:
    """What the state of some features will take. It prints as a table.

    >>> print(Estimate((TableEstimate("payments by card", ("card",), 2_000, 3 << 20),), 1_024))
    3.0 MiB of state
      table             keys   bytes/key  bytes
      payments by card  2,000  1,573      3.0 MiB
      texts of events                     1.0 KiB
    """

    tables: tuple[TableEstimate, ...]
    """By table, in the order of `features.describe()`."""
    text_bytes: int
    """Texts that events hold, once each; texts of keys are in the tables."""

    @property
    def bytes(self) -> int:
        """What `engine.stats()["state_bytes"]` will be, about, without the rows of lookups."""
        return sum(table.bytes for table in self.tables) + self.text_bytes

    @property
    def keys(self) -> int:
        """Keys with state, over all tables."""
        return sum(table.keys for table in self.tables)

    @property
    def bytes_per_key(self) -> float:
        """What a key takes, on average over all tables."""
        return self.bytes / self.keys if self.keys else 0.0

    def __str__(self) -> str:
        rows = [("table", "keys", "bytes/key", "bytes"), *self._rows()]
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"{size_text(self.bytes)} of state", *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._rows())
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        header = "".join(f"<th>{cell}</th>" for cell in ("table", "keys", "bytes/key", "bytes"))
        title = f"{size_text(self.bytes)} of state"
        return f"<table><caption>{title}</caption><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [
            (table.name, f"{table.keys:,}", f"{table.bytes_per_key:,.0f}", size_text(table.bytes))
            for table in self.tables
        ]
        return [*rows, ("texts of events", "", "", size_text(self.text_bytes))] if self.text_bytes else rows


def estimate(
    compiled: Compiled,
    *,
    keys: int | Mapping[str, int],
    events_per_key_per_day: float | Mapping[str, float],
    days: float,
    key_bytes: int,
    texts: int,
    text_bytes: int,
    idle_after: str | timedelta | None,
) -> Estimate:
    """What `FeatureSet.estimate` is: what is expected by table, then the compiler."""
    tables = compiled.tables
    each_keys = _by_table("keys", keys, tables)
    each_rate = _by_table("events_per_key_per_day", events_per_key_per_day, tables)
    expected = [
        (_whole(f"keys of `{name}`", count, KEYS_MAX), _number(f"events_per_key_per_day of `{name}`", rate, EVENTS_MAX))
        for (name, _), count, rate in zip(tables, each_keys, each_rate, strict=True)
    ]
    # Without a key there is one state, and every event is its own.
    all_events = max((count * rate for count, rate in expected), default=0.0)
    found, text_total = compiled.estimate(
        [each if key else (1, all_events) for each, (_, key) in zip(expected, tables, strict=True)],
        days=_number("days", days, DAYS_MAX),
        key_bytes=_whole("key_bytes", key_bytes, TEXT_BYTES_MAX),
        texts=_whole("texts", texts, KEYS_MAX),
        text_bytes=_whole("text_bytes", text_bytes, TEXT_BYTES_MAX),
        idle_after_ns=None if idle_after is None else duration_ns(_PLACE, "idle_after", idle_after),
    )
    rows = zip(tables, found, strict=True)
    return Estimate(tuple(TableEstimate(name, key, *sizes) for (name, key), sizes in rows), text_total)


def _by_table(
    what: str, given: float | Mapping[str, int] | Mapping[str, float], tables: tuple[tuple[str, tuple[str, ...]], ...]
) -> list[float]:
    """The number of each table: one for all, or by key or name of a table."""
    if not isinstance(given, Mapping):
        return [given] * len(tables)
    numbers: Mapping[str, float] = given
    names = {", ".join(key) for _, key in tables} | {name for name, _ in tables}
    for name in numbers:
        if name not in names:
            hint = nearest(str(name), sorted(names)) or f" there are {', '.join(f'`{each}`' for each in sorted(names))}"
            raise DefinitionError(_PLACE, f"{what} has `{name}`, which is no key of the features;{hint}")
    found = []
    for name, key in tables:
        number = numbers.get(name, numbers.get(", ".join(key)))
        if number is None and key:
            raise DefinitionError(
                _PLACE, f"{what} says nothing of `{', '.join(key)}`; write one number, or one for each key"
            )
        found.append(0 if number is None else number)
    return found


def _whole(what: str, number: object, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise DefinitionError(_PLACE, f"{what} is {shown(number)}; write a whole number from 0 to {most}")
    return number


def _number(what: str, number: object, most: float) -> float:
    if (
        isinstance(number, bool)
        or not isinstance(number, (int, float))
        or not 0 <= number <= most
        or math.isnan(number)
    ):
        raise DefinitionError(_PLACE, f"{what} is {shown(number)}; write a number from 0 to {most:g}")
    return float(number)
