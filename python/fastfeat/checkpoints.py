"""What is inside a checkpoint, without its definition: that stands in the file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fastfeat import _core
from fastfeat.places import checkpoint_path, is_address, option_pairs

__all__ = ["PART", "Folder", "inspect_checkpoint"]

PART: Final = ".part"
"""Ends the names of files that are being written."""


def inspect_checkpoint(
    path: str | os.PathLike[str],
    *,
    key: Mapping[str, str] | None = None,
    store_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A file or a folder, by its path or address, as plain data.

    That is `manifest`, and by chain the files with their sections, counters and tables.

    Every checksum is looked at; what is damaged is told in `damage` of its file. With `key`, e.g. `{"card": "c-1"}`,
    `keys` has the events that each table of this key keeps. Raises CheckpointError where the disk cannot be read.

    >>> import tempfile
    >>> import fastfeat as ff
    >>> logins = ff.Stream("logins", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
    >>> engine = ff.Engine(logins.features(n=ff.count().over("card", "1h")))
    >>> row = engine.push({"ts": 0, "card": "c-1"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = engine.checkpoint(folder)
    ...     found = inspect_checkpoint(folder, key={"card": "c-1"})
    >>> found["manifest"], found["chains"][0][0]["whole"], found["keys"][0]["events"]
    ('whole', True, [{'time': '1970-01-01T00:00:00Z'}])
    """
    pairs = [(str(name), str(value)) for name, value in (key or {}).items()]
    found: dict[str, Any] = json.loads(
        _core.inspect_checkpoint(checkpoint_path(path), pairs, option_pairs(store_options))
    )
    return found


class Folder:
    """A folder of files that a worker names itself: of this machine, or in an object store by its address."""

    def __init__(self, place: str | os.PathLike[str], *names: str) -> None:
        self.place = "/".join([place.rstrip("/"), *names]) if is_address(place) else str(Path(place, *names))
        self._is_store = is_address(self.place)

    def path(self, name: str) -> str:
        """Where a file of this name is.

        >>> Folder("s3://bucket/state", "00001").path("7.ff")
        's3://bucket/state/00001/7.ff'
        """
        return f"{self.place}/{name}"

    def make(self) -> None:
        """Makes it, and what it lies in; a store has no folders to make."""
        if not self._is_store:
            Path(self.place).mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """Names of its files; none where it is not there."""
        if self._is_store:
            return _core.stored_names(self.place)
        try:
            return sorted(os.listdir(self.place))
        except FileNotFoundError:
            return []

    def remove(self, names: list[str]) -> None:
        """Removes files; some that are not there do no harm."""
        if not names:
            return
        if self._is_store:
            _core.remove_stored(self.place, names)
        else:
            for name in names:
                Path(self.place, name).unlink(missing_ok=True)

    def size_bytes(self, name: str) -> int:
        """Bytes of a file."""
        return _core.stored_bytes(self.path(name)) if self._is_store else Path(self.place, name).stat().st_size
