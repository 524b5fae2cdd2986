"""The yardstick: a loop of aiokafka that consumes and produces, and nothing else. Rows are as long as a worker's."""

import asyncio
import os
import signal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

NAME, SERVERS, ROW_BYTES = os.environ["BENCH_NAME"], os.environ["FASTFEAT_SERVERS"], int(os.environ["BENCH_ROW_BYTES"])


async def main() -> None:
    consumer = AIOKafkaConsumer(
        f"{NAME}.payments", bootstrap_servers=SERVERS, group_id=os.environ["FASTFEAT_GROUP"],
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True, max_batch_size=512 * 1024)
    await consumer.start()
    await producer.start()
    row = b"x" * ROW_BYTES
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    while True:
        for place, records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).items():
            futures, batch = [], producer.create_batch()
            for record in records:
                if batch.append(key=record.key, value=row, timestamp=record.timestamp) is None:
                    futures.append(await producer.send_batch(batch, f"{NAME}.scored", partition=place.partition))
                    batch = producer.create_batch()
                    batch.append(key=record.key, value=row, timestamp=record.timestamp)
            futures.append(await producer.send_batch(batch, f"{NAME}.scored", partition=place.partition))
            await asyncio.gather(*futures)
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
