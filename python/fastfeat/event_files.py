"""Events from files, for commands: Parquet as dicts, JSON lines as the bytes that they are."""

from __future__ import annotations

import heapq
import itertools
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastfeat.errors import FastfeatError
from fastfeat.schema import Timestamp, instant_ns
from fastfeat.streams import Stream

__all__ = ["EventFileError", "iter_events", "read_events"]

PARQUET: Final = (".parquet", ".pq")
LINES: Final = (".jsonl", ".ndjson", ".json")


class EventFileError(FastfeatError, ValueError):
    """A file of events that cannot be read; the message says which, why, and the way out."""


def read_events(
    paths: dict[str | None, Path], streams: dict[str, Stream], limit: int
) -> list[tuple[str | None, dict[str, Any] | bytes]]:
    """At most `limit` events of `iter_events`."""
    return list(itertools.islice(iter_events(paths, streams), limit))


def iter_events(
    paths: dict[str | None, Path], streams: dict[str, Stream]
) -> Iterator[tuple[str | None, dict[str, Any] | bytes]]:
    """The events with the names of their streams, in order; those of several files merged by time.

    `streams` are by name; the one whose path has no name (None) is the first of them. The path `-` is stdin.
    """
    own = next(iter(streams))
    if len(paths) == 1:
        ((name, path),) = paths.items()
        yield from ((name, event) for event in _read(path, streams[name or own]))
        return
    merged = heapq.merge(*(_timed(name, path, streams[name or own]) for name, path in paths.items()), key=_when)
    yield from ((name, event) for _, name, event in merged)


def _when(timed: tuple[int, str | None, Any]) -> int:
    return timed[0]


def _timed(name: str | None, path: Path, stream: Stream) -> Iterator[tuple[int, str | None, Any]]:
    """Events with their times; one without a readable time goes with the one before it, and is refused later."""
    kind, newest = stream.fields[stream.time], -(2**63)
    unit = kind.unit if isinstance(kind, Timestamp) else "us"
    ticks = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit]
    for event in _read(path, stream):
        try:
            value = (json.loads(event) if isinstance(event, bytes) else event)[stream.time]
            newest = value * ticks if isinstance(value, int) else instant_ns("event", _datetime(value))
        except (ValueError, KeyError, TypeError):
            pass
        yield newest, name, event


def _datetime(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))


def _read(path: Path, stream: Stream) -> Iterator[dict[str, Any] | bytes]:
    if path == Path("-"):
        yield from (line.rstrip(b"\r\n") for line in sys.stdin.buffer if line.strip())
        return
    if not path.is_file():
        raise EventFileError(f"events `{path}` is no file; name a Parquet file or a file of JSON lines")
    if path.suffix in PARQUET:
        yield from _parquet(path, stream)
    elif path.suffix in LINES:
        with path.open("rb") as file:
            yield from (line.rstrip(b"\r\n") for line in file if line.strip())
    else:
        raise EventFileError(f"events `{path}` end in `{path.suffix}`; use {', '.join((*PARQUET, *LINES))}")


def _parquet(path: Path, stream: Stream) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise EventFileError('a Parquet file needs pyarrow: pip install "fastfeat[arrow]"') from None
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise EventFileError(f"events `{path}` are no Parquet file: {error}") from error
    wanted = [name for name in file.schema_arrow.names if name in stream.fields]
    for batch in file.iter_batches(batch_size=16_384, columns=wanted):
        # Whole numbers in the stream's unit, as a service has them: a datetime costs more to read.
        table = pa.Table.from_batches([batch])
        for place, name in enumerate(wanted):
            kind, column = stream.fields[name], table.column(place)
            if isinstance(kind, Timestamp) and pa.types.is_timestamp(column.type):
                whole = column.cast(pa.timestamp(kind.unit, column.type.tz), safe=False).cast(pa.int64())
                table = table.set_column(place, name, whole)
        yield from table.to_pylist()
