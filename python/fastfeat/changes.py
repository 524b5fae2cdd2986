"""What a change of the definition keeps, begins anew and drops, before it is done: `old.plan(new)`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from fastfeat.sizes import size_text

__all__ = ["DefinitionChange", "FeatureChange", "TableChange", "read_change"]

# Bytes of a checkpoint that are read, and of state that is carried, in a second: rough, as machines and states differ.
READ_PER_SECOND: Final = 150e6
CARRIED_PER_SECOND: Final = 100e6


@dataclass(frozen=True)
class FeatureChange:
    """What becomes of a feature."""

    name: str
    fate: Literal["kept", "new", "changed", "dropped"]
    """`changed`: another feature of the same name."""
    at_once: bool
    """Whether it has its whole past at once: it is kept, or the kept state knows all that it asks."""
    why: str | None
    """What differs, where it is changed."""
    tables: tuple[str, ...]
    """The tables of the state that it reads, or where it is dropped has read."""


@dataclass(frozen=True)
class TableChange:
    """What becomes of a table of the state: one stream by one key."""

    name: str
    """E.g. `payments by card`; `payments by card since change 1` where a change began it beside that."""
    fate: Literal["kept", "trimmed", "new", "dropped"]
    """`trimmed`: kept, without what only features that are gone have read."""
    bytes_before: int | None
    """Measured or estimated; None where nothing is known of it."""
    bytes_after: int | None
    """Of a table that is trimmed about, of a new one when its windows have filled; None where nothing is known."""


@dataclass(frozen=True)
class DefinitionChange:
    """From one definition to another: it iterates over its features, compares, prints as a table, and goes to JSON.

    >>> import fastfeat as ff
    >>> taps = ff.Stream("taps", {"ts": ff.Timestamp("us"), "user": ff.String()}, time="ts")
    >>> old = taps.features(hour=ff.count().over("user", "1h"), day=ff.count().over("user", "1d"))
    >>> new = taps.features(hour=ff.count().over("user", "1h"), week=ff.count().over("user", "7d"))
    >>> print(old.plan(new))
    1 feature kept, 1 new, 0 changed, 1 dropped
      feature  becomes  what it has                  reads
      hour     kept     all of its past              taps by user
      week     new      what comes after the change  taps by user since change 1
      day      dropped  nothing                      taps by user
      table                        becomes  bytes before  bytes after
      taps by user                 trimmed  ?             ?
      taps by user since change 1  new                    ?
    """

    features: tuple[FeatureChange, ...]
    """In the order of the new definition; then those that are dropped."""
    tables: tuple[TableChange, ...]
    """Those of the old definition, then the new ones."""
    measured: Literal["engine", "checkpoint", "estimate"] | None = None
    """Where the bytes before come from."""

    @property
    def kept(self) -> tuple[str, ...]:
        """Features that are the same and keep their state."""
        return self._of("kept")

    @property
    def new(self) -> tuple[str, ...]:
        """Features of new names."""
        return self._of("new")

    @property
    def changed(self) -> tuple[str, ...]:
        """Features that are others under an old name: `Engine.restore` refuses them, or restarts those it is told."""
        return self._of("changed")

    @property
    def dropped(self) -> tuple[str, ...]:
        """Features that are gone."""
        return self._of("dropped")

    @property
    def bytes_kept(self) -> int | None:
        """Bytes of state that stay, about; None where nothing is known."""
        return _sum(each.bytes_after for each in self.tables if each.fate in ("kept", "trimmed"))

    @property
    def bytes_dropped(self) -> int | None:
        """Bytes of state that go, about; None where nothing is known."""
        gone = ((each.bytes_before, each.bytes_after) for each in self.tables if each.fate in ("trimmed", "dropped"))
        return _sum(None if before is None or after is None else before - after for before, after in gone)

    @property
    def seconds(self) -> float | None:
        """How long `Engine.restore` takes for it, about; None where nothing is known of the bytes."""
        before = _sum(each.bytes_before for each in self.tables if each.fate != "new")
        if before is None or self.bytes_kept is None:
            return None
        return before / READ_PER_SECOND + self.bytes_kept / CARRIED_PER_SECOND

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        totals = {"bytes_kept": self.bytes_kept, "bytes_dropped": self.bytes_dropped, "seconds": self.seconds}
        return asdict(self) | totals

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def _of(self, fate: str) -> tuple[str, ...]:
        return tuple(each.name for each in self.features if each.fate == fate)

    def __iter__(self) -> Iterator[FeatureChange]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def __str__(self) -> str:
        counts = [len(names) for names in (self.kept, self.new, self.changed, self.dropped)]
        title = "{} feature{} kept, {} new, {} changed, {} dropped".format(
            counts[0], "s" * (counts[0] != 1), *counts[1:]
        )
        if self.seconds is not None and self.bytes_kept is not None and self.bytes_dropped is not None:
            sizes = f"{size_text(self.bytes_kept)} kept and {size_text(self.bytes_dropped)} dropped"
            title += f"\nabout {sizes}, in about {self.seconds:.1f} s"
        features = [("feature", "becomes", "what it has", "reads")]
        features += [(each.name, each.fate, _has(each), ", ".join(each.tables)) for each in self.features]
        tables = [("table", "becomes", "bytes before", "bytes after")]
        tables += [
            (each.name, each.fate, "" if each.fate == "new" else _size(each.bytes_before), _size(each.bytes_after))
            for each in self.tables
        ]
        return "\n".join([title, *_lines(features), *_lines(tables)])


def read_change(
    text: str,
    before: dict[int, int] | None,
    begun: dict[str, int] | None,
    measured: Literal["engine", "checkpoint", "estimate"] | None,
) -> DefinitionChange:
    """What the compiler says of a change, with the bytes of tables before it, by place, and of new ones, by name."""
    told = json.loads(text)
    features = tuple(
        FeatureChange(each["name"], each["fate"], each["at_once"], each["why"], tuple(each["tables"]))
        for each in told["features"]
    )
    tables = []
    for each in told["tables"]:
        size = 0 if each["old"] is None else None if before is None else before.get(each["old"])
        after: int | None = size
        if each["fate"] == "dropped":
            after = 0
        elif each["fate"] == "trimmed" and size is not None:
            after = round(size * each["bits"][1] / max(each["bits"][0], 1))
        elif each["fate"] == "new":
            after = None if begun is None else begun.get(each["name"].split(" since change ")[0])
        tables.append(TableChange(each["name"], each["fate"], size, after))
    return DefinitionChange(features, tuple(tables), measured)


def _has(feature: FeatureChange) -> str:
    if feature.fate == "dropped":
        return "nothing"
    past = "all of its past" if feature.at_once else "what comes after the change"
    return f"{past}: {feature.why}" if feature.why else past


def _size(size: int | None) -> str:
    return "?" if size is None else size_text(size)


def _sum(sizes: Iterator[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    cells = (zip(row, widths, strict=True) for row in rows)
    return ["  " + "  ".join(cell.ljust(width) for cell, width in row).rstrip() for row in cells]
