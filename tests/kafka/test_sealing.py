"""How the last transaction of an id ended, asked of a real coordinator, and what its seal decides."""

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata
from fastfeat.protocol import Fault
from fastfeat.sinks.kafka import PublishError, Transactional
from fastfeat.sinks.sealing import timeout_ms

TIMEOUT_MS = 15_000


class Scene:
    """A topic, a group and a transactional id of one name."""

    def __init__(self, kafka, name):
        self.kafka, self.name, self.left = kafka, name, []

    async def __aenter__(self):
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await self.admin.start()
        await self.admin.create_topics([NewTopic(self.name, 2, 1)])
        return self

    async def __aexit__(self, *_):
        for one in self.left:
            await one.drop()
        await self.admin.close()

    def publisher(self):
        made = Transactional(
            {"bootstrap_servers": self.kafka},
            transactional_id=self.name,
            group=self.name,
            transaction_timeout_ms=TIMEOUT_MS,
            deadline_s=10,
        )
        self.left.append(made)
        return made

    async def begun(self, mark=None):
        """A producer of the id with a row and a position that are open."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka,
            transactional_id=self.name,
            transaction_timeout_ms=timeout_ms(TIMEOUT_MS, mark),
        )
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(self.name, b"row", partition=1)
        await producer.send_offsets_to_transaction({TopicPartition(self.name, 0): OffsetAndMetadata(7, "")}, self.name)
        return producer

    async def seen(self):
        """Rows that a read-committed reader sees when nothing is undecided, and the group's position."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, isolation_level="read_committed")
        await consumer.start()
        place = TopicPartition(self.name, 1)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        rows, (end,) = [], (await consumer.end_offsets([place])).values()
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                rows += [record.value for record in records]
        await consumer.stop()
        found = await self.admin.list_consumer_group_offsets(self.name, partitions=[TopicPartition(self.name, 0)])
        return rows, found[TopicPartition(self.name, 0)].offset

    @property
    def places(self):
        return [(self.name, 0), (self.name, 1)]


async def killed(producer):
    """It is gone; its transaction is open."""
    producer._closed = True
    producer._sender.sender_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await producer._sender.sender_task
    await producer.client.close()


def test_an_id_that_nobody_has_used_has_nothing_to_seal(kafka, name):
    async def run():
        async with Scene(kafka, name) as scene:
            publisher = scene.publisher()
            assert await publisher.look() == (None, False)
            await publisher.start()
            assert await publisher.look() == (None, False), "it was started, and nothing was begun"

    asyncio.run(run())


@pytest.mark.parametrize("commit", [True, False])
def test_how_the_last_transaction_ended_is_sealed(kafka, name, commit):
    async def run():
        async with Scene(kafka, name) as scene:
            producer = await scene.begun()
            await (producer.commit_transaction() if commit else producer.abort_transaction())
            await killed(producer)
            publisher = scene.publisher()
            assert await publisher.look() == (commit, False)
            await publisher.mark(commit)
            await publisher.seal(commit, scene.places)
            # Somebody who comes in between finds what there is to do.
            assert await scene.publisher().look() == (commit, True)
            await publisher.start()
            assert await scene.publisher().look() == (None, False)
            assert await scene.seen() == (([b"row"], 7) if commit else ([], -1))

    asyncio.run(run())


def test_a_transaction_that_is_open_is_aborted(kafka, name):
    async def run():
        async with Scene(kafka, name) as scene:
            await killed(await scene.begun())
            publisher = scene.publisher()
            assert await publisher.look() == (False, False)
            await publisher.mark(False)
            await publisher.seal(False, scene.places)
            await publisher.start()
            assert await scene.seen() == ([], -1)

    asyncio.run(run())


@pytest.mark.parametrize("commit", [True, False])
def test_what_is_undecided_when_a_sealing_owner_dies_is_decided_by_the_next_one(kafka, name, commit):
    """Rows and a position that are open under a mark stand for those that a broker has passed over."""

    async def run():
        async with Scene(kafka, name) as scene:
            await killed(await scene.begun(mark=commit))
            publisher = scene.publisher()
            assert await publisher.look() == (commit, True)
            await publisher.seal(commit, scene.places)
            assert await scene.seen() == (([b"row"], 7) if commit else ([], -1))
            await publisher.start()
            assert await scene.seen() == (([b"row"], 7) if commit else ([], -1))

    asyncio.run(run())


def test_who_looked_before_another_owner_began_looks_again(kafka, name):
    async def run():
        async with Scene(kafka, name) as scene:
            await killed(await scene.begun())
            late, other = scene.publisher(), scene.publisher()
            assert await late.look() == (False, False)
            await other.look()
            await other.mark(False)
            with pytest.raises(PublishError, match="another owner") as refused:
                await late.mark(False)
            assert refused.value.fault is Fault.RETRIABLE
            await other.seal(False, scene.places)
            await other.start()
            assert await late.look() == (None, False)
            await scene.begun()
            with pytest.raises(PublishError, match="another owner has begun a transaction"):
                await late.start()

    asyncio.run(run())


def test_no_transaction_is_begun_over_a_connection_that_was_lost(kafka, name):
    async def run():
        async with Scene(kafka, name) as scene:
            publisher = scene.publisher()
            await publisher.look()
            await publisher.start()
            assert not await publisher.publish([], {(name, 0): (3, "")})
            for connection in list(publisher._producer.client._conns.values()):
                connection._writer.transport.abort()
            await asyncio.sleep(0.1)
            assert publisher.failed
            with pytest.raises(PublishError, match="a connection was lost") as refused:
                await publisher.publish([], {(name, 0): (9, "")})
            assert refused.value.fault is Fault.AMBIGUOUS
            assert await publisher.look() == (True, False)

    asyncio.run(run())
