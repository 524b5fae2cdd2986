"""Files as a sink: JSON lines or Parquet; `-` is stdout. A file is there when it is whole, and not before."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from fastfeat.errors import FastfeatError

__all__ = ["FileSink", "FileSinkError", "JsonLinesFile", "ParquetFile", "open_sink"]


class FileSinkError(FastfeatError, OSError):
    """A file that cannot be written; the message says why and the way out."""

    code = "file"


class FileSink(Protocol):
    """Takes rows in order; `close` makes them last, `discard` leaves nothing behind."""

    def write(self, rows: Sequence[dict[str, Any]], lines: Sequence[bytes]) -> None:
        """Rows by column, and the same as lines of JSON."""

    def close(self) -> None:
        """All rows are written."""

    def discard(self) -> None:
        """It is given up."""


class JsonLinesFile:
    """One object a line, as it would have gone to Kafka."""

    def __init__(self, path: str) -> None:
        self._path = None if path == "-" else Path(path)
        self._part = None if self._path is None else _part(self._path)
        self._file: IO[bytes] = sys.stdout.buffer if self._part is None else self._part.open("wb")

    def write(self, rows: Sequence[dict[str, Any]], lines: Sequence[bytes]) -> None:
        """Adds lines."""
        self._file.write(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        """Syncs, and gives the file its name."""
        self._file.flush()
        if self._path is not None and self._part is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)

    def discard(self) -> None:
        """Removes what was begun."""
        if self._part is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


class ParquetFile:
    """A column for the id, each feature, and the score."""

    def __init__(self, path: str, schema: Any) -> None:
        try:
            import pyarrow as pa  # type: ignore[import-untyped]
            import pyarrow.parquet as pq  # type: ignore[import-untyped]
        except ImportError:
            raise ImportError('a Parquet file needs pyarrow: pip install "fastfeat[arrow]"') from None
        self._path, self._part, self._schema, self._table = Path(path), _part(Path(path)), schema, pa.Table
        self._writer = pq.ParquetWriter(self._part, schema)

    def write(self, rows: Sequence[dict[str, Any]], lines: Sequence[bytes]) -> None:
        """Adds a row group."""
        if rows:
            self._writer.write_table(self._table.from_pylist(list(rows), schema=self._schema))

    def close(self) -> None:
        """Writes the footer, and gives the file its name."""
        self._writer.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Removes what was begun."""
        self._writer.close()
        self._part.unlink(missing_ok=True)


def open_sink(path: str, schema: Any) -> FileSink:
    """By the end of its name; `schema` gives the Arrow schema where one is needed."""
    suffix = Path(path).suffix
    try:
        if suffix in (".parquet", ".pq"):
            return ParquetFile(path, schema())
        if path == "-" or suffix in (".jsonl", ".ndjson"):
            return JsonLinesFile(path)
    except OSError as error:
        raise FileSinkError(f"output `{path}` cannot be written: {error}") from error
    raise FileSinkError(f"output `{path}` ends in `{suffix}`; use .jsonl, .ndjson, .parquet, .pq, or - for stdout")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
