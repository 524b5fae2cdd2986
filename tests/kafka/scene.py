"""A scene for worker tests: topics with events, workers as processes, and what a reader sees, judged by an engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError
from fastfeat import Engine, FastfeatError
from kafka import app_of_a_user as app

HERE = Path(__file__).parent
SECONDS_MAX = int(os.environ.get("FASTFEAT_SECONDS", "120"))


def payments(count, seed=7, begin=0, cards=40):
    """Events as bytes, mostly in order, some late, some that are refused; with the number of a card as key."""
    choose, made = random.Random(seed), []
    for number in range(begin, begin + count):
        card = choose.randrange(cards)
        event = {
            "ts": 1_700_000_000_000 + number * 50 - choose.choice([0, 0, 0, 900, 3_000]),
            "card": f"c-{card}",
            "merchant": f"m-{choose.randrange(7)}",
            "amount": round(choose.lognormvariate(3, 1), 2),
        }
        draw = choose.random()
        if draw < 0.01:
            event["amount"] = -1.0
        if 0.01 <= draw < 0.02:
            event["ts"] -= 60_000
        value = b'{"ts": ' if 0.02 <= draw < 0.03 else json.dumps(event).encode()
        made.append((card, value))
    return made


def until(condition, seconds=30):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.1)


class Scene:
    def __init__(self, address, name, folder, *, partitions=2, target="pipeline", model=None):
        self.address, self.name, self.folder, self.partitions, self.target = address, name, folder, partitions, target
        self.model = model
        self.settings = {}
        self.topics = [f"{name}.payments", f"{name}.scored", f"{name}.dead"]
        if target == "two_sources":
            self.topics.append(f"{name}.logins")
        self.workers = []
        self.sent = {}
        asyncio.run(self._create())

    async def _create(self):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        await admin.create_topics([NewTopic(topic, self.partitions, 1) for topic in self.topics])
        await admin.close()

    def send(self, events, topic="payments"):
        """Cards go to partitions by their number; order within a partition is that of the list."""
        asyncio.run(self._send(events, f"{self.name}.{topic}"))

    async def _send(self, events, topic):
        async with AIOKafkaProducer(bootstrap_servers=self.address, linger_ms=5, acks="all") as producer:
            sent = []
            for card, value in events:
                place = (topic, card % self.partitions)
                self.sent.setdefault(place, []).append(value)
                sent.append(await producer.send(topic, value, key=b"%d" % card, partition=place[1]))
            await asyncio.gather(*sent)

    def worker(self, *, module="fastfeat", instance=None, http_port=None, **settings):
        """A process. `module` is what is run with `python -m`."""
        given = {
            "servers": self.address,
            "group": self.name,
            "session_timeout_ms": 3_000,
            "checkpoint_every_s": 0.5,
            "batch_rows": 200,
            "batch_ms": 5,
            **({} if instance is None else {"instance": instance}),
            **({} if http_port is None else {"http_port": http_port}),
            **self.settings,
            **settings,
        }
        environment = os.environ | {f"FASTFEAT_{key.upper()}": str(value) for key, value in given.items()}
        environment |= {
            "SCENE_NAME": self.name,
            "SCENE_CHECKPOINTS": str(self.folder / "checkpoints"),
            "PYTHONPATH": f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "PYTHONHASHSEED": "0",
        }
        if self.model is not None:
            environment["SCENE_MODEL"] = str(self.model)
        command = [sys.executable, "-m", module, "worker", f"kafka.app_of_a_user:{self.target}"]
        with (self.folder / f"worker-{len(self.workers)}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)
        self.workers.append(process)
        return process

    def logs(self):
        return "".join(
            f"--- {one.name}\n{one.read_text()[-3_000:]}" for one in sorted(self.folder.glob("worker-*.log"))
        )

    def close(self):
        for process in self.workers:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    # --- What came of it ----------------------------------------------------------------------------------------

    def committed(self):
        # A new broker makes its topic of offsets when it is first asked for some.
        for _ in range(50):
            with contextlib.suppress(GroupCoordinatorNotAvailableError):
                return asyncio.run(self._committed())
            time.sleep(0.2)
        raise AssertionError("the broker has no group coordinator")

    async def _committed(self):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(self.name)
            return {(tp.topic, tp.partition): one.offset for tp, one in found.items()}
        finally:
            await admin.close()

    def wait(self, seconds=SECONDS_MAX, *, share=1.0):
        """Until the group has committed (a share of) all that was sent."""
        begun = time.monotonic()
        want = sum(map(len, self.sent.values())) * share
        while time.monotonic() - begun < seconds:
            with contextlib.suppress(Exception):
                if sum(self.committed().values()) >= want:
                    return
            dead = [process for process in self.workers if process.poll() not in (None, 0, -signal.SIGKILL)]
            assert not dead, f"a worker ended with {dead[0].returncode}\n{self.logs()}"
            time.sleep(0.1)
        raise AssertionError(f"{self.committed()} of {want} after {seconds} s\n{self.logs()}")

    def read(self, topic):
        """By partition: the records that a read-committed reader sees."""
        return asyncio.run(self._read(f"{self.name}.{topic}"))

    async def _read(self, topic):
        places = [TopicPartition(topic, number) for number in range(self.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            found = {number: [] for number in range(self.partitions)}
            begun = time.monotonic()
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[place.partition].extend(records)
                assert time.monotonic() - begun < 60, "an open transaction holds readers back"
            return found
        finally:
            await consumer.stop()

    def expected(self):
        """By partition: rows and dead letters that one engine makes of the events, one by one."""
        rows, dead = {}, {}
        for number in range(self.partitions):
            engine = Engine(app.features, model=None if self.model is None else str(self.model))
            rows[number], dead[number] = [], []
            topic = f"{self.name}.payments"
            for offset, value in enumerate(self.sent.get((topic, number), [])):
                identity = f"{topic}-{number}-{offset}"
                try:
                    if self.model is None:
                        rows[number].append((identity, plain(engine.push_json(value)), None))
                    else:
                        result = engine.score_json(value)
                        rows[number].append((identity, plain(result.features), result.score))
                except FastfeatError:
                    dead[number].append((identity, value))
        return rows, dead

    def seen(self):
        rows, dead = {}, {}
        for number, records in self.read("scored").items():
            told = [json.loads(record.value) for record in records]
            rows[number] = [(one["id"], one["features"], one.get("score")) for one in told]
        for number, records in self.read("dead").items():
            dead[number] = []
            for record in records:
                about = {name: value.decode() for name, value in record.headers if name.startswith("fastfeat.")}
                identity = f"{about['fastfeat.topic']}-{about['fastfeat.partition']}-{about['fastfeat.offset']}"
                dead[number].append((identity, record.value))
        return rows, dead

    def assert_exactly_once(self):
        (rows, dead), (expected_rows, expected_dead) = self.seen(), self.expected()
        for number in range(self.partitions):
            ids, wanted = [one[0] for one in rows[number]], [one[0] for one in expected_rows[number]]
            twice = sorted({one for one in ids if ids.count(one) > 1}) if len(ids) != len(set(ids)) else []
            assert not twice, f"{len(twice)} rows twice: {twice[:3]}"
            assert ids == wanted, f"partition {number}: {len(ids)} rows of {len(wanted)}\n{self.logs()}"
            assert rows[number] == expected_rows[number], f"partition {number}: other values"
            assert dead[number] == expected_dead[number]

    def assert_at_least_once(self):
        """None lost, the first of each in order, and one that comes twice is the same."""
        (rows, dead), (expected_rows, expected_dead) = self.seen(), self.expected()
        for number in range(self.partitions):
            for found, expected in ((rows, expected_rows), (dead, expected_dead)):
                first = {}
                for one in found[number]:
                    assert first.setdefault(one[0], one) == one, "one that comes twice is the same"
                assert list(first.values()) == expected[number], f"partition {number}\n{self.logs()}"


def plain(row):
    """A row as its JSON gives it back."""
    return {name: value for name, value in row.to_dict().items()}
