"""Rows that are under way: what is sent again after a failure, and that no position is ahead of them. No broker."""

import asyncio
from collections import deque

import pytest
from aiokafka.errors import KafkaError
from fastfeat.protocol import Fault
from fastfeat.sinks import kafka
from fastfeat.sinks.kafka import Batch, Plain, Publisher, PublishError


class Client:
    """Stands for a producer: what was sent, and futures that a test confirms or fails."""

    def __init__(self):
        self.sent, self.futures = [], deque()

    def create_batch(self):
        return Rows()

    async def send_batch(self, rows, topic, partition):
        self.sent.append(rows.values)
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    def confirm(self, count=1):
        for _ in range(count):
            self.futures.popleft().set_result(None)

    def fail(self):
        self.futures.popleft().set_exception(KafkaError("the leader is away"))


class Rows:
    def __init__(self):
        self.values = []

    def append(self, *, key, value, timestamp, headers):
        self.values.append(value)
        return True

    def record_count(self):
        return len(self.values)


class Scene:
    def __init__(self, monkeypatch, **options):
        self.clients, self.committed, self.refuse = [], [], False

        async def start(publisher):
            publisher._producer = Client()
            self.clients.append(publisher._producer)

        async def commit(offsets):
            if self.refuse:
                raise KafkaError("no coordinator")
            self.committed.append(offsets["in", 0][0])

        async def drop(publisher):
            publisher._producer = None

        monkeypatch.setattr(Publisher, "start", start)
        monkeypatch.setattr(Publisher, "drop", drop)
        self.publisher = Plain({}, commit=commit, deadline_s=0.3, **options)

    @property
    def client(self):
        return self.clients[-1]

    async def publish(self, number):
        rows = Batch("out", 0, [b"k"], [b"%d" % number], [0])
        return await self.publisher.publish([rows], {("in", 0): (number, "")})


def run(test):
    asyncio.run(asyncio.wait_for(test, 10))


async def rest(seconds=0.0):
    for _ in range(5):
        await asyncio.sleep(seconds / 5)


@pytest.fixture
def scene(monkeypatch):
    monkeypatch.setattr(kafka, "COMMIT_EVERY_S", 0.02)
    return Scene(monkeypatch)


def test_a_position_is_committed_behind_its_rows_and_not_before(scene):
    async def test():
        await scene.publisher.start()
        for number in (1, 2, 3):
            await scene.publish(number)
        await rest(0.1)
        assert scene.committed == []
        # The second alone: the first may be lost yet.
        scene.client.futures[1].set_result(None)
        await rest(0.1)
        assert scene.committed == []
        scene.client.futures[0].set_result(None)
        await rest(0.1)
        assert scene.committed == [2]
        scene.client.futures[2].set_result(None)
        await scene.publisher.settle()
        assert scene.committed == [2, 3]

    run(test())


def test_more_than_so_many_wait(monkeypatch):
    scene = Scene(monkeypatch, under_way_max=2)

    async def test():
        await scene.publisher.start()
        await scene.publish(1)
        await scene.publish(2)
        third = asyncio.create_task(scene.publish(3))
        await rest()
        assert not third.done()
        scene.client.confirm()
        await third

    run(test())


def test_with_none_under_way_each_is_committed_at_once(monkeypatch):
    scene = Scene(monkeypatch, under_way_max=0)

    async def test():
        await scene.publisher.start()
        first = asyncio.create_task(scene.publish(1))
        await rest()
        assert not first.done()
        scene.client.confirm()
        await first
        assert scene.committed == [1]

    run(test())


def test_what_was_not_confirmed_is_sent_again_in_order_before_anything_else(scene):
    async def test():
        await scene.publisher.start()
        for number in (1, 2, 3):
            await scene.publish(number)
        scene.client.confirm()
        scene.client.fail()
        await rest(0.1)
        with pytest.raises(PublishError, match="the leader is away") as told:
            await scene.publish(4)
        assert told.value.fault is Fault.AMBIGUOUS
        assert scene.clients[0].sent == [[b"1"], [b"2"], [b"3"]]
        await scene.publisher.drop()
        start = asyncio.create_task(scene.publisher.start())
        await rest()
        assert scene.client.sent == [[b"2"], [b"3"]]
        scene.client.confirm(2)
        await start
        assert scene.committed[-1] == 3
        await scene.publish(4)
        assert scene.client.sent == [[b"2"], [b"3"], [b"4"]]

    run(test())


def test_a_start_that_fails_loses_nothing_either(scene):
    async def test():
        await scene.publisher.start()
        for number in (1, 2):
            await scene.publish(number)
        scene.client.fail()
        await rest()
        # Nobody confirms what the second producer sends.
        with pytest.raises(PublishError, match="longer than"):
            await scene.publisher.start()
        third = asyncio.create_task(scene.publisher.start())
        await rest()
        assert scene.client.sent == [[b"1"], [b"2"]]
        # What an older producer is told comes too late to count.
        scene.clients[1].confirm(2)
        await rest()
        assert scene.committed == []
        scene.client.confirm(2)
        await third
        assert scene.committed == [2]

    run(test())


def test_a_commit_that_fails_is_told_where_the_next_thing_is_published(scene):
    async def test():
        await scene.publisher.start()
        scene.refuse = True
        await scene.publish(1)
        scene.client.confirm()
        await rest(0.1)
        with pytest.raises(PublishError, match="no coordinator"):
            await scene.publish(2)
        scene.refuse = False
        await scene.publisher.start()
        # Its rows were confirmed: the position is all that is missing.
        assert scene.client.sent == []
        assert scene.committed == [1]

    run(test())
