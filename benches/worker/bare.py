"""The yardstick: a loop of aiokafka that consumes and produces, and nothing else. Rows are as long as a worker's.

BENCH_GUARANTEE is `exactly_once` for one that does it in transactions, FASTFEAT_BATCH_MS how long each waits for more
events. BENCH_STAGES, if it is set, is where it notes what `staged.py` notes of a worker.
"""

import asyncio
import gc
import os
import signal
import time

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

NAME, SERVERS, ROW_BYTES = os.environ["BENCH_NAME"], os.environ["FASTFEAT_SERVERS"], int(os.environ["BENCH_ROW_BYTES"])
GROUP, EXACTLY_ONCE = os.environ["FASTFEAT_GROUP"], os.environ["BENCH_GUARANTEE"] == "bare_exactly_once"
WAIT_S = int(os.environ.get("FASTFEAT_BATCH_MS", "0")) / 1_000
STAGES = os.environ.get("BENCH_STAGES")
noted: list[tuple[float, ...]] = []


def end() -> None:
    if STAGES is not None:
        np.save(STAGES, np.array(noted))
    os._exit(0)


async def taken(consumer: AIOKafkaConsumer) -> list[tuple[int, list]]:
    """What there is, or comes within the wait after the first."""
    found = [
        (place.partition, some) for place, some in (await consumer.getmany(timeout_ms=200, max_records=5_000)).items()
    ]
    until = time.monotonic() + WAIT_S
    while found and (left := until - time.monotonic()) > 0:
        more = await consumer.getmany(timeout_ms=max(1, int(left * 1e3)), max_records=5_000)
        found += [(place.partition, some) for place, some in more.items()]
    return found


async def main() -> None:
    consumer = AIOKafkaConsumer(
        f"{NAME}.payments", bootstrap_servers=SERVERS, group_id=GROUP,
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    kind = {"transactional_id": GROUP} if EXACTLY_ONCE else {"enable_idempotence": True}
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, max_batch_size=512 * 1024, **kind)
    await consumer.start()
    await producer.start()
    row = b"x" * ROW_BYTES
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    gc.freeze()
    while True:
        found = await taken(consumer)
        if not found:
            continue
        fetched, futures = time.monotonic(), []
        if EXACTLY_ONCE:
            await producer.begin_transaction()
        for place, records in found:
            batch = producer.create_batch()
            for record in records:
                if batch.append(key=record.key, value=row, timestamp=record.timestamp) is None:
                    futures.append(await producer.send_batch(batch, f"{NAME}.scored", partition=place))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=row, timestamp=record.timestamp)
            futures.append(await producer.send_batch(batch, f"{NAME}.scored", partition=place))
        handed = time.monotonic()
        if EXACTLY_ONCE:
            offsets = {place: await consumer.position(place) for place in consumer.assignment()}
            await producer.send_offsets_to_transaction(offsets, GROUP)
        await asyncio.gather(*futures)
        confirmed = time.monotonic()
        await (producer.commit_transaction() if EXACTLY_ONCE else consumer.commit())
        if STAGES is not None:
            done = time.monotonic()
            noted.extend((place, len(records), fetched, fetched, handed, confirmed, done) for place, records in found)


if __name__ == "__main__":
    asyncio.run(main())
