"""What is inside a checkpoint, without its definition: that stands in the file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from fastfeat import _core

__all__ = ["inspect_checkpoint"]


def inspect_checkpoint(path: str | os.PathLike[str], *, key: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A file or a folder as plain data: `manifest`, and by chain the files with their sections, counters and tables.

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
    found: dict[str, Any] = json.loads(_core.inspect_checkpoint(os.fspath(path), pairs))
    return found
