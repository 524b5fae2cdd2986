"""How many events a second a worker takes, beside a loop that does nothing but consume and produce; and where the
milliseconds go when events come at a steady rate, from when each was due until its row can be read, of both. Events
are sent and rows are read by processes of their own. Needs Java, or FASTFEAT_TEST_KAFKA.

    .venv/bin/python benches/worker/run.py --events 200000 --repeats 2
    .venv/bin/python benches/worker/run.py --repeats 0 --only at_least_once
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
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

import numpy as np  # noqa: E402
from aiokafka import AIOKafkaProducer  # noqa: E402
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # noqa: E402
from kafka.broker import Broker, free_port  # noqa: E402
from load import PARTITIONS  # noqa: E402
from model import booster  # noqa: E402
from open_loop import counted, stages, table  # noqa: E402
from workloads import cards  # noqa: E402

# At least once at a low rate and at a high one; exactly once by how long a transaction waits for more events.
LATENCIES = (
    ("at_least_once", 5_000, 0),
    ("at_least_once", 20_000, 0),
    ("exactly_once", 20_000, 0),
    ("exactly_once", 20_000, 5),
    ("exactly_once", 20_000, 20),
)
WARM_SECONDS = 3.0
READY_SECONDS_MAX = 60
# As Kafka's own scripts start it.
JAVA = ("-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
ROW_BYTES = 1_050


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ready(port: int) -> bool:
    """Whether a worker has caught up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class Bench:
    def __init__(self, address: str, events: int, folder: Path) -> None:
        self.address, self.folder, self.busy = address, folder, 0.0
        work = cards(max(events, 20_000))
        self.model = folder / "model.txt"
        booster(work).save_model(str(self.model))
        self.messages = [
            (int(event["card"][2:]), json.dumps(event, separators=(",", ":")).encode())
            for event in work.dicts(0, events)
        ]
        (folder / "events").write_bytes(b"\n".join(value for _, value in self.messages))

    async def topics(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        topics = [f"{name}.{topic}" for topic in ("payments", "scored", "dead")]
        # Timestamps of events are no times; those of the broker tell when it took what.
        keep = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}
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

    def start(self, kind: str, name: str, group: str, stages: Path | None = None, **settings: int) -> subprocess.Popen:
        environment = os.environ | {
            "BENCH_NAME": name, "BENCH_MODEL": str(self.model), "BENCH_GUARANTEE": kind,
            "BENCH_CHECKPOINTS": str(self.folder / group), "BENCH_ROW_BYTES": str(ROW_BYTES),
            "FASTFEAT_SERVERS": self.address, "FASTFEAT_GROUP": group,
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
            **{f"FASTFEAT_{key.upper()}": str(value) for key, value in settings.items()},
        }  # fmt: skip
        run = "-m fastfeat" if stages is None else str(HERE / "staged.py")
        if stages is not None:
            environment["BENCH_STAGES"] = str(stages)
        command = [sys.executable, *run.split(" "), "worker", "app_of_cards:pipeline"]
        if kind.startswith("bare"):
            command = [sys.executable, str(HERE / "bare.py")]
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

    def latency(self, kind: str, per_second: int, seconds: float, batch_ms: int) -> dict[str, np.ndarray]:
        """Milliseconds of each event in each stage."""
        name, group, port = f"b{uuid.uuid4().hex[:8]}", f"g{uuid.uuid4().hex[:8]}", free_port()
        count = min(int(per_second * (WARM_SECONDS + seconds)), len(self.messages))
        places = {place: self.folder / f"{place}.npy" for place in ("load", "stages", "answers")}
        asyncio.run(self.topics(name))
        process = self.start(kind, name, group, places["stages"], batch_ms=batch_ms, http_port=port)
        others: list[subprocess.Popen] = []
        try:
            reader = [str(HERE / "readback.py"), self.address, f"{name}.scored", str(count), str(places["answers"])]
            others.append(subprocess.Popen([sys.executable, *reader]))
            begun = time.monotonic()
            while not (time.monotonic() > begun + 2.5 if kind.startswith("bare") else ready(port)):
                if process.poll() is not None or time.monotonic() > begun + READY_SECONDS_MAX:
                    raise SystemExit(f"it does not start: {(self.folder / 'worker.log').read_text()[-2_000:]}")
                time.sleep(0.1)
            begin = time.monotonic() + 1.5
            load = [self.address, f"{name}.payments", str(per_second), str(count), repr(begin)]
            command = [sys.executable, str(HERE / "load.py"), *load, str(self.folder / "events"), str(places["load"])]
            others.append(subprocess.Popen(command))
            time.sleep(max(0.0, begin + WARM_SECONDS - time.monotonic()))
            before = cpu_seconds(process.pid), time.monotonic()
            if codes := [each.wait() for each in others if each.wait() != 0]:
                raise SystemExit(f"a process that sends or reads ended with {codes}")
            self.busy = (cpu_seconds(process.pid) - before[0]) / (time.monotonic() - before[1])
        finally:
            for each in (*others, process):
                each.send_signal(signal.SIGTERM)
                each.wait(60)
        found = stages(self.folder, begin, per_second, count, exactly_once=kind.endswith("exactly_once"))
        return counted(found, per_second, WARM_SECONDS)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--repeats", type=int, default=2, help="of what is drained; 0 leaves it out")
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each open loop, after it is warm")
    arguments.add_argument("--share", type=float, default=1.0, help="of the rates of the open loops")
    arguments.add_argument("--only", default="", help="open loops whose guarantee, rate and wait begin so")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fastfeat-bench-"))
    address, broker = os.environ.get("FASTFEAT_TEST_KAFKA"), None
    if address is None:
        broker = Broker(folder, options=JAVA).start()
        address = broker.address
    try:
        bench = Bench(address, given.events, folder)
        drain(bench, given.repeats)
        for kind, per_second, batch_ms in LATENCIES:
            if not f"{kind} {per_second} {batch_ms}".startswith(given.only):
                continue
            rate = int(per_second * given.share)
            found, busy = [], []
            for each in (f"bare_{kind}", kind):
                found.append(bench.latency(each, rate, given.seconds, batch_ms))
                busy.append(f"{bench.busy:.0%}")
            print(
                f"\n{kind}, {rate:,} events/s" + (f", a transaction waits {batch_ms} ms" if batch_ms else ""), end="; "
            )
            print(f"of a core the bare loop took {busy[0]}, the worker {busy[1]}\n{table(*found)}", flush=True)
    finally:
        if broker is not None:
            broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


def drain(bench: Bench, repeats: int) -> None:
    """What each takes when all events are there already, by turns."""
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ("bare", "at_least_once", "exactly_once")}
    for _ in range(repeats):
        for kind, runs in found.items():
            runs.append(bench.throughput(kind))
    for kind, runs in found.items() if repeats else ():
        rate, cpu = max(rate for rate, _ in runs), min(cpu for _, cpu in runs)
        median = statistics.median(rate for rate, _ in runs)
        print(
            f"{kind:14} {rate:10,.0f} events/s best, {median:10,.0f} median, {cpu:6.2f} us of CPU an event", flush=True
        )


if __name__ == "__main__":
    main()
