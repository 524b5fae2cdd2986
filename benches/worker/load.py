"""Sends events at a steady rate, whatever becomes of them: a process of its own, a task for each partition.

An event that is due while the one before it is on its way goes with the next batch, and counts as late from when it
was due. What is left behind is a NumPy file: for each batch its partition, how many, when it was handed over and
confirmed (seconds of the monotonic clock), and when the broker appended it (milliseconds since 1970).
"""

import asyncio
import gc
import sys
import time

import numpy as np
from aiokafka import AIOKafkaProducer

PARTITIONS = 4
LINGER_S = 0.002
"""Events that are due within so long go together, or the broker would be busy with requests."""


async def main(address: str, topic: str, per_second: int, count: int, begin: float, events: str, out: str) -> None:
    with open(events, "rb") as lines:
        messages = lines.read().splitlines()[:count]
    batches: list[tuple[float, ...]] = []
    producer = AIOKafkaProducer(bootstrap_servers=address, acks=1, max_batch_size=512 * 1024)
    await producer.start()
    await producer.partitions_for(topic)

    async def feed(place: int) -> None:
        at, handed, mine = 0, 0.0, messages[place::PARTITIONS]
        while at < len(mine):
            due = begin + (at * PARTITIONS + place) / per_second
            if (ahead := max(due, handed + LINGER_S) - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            until = int(((time.monotonic() - begin) * per_second - place) / PARTITIONS) + 1
            batch, first = producer.create_batch(), at
            for value in mine[first : max(until, first + 1)]:
                if batch.append(key=b"k", value=value, timestamp=1) is None:
                    break
                at += 1
            handed = time.monotonic()
            told = await (await producer.send_batch(batch, topic, partition=place))
            batches.append((place, at - first, handed, time.monotonic(), told.timestamp))

    gc.collect()
    gc.disable()
    await asyncio.gather(*(feed(place) for place in range(PARTITIONS)))
    await producer.stop()
    np.save(out, np.array(batches))


if __name__ == "__main__":
    _, address, topic, per_second, count, begin, events, out = sys.argv
    asyncio.run(main(address, topic, int(per_second), int(count), float(begin), events, out))
