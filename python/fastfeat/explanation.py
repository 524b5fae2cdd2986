"""Explanations: why a feature has the value it has, down to the events in its windows. `Engine.explain` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

__all__ = ["ExplainedAggregation", "ExplainedEvent", "Explanation"]

EVENTS_SHOWN_MAX: Final = 20


@dataclass(frozen=True)
class ExplainedEvent:
    """One event as the state of a key keeps it."""

    time: datetime
    """When it happened."""
    values: Mapping[str, Any]
    """What the state keeps of it: the values that the aggregation reads, None for null."""
    counts: bool
    """Whether it has a value and meets the aggregation's filter."""


@dataclass(frozen=True)
class ExplainedAggregation:
    """One aggregation of a feature: its window, and the events there."""

    definition: str
    """As it is written."""
    value: Any
    """Its value, None for null."""
    since: datetime | None
    """Where its window begins, None when nothing is too old for it."""
    until: datetime
    """Where its window ends."""
    events: tuple[ExplainedEvent, ...]
    """Those inside, oldest first; of windows that keep no events, none."""
    left: tuple[ExplainedEvent, ...]
    """The newest of those that were inside and are no more, at most 10, oldest first."""
    kept: bool = True
    """Whether the window keeps events: all-time and hopping ones keep only what their aggregations need."""


@dataclass(frozen=True)
class Explanation:
    """A feature's value at a time, and what it is made of. It prints as a table.

    >>> from datetime import timezone
    >>> noon, one = (datetime(2026, 11, 24, hour, tzinfo=timezone.utc) for hour in (12, 13))
    >>> inside = (ExplainedEvent(one, {"amount": 5.0}, counts=True),)
    >>> spend = ExplainedAggregation("col('amount').sum().over('card', '1h')", 5.0, noon, one, inside, ())
    >>> print(Explanation("spend", "col('amount').sum().over('card', '1h')", {"card": "c-1"}, one, 5.0, (spend,)))
    spend = 5.0 at 2026-11-24T13:00:00+00:00, card='c-1'
    <BLANKLINE>
    col('amount').sum().over('card', '1h') = 5.0
    from 2026-11-24T12:00:00+00:00 until 2026-11-24T13:00:00+00:00: 1 event, 1 counts
      time                       amount  counts
      2026-11-24T13:00:00+00:00  5.0     yes
    """

    feature: str
    """Name of the feature."""
    definition: str
    """As it is written."""
    keys: Mapping[str, Any]
    """What it was asked for."""
    at: datetime
    """The time it is as of."""
    value: Any
    """Its value, None for null."""
    aggregations: tuple[ExplainedAggregation, ...]
    """Those it is made of, in the order in which they are written."""

    def __str__(self) -> str:
        asked = "".join(f", {name}={value!r}" for name, value in self.keys.items())
        lines = [f"{self.feature} = {self.value!r} at {self.at.isoformat()}{asked}"]
        if [each.definition for each in self.aggregations] != [self.definition]:
            lines.append(self.definition)
        for each in self.aggregations:
            lines += ["", f"{each.definition} = {each.value!r}", _summary(each)]
            lines += [f"  {line}" for line in _aligned([_header(each), *_rows(each)])] if each.events else []
            if each.left:
                lines.append("just left:")
                lines += [f"  {line}" for line in _aligned([_header(each), *map(_row, each.left)])]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        asked = "".join(f", {escape(name)}={escape(repr(value))}" for name, value in self.keys.items())
        title = f"{escape(self.feature)} = {escape(repr(self.value))} at {self.at.isoformat()}{asked}"
        return f"<p><b>{title}</b><br><code>{escape(self.definition)}</code></p>" + "".join(
            f"<p><code>{escape(each.definition)}</code> = {escape(repr(each.value))}<br>{_summary(each)}</p>"
            + _table(each, list(_rows(each)) if each.events else [])
            + (f"<p>just left:</p>{_table(each, list(map(_row, each.left)))}" if each.left else "")
            for each in self.aggregations
        )


def _summary(each: ExplainedAggregation) -> str:
    """The window in a line."""
    since = "all time" if each.since is None else f"from {each.since.isoformat()}"
    window = f"{since} until {each.until.isoformat()}"
    if not each.kept:
        return f"{window}: no single event is kept"
    counted = sum(event.counts for event in each.events)
    return f"{window}: {_many(len(each.events), 'event')}, {counted} {'counts' if counted == 1 else 'count'}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _header(each: ExplainedAggregation) -> list[str]:
    return ["time", *(each.events or each.left)[0].values, "counts"]


def _row(event: ExplainedEvent) -> list[str]:
    return [event.time.isoformat(), *map(repr, event.values.values()), "yes" if event.counts else "no"]


def _rows(each: ExplainedAggregation) -> Iterator[list[str]]:
    """The events inside; of many the oldest, which leave first, and the newest."""
    if len(each.events) <= EVENTS_SHOWN_MAX:
        yield from map(_row, each.events)
        return
    half = EVENTS_SHOWN_MAX // 2
    yield from map(_row, each.events[:half])
    yield [f"… {len(each.events) - 2 * half} more"]
    yield from map(_row, each.events[-half:])


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    columns = max(map(len, rows))
    widths = [max(len(row[place]) for row in rows if place < len(row)) for place in range(columns)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))


def _table(each: ExplainedAggregation, rows: list[list[str]]) -> str:
    if not rows:
        return ""
    header = "".join(f"<th>{escape(cell)}</th>" for cell in _header(each))
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
