"""Events again, between two positions: of one source as they lie, of several as the journal says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastfeat.protocol import Position
from fastfeat.sources.kafka import OffsetLost, Reader

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

__all__ = ["stretches", "up_to"]

READ_MS = 500


async def up_to(reader: Reader, end: Position, *, rows_max: int) -> AsyncIterator[list[ConsumerRecord[Any, Any]]]:
    """The records of the only source before `end`, from where the reader stands."""
    while True:
        (records,) = await reader.read(rows_max=rows_max, timeout_ms=READ_MS)
        if inside := [record for record in records if record.offset < end[0]]:
            yield inside
        if not records and (await reader.ends())[0] < end[0]:
            raise OffsetLost(
                f"{reader.places}: the group has committed {end}, behind the end of the topic; was it made anew?"
            )
        # The last offset before the end may be that of a marker, which is no record.
        if len(inside) < len(records) or (await reader.position())[0] >= end[0]:
            return


async def stretches(
    journal: Reader, reader: Reader, begin: Position, end: Position, *, rows_max: int
) -> AsyncIterator[list[list[ConsumerRecord[Any, Any]]]]:
    """The records of several sources, in the stretches in which they were taken the first time."""
    kept: list[list[ConsumerRecord[Any, Any]]] = [[] for _ in begin]
    at = begin
    while at != end:
        (entries,) = await journal.read(rows_max=rows_max, timeout_ms=READ_MS)
        for entry in entries:
            written = json.loads(entry.value)
            first, last = tuple(written["begin"]), tuple(written["end"])
            if first != at:
                continue
            while not _covered(kept, last, await reader.position()):
                for have, new in zip(kept, await reader.read(rows_max=rows_max, timeout_ms=READ_MS), strict=True):
                    have.extend(new)
            yield [[one for one in have if one.offset < to] for have, to in zip(kept, last, strict=True)]
            kept = [[one for one in have if one.offset >= to] for have, to in zip(kept, last, strict=True)]
            at = last
            if at == end:
                return


def _covered(kept: list[list[Any]], last: Position, position: Position) -> bool:
    """Whether all records before `last` are here."""
    places = zip(kept, last, position, strict=True)
    return all(at >= to or (have and have[-1].offset >= to - 1) for have, to, at in places)
