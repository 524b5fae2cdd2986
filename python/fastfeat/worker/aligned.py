"""Several sources read so that none runs ahead of another that has more to give: a backlog is taken by its times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from fastfeat.sources.kafka import Reader

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

__all__ = ["cut", "read_aligned"]

WAIT_SECONDS_MAX: Final = 5.0
"""A source that has more and gives nothing for so long holds the others up no longer."""

Records = list[list["ConsumerRecord[Any, Any]"]]


async def read_aligned(reader: Reader, *, rows_max: int, timeout_ms: int) -> Records:
    """What comes next of each source, up to where the order in time is known. The rest is kept by the reader."""
    records = await reader.read(rows_max=rows_max, timeout_ms=timeout_ms)
    if len(records) == 1 or not any(records):
        return records
    more = await reader.more()
    begun = time.monotonic()
    while any(has and not some for has, some in zip(more, records, strict=True)):
        if time.monotonic() - begun > WAIT_SECONDS_MAX:
            more = [has and bool(some) for has, some in zip(more, records, strict=True)]
            break
        lacking = [place for place, (has, some) in enumerate(zip(more, records, strict=True)) if has and not some]
        for have, new in zip(records, await reader.read(rows_max=rows_max, timeout_ms=50, places=lacking), strict=True):
            have.extend(new)
        more = await reader.more()
    counts = cut(records, more)
    reader.unread([some[count:] for some, count in zip(records, counts, strict=True)])
    return [some[:count] for some, count in zip(records, counts, strict=True)]


def cut(records: Sequence[Sequence[Any]], more: Sequence[bool]) -> list[int]:
    """How many records of each source may be taken now, where some have `more`, which may be as old as their last one.

    At equal times the source that is named first goes first, as within a stretch.
    """
    ends = [(max(one.timestamp for one in some), place) for place, some in enumerate(records) if more[place] and some]
    if not ends:
        return [len(some) for some in records]
    bound = min(ends)
    counts = []
    for place, some in enumerate(records):
        # One source's records stay in order, so its first one that is too new ends what it gives.
        fit = (n for n, one in enumerate(some) if (one.timestamp, place) > bound)
        counts.append(len(some) if place == bound[1] else next(fit, len(some)))
    return counts
