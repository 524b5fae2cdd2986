"""Dead letters back to where they came from, repaired: each exactly once, whatever stops it in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any

from fastfeat.config import Settings
from fastfeat.pipeline import Pipeline
from fastfeat.sinks.kafka import Batch, Transactional
from fastfeat.sources.kafka import KafkaError, Reader, Topics

__all__ = ["Repair", "replay", "replay_now"]

Repair = Callable[[bytes], bytes | None]
"""From what was refused to what is put back; None leaves it."""

IDLE_MS = 500
PREFIX = "fastfeat."


async def replay(
    pipeline: Pipeline, settings: Settings, *, repair: Repair | None, codes: Collection[str], dry_run: bool
) -> dict[str, int]:
    """Reads the dead letters that were there when it began; how many were put back, and how many left."""
    if pipeline.dead_letters is None:
        raise KafkaError(f"pipeline `{pipeline.name}` has no dead letters; give it dead_letters=ff.Kafka(...)")
    topic, group = pipeline.dead_letters.topic, f"{settings.group}.dead-letters"
    topics = Topics(settings.connection(), group)
    found = await topics.partitions([topic])
    if topic not in found:
        raise KafkaError(f"topic `{topic}` is not there, so there are no dead letters")
    counts = {"put_back": 0, "left": 0}
    for number in range(found[topic]):
        await _partition(pipeline, settings, topics, (topic, number), group, repair, codes, dry_run, counts)
    return counts


def replay_now(
    pipeline: Pipeline, settings: Settings, *, repair: Repair | None, codes: Collection[str], dry_run: bool
) -> dict[str, int]:
    """The same, for callers without a loop."""
    return asyncio.run(replay(pipeline, settings, repair=repair, codes=codes, dry_run=dry_run))


async def _partition(
    pipeline: Pipeline,
    settings: Settings,
    topics: Topics,
    place: tuple[str, int],
    group: str,
    repair: Repair | None,
    codes: Collection[str],
    dry_run: bool,
    counts: dict[str, int],
) -> None:
    publisher = Transactional(
        settings.connection(),
        transactional_id=f"{pipeline.name}-{group}-{place[0]}-{place[1]}",
        group=group,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        deadline_s=settings.publish_deadline_ms / 1_000,
    )
    reader = Reader(settings.connection(), [place], fetch_bytes=settings.fetch_bytes)
    try:
        if not dry_run:
            # Ends what a run before this one left open, and only then is its position known.
            await _start(publisher, pipeline)
        (committed,) = await topics.committed([place])
        await reader.start((0,))
        (begin,), (end,) = await reader.beginnings(), await reader.ends()
        at = max(begin, committed[0] if committed is not None else begin)
        await reader.start((at,))
        while (await reader.position())[0] < end:
            (records,) = await reader.read(rows_max=settings.batch_rows, timeout_ms=IDLE_MS)
            records = [record for record in records if record.offset < end]
            if not records:
                continue
            batches, left = _put_back(records, repair, codes)
            if not dry_run:
                tainted = await publisher.publish(batches, {place: (records[-1].offset + 1, "")})
                if tainted:
                    await _start(publisher, pipeline)
            counts["put_back"] += sum(len(batch.values) for batch in batches)
            counts["left"] += left
    finally:
        with contextlib.suppress(asyncio.TimeoutError):
            await publisher.drop()
        await reader.stop()


async def _start(publisher: Transactional, pipeline: Pipeline) -> None:
    """A new producer, after the last transaction is sealed: rule 6 of `fastfeat.protocol`."""
    commit, marked = await publisher.look()
    if commit is not None:
        if not marked:
            await publisher.mark(commit)
        topics = dict.fromkeys(source.topic for source in pipeline.sources)
        places = [(topic, number) for topic in topics for number in range(await publisher.partitions(topic))]
        await publisher.seal(commit, places)
    await publisher.start()


def _put_back(records: list[Any], repair: Repair | None, codes: Collection[str]) -> tuple[list[Batch], int]:
    places: dict[tuple[str, int], list[tuple[Any, bytes | None]]] = {}
    left = 0
    for record in records:
        about = {name[len(PREFIX) :]: value.decode() for name, value in record.headers if name.startswith(PREFIX)}
        known = {"topic", "partition", "code"} <= about.keys()
        if not known or "value_omitted" in about or (codes and about["code"] not in codes):
            left += 1
            continue
        value = record.value if repair is None else repair(record.value)
        if value is None:
            left += 1
            continue
        places.setdefault((about["topic"], int(about["partition"])), []).append((record, value))
    batches = []
    for (topic, number), some in places.items():
        headers = [[h for h in record.headers if not h[0].startswith(PREFIX)] for record, _ in some]
        keys, values = [record.key for record, _ in some], [value for _, value in some]
        batches.append(Batch(topic, number, keys, values, [record.timestamp for record, _ in some], headers))
    return batches, left
