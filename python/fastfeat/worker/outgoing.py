"""From what a partition made to the batches that go out: rows, dead letters, and the journal of several sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from fastfeat.pipeline import Pipeline, Repartition
from fastfeat.protocol import Position
from fastfeat.sinks.kafka import Batch
from fastfeat.worker.state import RECORD_BYTES_MAX, Results

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

__all__ = ["batches", "in_order", "journal_entry", "metadata", "origin_and_token", "outputs"]

HEADER_CHARS_MAX: Final = 2_000


def batches(
    pipeline: Pipeline | Repartition,
    number: int,
    results: Results,
    begin: Position,
    end: Position,
    partitions: Mapping[str, int],
) -> list[Batch]:
    """All that goes out for one stretch of events. Rows go to the partition of the sink that has the same number."""
    made = []
    if isinstance(pipeline, Repartition):
        made += _by_key(pipeline.sink.topic, results, partitions[pipeline.sink.topic])
    elif pipeline.sink is not None and results.values:
        topic = pipeline.sink.topic
        to = number % partitions[topic]
        made.append(Batch(topic, to, results.keys, results.values, results.timestamps_ms, results.headers or None))
    if pipeline.dead_letters is not None and results.refused:
        topic = pipeline.dead_letters.topic
        made.append(_dead_letters(topic, number % partitions[topic], results.refused))
    if pipeline.journal is not None:
        made.append(Batch(pipeline.journal, number, [None], [journal_entry(begin, end)], [0]))
    return made


def outputs(pipeline: Pipeline | Repartition, number: int, partitions: Mapping[str, int]) -> list[tuple[str, int]]:
    """All partitions to which something of this one may go."""
    if isinstance(pipeline, Repartition):
        sinks = [(pipeline.sink.topic, to) for to in range(partitions[pipeline.sink.topic])]
    else:
        sinks = [] if pipeline.sink is None else [(pipeline.sink.topic, number % partitions[pipeline.sink.topic])]
    letters = pipeline.dead_letters
    dead = [] if letters is None else [(letters.topic, number % partitions[letters.topic])]
    journal = [] if pipeline.journal is None else [(pipeline.journal, number)]
    return list(dict.fromkeys(sinks + dead + journal))


def _by_key(topic: str, results: Results, partitions: int) -> list[Batch]:
    """Each row in the partition of its key, as Kafka's own clients find it."""
    from aiokafka.partitioner import murmur2

    found: dict[int, list[int]] = {}
    numbers: dict[bytes, int] = {}
    for place, key in enumerate(results.keys):
        assert key is not None
        if (number := numbers.get(key)) is None:
            number = numbers[key] = (murmur2(key) & 0x7FFFFFFF) % partitions
        found.setdefault(number, []).append(place)
    return [
        Batch(
            topic,
            number,
            [results.keys[place] for place in places],
            [results.values[place] for place in places],
            [results.timestamps_ms[place] for place in places],
            [results.headers[place] for place in places] if results.headers else None,
        )
        for number, places in sorted(found.items())
    ]


def _dead_letters(topic: str, partition: int, refused: Sequence[tuple[Any, str, str, str]]) -> Batch:
    values, headers = [], []
    for record, code, message, problems in refused:
        value = record.value
        heads = [*record.headers]
        about = {
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
            "code": code,
            "message": message[:HEADER_CHARS_MAX],
            "problems": problems if len(problems) <= HEADER_CHARS_MAX else "[]",
        }
        if value is not None and len(value) + sum(len(k) + len(v or b"") for k, v in heads) > RECORD_BYTES_MAX:
            # Its own headers leave no room for ours; it can still be read where it came from.
            about["value_omitted"] = f"{len(value)} bytes"
            value, heads = None, []
        values.append(value)
        headers.append([*heads, *((f"fastfeat.{name}", text.encode()) for name, text in about.items())])
    keys = [record.key for record, *_ in refused]
    timestamps = [record.timestamp for record, *_ in refused]
    # A message without key and value is none to some clients; its place is in the headers.
    values = [b"" if key is None and value is None else value for key, value in zip(keys, values, strict=True)]
    return Batch(topic, partition, keys, values, timestamps, headers)


def journal_entry(begin: Position, end: Position) -> bytes:
    """One stretch of events of several sources."""
    return json.dumps({"begin": begin, "end": end}).encode()


def in_order(
    records: Sequence[Sequence[ConsumerRecord[Any, Any]]],
) -> list[tuple[int, list[ConsumerRecord[Any, Any]]]]:
    """The records of a stretch by source, in runs: by their time in Kafka, then by source.

    It depends on the stretch alone, so that the same stretch is in the same order again.
    """
    if len(records) == 1:
        return [(0, list(records[0]))]
    timed = [(record.timestamp, place, record) for place, some in enumerate(records) for record in _rising(some)]
    # What came in one partition stays in order, whatever its timestamps say.
    timed.sort(key=lambda each: each[:2])
    return [(place, [one[2] for one in run]) for place, run in groupby(timed, key=lambda each: each[1])]


def _rising(some: Sequence[Any]) -> list[Any]:
    """The records with their timestamps made to rise."""
    newest, risen = -1, []
    for record in some:
        newest = max(newest, record.timestamp)
        risen.append(record if record.timestamp == newest else _Later(record, newest))
    return risen


class _Later:
    """A record under a later timestamp, for sorting alone."""

    def __init__(self, record: Any, timestamp: int) -> None:
        self._record, self.timestamp = record, timestamp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


def metadata(origin: Position, token: str) -> str:
    """What is kept beside each committed offset."""
    return json.dumps({"origin": origin, "token": token}, separators=(",", ":"))


def origin_and_token(text: str) -> tuple[Position | None, str]:
    """What was kept; nothing where somebody else has committed."""
    try:
        found = json.loads(text)
        return tuple(int(each) for each in found["origin"]), str(found["token"])
    except (ValueError, KeyError, TypeError):
        return None, ""
