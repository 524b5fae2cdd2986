"""The example as a pipeline: the same over a log of files, and over a real Kafka. Rows are equal, bit for bit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastfeat as ff
from fastfeat.commands.run import run_files
from fastfeat.sinks.files import JsonLinesFile

from .data import Flights, events
from .features import arrivals, departures, features
from .report import progress

CONFIGS = {"retention.ms": "-1"}  # the events are those of 2013


def pipeline(model: Any, folder: Path, name: str = "flights") -> ff.Pipeline:
    """What a worker runs. At equal times departures go first, as they are named first."""
    return ff.Pipeline(
        name,
        features,
        model=model,
        sources=[
            ff.Kafka(f"{name}.departures", stream=departures),
            ff.Kafka(f"{name}.arrivals", stream=arrivals),
        ],
        sink=ff.Kafka(f"{name}.scored"),
        checkpoint=folder / "checkpoints",
    )


def write_log(flights: Flights, folder: Path) -> dict[str | None, Path]:
    """All events of both streams as files of JSON lines."""
    paths: dict[str | None, Path] = {}
    for name, table in (("departures", flights.departures), ("arrivals", flights.arrivals)):
        paths[name] = folder / f"{name}.jsonl"
        with paths[name].open("w") as file:
            file.writelines(json.dumps(event) + "\n" for event in events(table))
    return paths


def over_files(made: ff.Pipeline, log: dict[str | None, Path], folder: Path) -> list[bytes]:
    """The rows that the pipeline makes of a log of files, without a broker."""
    total = sum(sum(1 for _ in path.open("rb")) for path in log.values())
    with progress("the pipeline over files", total=total) as advance:
        sink = JsonLinesFile(str(folder / "scored.jsonl"))
        run_files(made, log, sink, advance=advance)
        sink.close()
    return (folder / "scored.jsonl").read_bytes().splitlines()


def over_kafka(made: ff.Pipeline, log: dict[str | None, Path], servers: str) -> list[bytes]:
    """The rows that a worker makes of the same log in Kafka, as a reader of committed records sees them."""
    return asyncio.run(_over_kafka(made, log, servers))


async def _over_kafka(made: ff.Pipeline, log: dict[str | None, Path], servers: str) -> list[bytes]:
    from fastfeat.config import read_settings
    from fastfeat.worker import Worker

    counts = await _produce(made, log, servers)
    worker = Worker(made, read_settings(servers=servers, group=made.name))
    task = asyncio.create_task(worker.run())
    with progress("the pipeline over Kafka", total=sum(counts)) as advance:
        done = 0
        while done < sum(counts) and not task.done():
            await asyncio.sleep(0.1)
            taken = sum(unit.counters.events for unit in worker.units.values())
            advance(taken - done)
            done = taken
    worker.stop()
    if await task != 0:
        raise RuntimeError("the worker ended with an error; its log says which")
    return await _read(f"{made.name}.scored", servers, counts[0])


async def _produce(made: ff.Pipeline, log: dict[str | None, Path], servers: str) -> list[int]:
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    topics = [f"{made.name}.{topic}" for topic in ("departures", "arrivals", "scored")]
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=CONFIGS) for topic in topics])
    await admin.close()
    counts = []
    async with AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=512 * 1_024) as producer:
        for name, path in log.items():
            lines = path.read_bytes().splitlines()
            await _send(producer, f"{made.name}.{name}", lines)
            counts.append(len(lines))
    return counts


async def _send(producer: Any, topic: str, lines: Sequence[bytes]) -> None:
    batch = producer.create_batch()
    with progress(f"events into {topic}", total=len(lines)) as advance:
        for number, line in enumerate(lines):
            told = {"key": None, "value": line, "timestamp": json.loads(line)["time"] // 1_000}
            if batch.append(**told) is None:
                await (await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
                batch.append(**told)
            if number % 1_000 == 999:
                advance(1_000)
        await (await producer.send_batch(batch, topic, partition=0))


async def _read(topic: str, servers: str, count: int) -> list[bytes]:
    from aiokafka import AIOKafkaConsumer

    rows: list[bytes] = []
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=servers, isolation_level="read_committed", auto_offset_reset="earliest"
    ) as consumer:
        while len(rows) < count:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                rows += [record.value for record in records]
    return rows


def without_id(row: bytes) -> bytes:
    """A row but for its id, which says where its event came from."""
    return row.split(b',"features":', 1)[1]
