"""What a repartition makes of records: the same messages under another key, in the partition of that key. No state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastfeat.checkpoints import Folder
from fastfeat.pipeline import Repartition
from fastfeat.protocol import Position
from fastfeat.worker.state import Results

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

__all__ = ["Router"]


class Router:
    """Stands where a `State` stands. It needs no checkpoint: any position is as good as any other to begin at."""

    def __init__(self, pipeline: Repartition) -> None:
        self.folder = Folder(".")
        self.engine = None
        self.journal = 0
        self.unsynced = False
        self._by, self._pipeline = pipeline.by, pipeline
        self._topic = pipeline.sink.topic

    def ask(self, place: int, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """There are no schemas."""

    def empty(self) -> None:
        """Nothing to do."""

    def drop(self) -> None:
        """Nothing to do."""

    def restore(self, at_most: Position) -> Position | None:
        """It is there already."""
        return at_most

    def checkpoint(self, position: Position) -> int | None:
        """There is nothing to keep."""
        return None

    def push(self, place: int, records: Sequence[ConsumerRecord[Any, Any]], results: Results | None) -> None:
        """Finds the key of each record; one that has none is refused."""
        if results is None:
            return
        results.events += len(records)
        for record in records:
            try:
                event = json.loads(record.value or b"")
                parts = [event[name] for name in self._by]
            except (ValueError, KeyError, TypeError) as error:
                told = f"no key can be read from it: {type(error).__name__} {error}"
                results.refused.append((record, "undecodable", told, "[]"))
                continue
            # One part is itself, so that other clients come to the same key; several are a list of JSON.
            text = parts[0] if len(parts) == 1 and isinstance(parts[0], str) else json.dumps(parts)
            results.add([record], [record.value])
            results.keys[-1] = text.encode()
