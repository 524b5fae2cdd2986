"""How many events a second a worker takes, beside a loop that does nothing but consume and produce; and how late rows
are when events come at a steady rate, counted from when each was due: what the worker itself adds, from fetch to the
last message that is handed over to the producer, and end to end, also against how long a transaction waits for more
events. Needs Java, or FASTFEAT_TEST_KAFKA.

    .venv/bin/python benches/worker/run.py --events 200000 --repeats 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests")]

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # noqa: E402
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: E402
from kafka.broker import Broker, free_port  # noqa: E402
from model import booster  # noqa: E402
from workloads import cards  # noqa: E402

PARTITIONS = 4
SHARES = (50, 99, 99.9)
# At least once without waiting for more events, at a low rate and at a high one; exactly once by how long it waits.
LATENCIES = (
    ("at_least_once", 5_000, 0),
    ("at_least_once", 20_000, 0),
    ("exactly_once", 20_000, 5),
    ("exactly_once", 20_000, 20),
    ("exactly_once", 20_000, 100),
)
ROW_BYTES = 1_050


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def added_ms(port: int, share: float) -> float:
    """The bound that a share of the batches is below, of what the worker itself adds; from its own histogram."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counts: dict[float, float] = {}
    for line in lines:
        if line.startswith("fastfeat_batch_seconds_bucket{") and 'stage="added"' in line:
            bound = float(re.search(r'le="([^"]+)"', line)[1].replace("+Inf", "inf"))
            counts[bound] = counts.get(bound, 0.0) + float(line.split()[-1])
    total = max(counts.values())
    return 1e3 * next(bound for bound, count in sorted(counts.items()) if count >= total * share / 100)


class Bench:
    def __init__(self, address: str, events: int, folder: Path) -> None:
        self.address, self.folder = address, folder
        work = cards(max(events, 20_000))
        self.model = folder / "model.txt"
        booster(work).save_model(str(self.model))
        self.messages = [
            (int(event["card"][2:]), json.dumps(event, separators=(",", ":")).encode())
            for event in work.dicts(0, events)
        ]

    async def topics(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        topics = [f"{name}.{topic}" for topic in ("payments", "scored", "dead")]
        keep = {"retention.ms": "-1"}  # timestamps here are no times
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=keep) for topic in topics])
        await admin.close()

    async def send(self, name: str) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.address, max_batch_size=256 * 1024) as producer:
            batches: dict[int, object] = {}
            for card, value in self.messages:
                place = card % PARTITIONS
                batch = batches.setdefault(place, producer.create_batch())
                if batch.append(key=b"%d" % card, value=value, timestamp=1) is None:
                    await producer.send_batch(batch, f"{name}.payments", partition=place)
                    batches[place] = batch = producer.create_batch()
                    batch.append(key=b"%d" % card, value=value, timestamp=1)
            for place, batch in batches.items():
                await (await producer.send_batch(batch, f"{name}.payments", partition=place))

    async def drained(self, group: str, name: str, process: subprocess.Popen) -> tuple[float, float]:
        """Events/s and CPU seconds a million events, between the first and the last commits that are seen."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        first = None
        while True:
            try:
                found = await admin.list_consumer_group_offsets(group)
            except Exception:
                found = {}
            done = sum(max(0, one.offset) for one in found.values())
            now, cpu = time.perf_counter(), cpu_seconds(process.pid)
            if done and first is None:
                first = (now, cpu, done)
            if done >= len(self.messages):
                break
            if process.poll() is not None:
                log = (self.folder / "worker.log").read_text()[-2_000:]
                raise SystemExit(f"the worker ended with {process.returncode}: {log}")
            await asyncio.sleep(0.02)
        await admin.close()
        count = done - first[2]
        return count / (now - first[0]), (cpu - first[1]) / count * 1e6

    def start(self, kind: str, name: str, group: str, **settings: int) -> subprocess.Popen:
        environment = os.environ | {
            "BENCH_NAME": name, "BENCH_MODEL": str(self.model), "BENCH_GUARANTEE": kind,
            "BENCH_CHECKPOINTS": str(self.folder / group), "BENCH_ROW_BYTES": str(ROW_BYTES),
            "FASTFEAT_SERVERS": self.address, "FASTFEAT_GROUP": group,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
            **{f"FASTFEAT_{key.upper()}": str(value) for key, value in settings.items()},
        }  # fmt: skip
        command = [sys.executable, str(HERE / "bare.py")]
        if kind != "bare":
            command = [sys.executable, "-m", "fastfeat", "worker", "app_of_cards:pipeline"]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        # One core for the worker, whatever threads it has.
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        return process

    def throughput(self, kind: str) -> tuple[float, float]:
        name, group = f"b{uuid.uuid4().hex[:8]}", f"g{uuid.uuid4().hex[:8]}"
        asyncio.run(self.topics(name))
        asyncio.run(self.send(name))
        process = self.start(kind, name, group)
        try:
            return asyncio.run(self.drained(group, name, process))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def latency(self, kind: str, per_second: int, seconds: float, batch_ms: int) -> tuple[list[float], list[float]]:
        """Milliseconds end to end at the shares of SHARES, and those that the worker adds at the last two."""
        name, group, port = f"b{uuid.uuid4().hex[:8]}", f"g{uuid.uuid4().hex[:8]}", free_port()
        asyncio.run(self.topics(name))
        process = self.start(kind, name, group, batch_ms=batch_ms, http_port=port)
        try:
            late = asyncio.run(self.open_loop(name, per_second, seconds))
            return late, [added_ms(port, share) for share in SHARES[1:]]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    async def open_loop(self, name: str, per_second: int, seconds: float) -> list[float]:
        """Milliseconds from when an event was due to when a read-committed reader has its row."""
        places = [TopicPartition(f"{name}.scored", number) for number in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        await consumer.start()
        consumer.assign(places)
        count, warm = min(int(per_second * seconds), len(self.messages) - PARTITIONS), PARTITIONS
        late: list[float] = []
        async with AIOKafkaProducer(bootstrap_servers=self.address) as producer:
            for number, (card, value) in enumerate(self.messages[:warm]):
                await producer.send_and_wait(f"{name}.payments", value, key=b"%d" % card, partition=number % PARTITIONS)
            while warm:
                warm -= sum(map(len, (await consumer.getmany(timeout_ms=500)).values()))
            begun = time.time() + 0.5

            async def produce() -> None:
                for number in range(count):
                    due = begun + number / per_second
                    if (ahead := due - time.time()) > 0.001:
                        await asyncio.sleep(ahead)
                    _, value = self.messages[PARTITIONS + number]
                    # When it was due travels as its timestamp, in units of 10 us since the beginning.
                    await producer.send(
                        f"{name}.payments", value, partition=number % PARTITIONS, key=b"k",
                        timestamp_ms=int((due - begun) * 1e5),
                    )  # fmt: skip

            task = asyncio.create_task(produce())
            while len(late) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    now = time.time()
                    late += [(now - begun - record.timestamp / 1e5) * 1e3 for record in records]
            await task
        await consumer.stop()
        late.sort()
        return [late[min(len(late) - 1, int(len(late) * share / 100))] for share in SHARES]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each open loop")
    arguments.add_argument("--share", type=float, default=1.0, help="of the rates of the open loops")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fastfeat-bench-"))
    address, broker = os.environ.get("FASTFEAT_TEST_KAFKA"), None
    if address is None:
        broker = Broker(folder).start()
        address = broker.address
    try:
        bench, kinds = Bench(address, given.events, folder), ("bare", "at_least_once", "exactly_once")
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(given.repeats):
            for kind in kinds:
                found[kind].append(bench.throughput(kind))
        for kind, runs in found.items():
            rate, cpu = max(rate for rate, _ in runs), min(cpu for _, cpu in runs)
            median = statistics.median(rate for rate, _ in runs)
            print(f"{kind:14} {rate:10,.0f} events/s best, {median:10,.0f} median, {cpu:6.2f} us of CPU an event")
        columns = [f"p{share:g}" for share in SHARES]
        shown = "".join(f"{column:>10}" for column in columns)
        print(f"\n{'open loop':14} {'events/s':>9} {'waits':>7} {shown}   the worker adds at {', '.join(columns[1:])}")
        for kind, per_second, batch_ms in LATENCIES:
            rate = int(per_second * given.share)
            late, added = bench.latency(kind, rate, given.seconds, batch_ms)
            shown = "".join(f"{value:7.1f} ms" for value in late)
            below = ", ".join(f"<= {value:g} ms" for value in added)
            print(f"{kind:14} {rate:9,} {batch_ms:4} ms {shown}   {below}")
    finally:
        if broker is not None:
            broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
