"""Reads rows as they become visible to read-committed readers, in a process of its own, and notes when.

What is left behind is a NumPy file: for each partition and answer how many rows, when they were here (seconds of the
monotonic clock), and when the broker appended the last of them (milliseconds since 1970).
"""

import asyncio
import gc
import sys
import time

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

PARTITIONS = 4
QUIET_SECONDS_MAX = 30


async def main(address: str, topic: str, count: int, out: str) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, isolation_level="read_committed", auto_offset_reset="earliest", check_crcs=False
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    gc.collect()
    gc.disable()
    seen, answers, newest = 0, [], time.monotonic()
    while seen < count:
        for place, records in (await consumer.getmany(timeout_ms=500)).items():
            newest = time.monotonic()
            answers.append((place.partition, len(records), newest, records[-1].timestamp))
            seen += len(records)
        if time.monotonic() - newest > QUIET_SECONDS_MAX:
            raise SystemExit(f"{seen} of {count} rows came")
    await consumer.stop()
    np.save(out, np.array(answers))


if __name__ == "__main__":
    _, address, topic, count, out = sys.argv
    asyncio.run(main(address, topic, int(count), out))
