"""What the worker takes for granted of aiokafka, trap by trap: a new version that differs fails here, by name."""

import asyncio
import inspect

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ProducerFenced
from aiokafka.producer import sender
from aiokafka.structs import OffsetAndMetadata


async def topic(kafka, name):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    return admin


def producer(kafka, name):
    return AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name)


async def committed(admin, name):
    found = await admin.list_consumer_group_offsets(name, partitions=[TopicPartition(name, 0)])
    return found[TopicPartition(name, 0)].offset


def test_the_client_waits_between_transactions_for_as_long_as_a_constant_says():
    # The worker sets it: where the client has another name for it, each commit takes 20 ms longer.
    assert isinstance(sender.BACKOFF_OVERRIDE, float)
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender.AddPartitionsToTxnHandler)


def test_a_second_producer_of_an_id_shuts_the_first_out(kafka, name):
    async def run():
        admin = await topic(kafka, name)
        async with producer(kafka, name) as first:
            await first.begin_transaction()
            await first.send_and_wait(name, b"zombie")
            async with producer(kafka, name):
                with pytest.raises(ProducerFenced):
                    await first.commit_transaction()
                # And after that it is of no use at all: it cannot even abort.
                with pytest.raises(AssertionError):
                    await first.abort_transaction()
        await admin.close()

    asyncio.run(run())


def test_committed_offsets_are_the_old_ones_until_a_producer_of_the_id_is_started(kafka, name):
    async def run():
        admin = await topic(kafka, name)
        first = producer(kafka, name)
        await first.start()
        for offset in (5, 9):
            await first.begin_transaction()
            await first.send_offsets_to_transaction({TopicPartition(name, 0): OffsetAndMetadata(offset, "m")}, name)
            if offset == 5:
                await first.commit_transaction()
        assert await committed(admin, name) == 5, "answered at once, though 9 is on its way"
        async with producer(kafka, name):
            assert await committed(admin, name) == 5, "and now 9 will never be"
        first._closed = True
        await first.client.close()
        await admin.close()

    asyncio.run(run())


def test_what_is_kept_beside_an_offset_comes_back(kafka, name):
    async def run():
        admin = await topic(kafka, name)
        async with producer(kafka, name) as one:
            await one.begin_transaction()
            await one.send_offsets_to_transaction({TopicPartition(name, 0): OffsetAndMetadata(3, "token")}, name)
            await one.commit_transaction()
        # The broker says yes before the offsets can be read; it lets a producer of the id start only afterwards.
        async with producer(kafka, name):
            found = await admin.list_consumer_group_offsets(name, partitions=[TopicPartition(name, 0)])
        assert found[TopicPartition(name, 0)] == OffsetAndMetadata(3, "token")
        await admin.close()

    asyncio.run(run())


def test_every_request_of_a_producer_goes_through_the_door_that_is_watched(kafka, name):
    """`sinks.kafka` counts failed requests by replacing `client.send`."""

    async def run():
        admin = await topic(kafka, name)
        seen = []
        async with producer(kafka, name) as one:
            inner = one.client.send

            async def send(node, request, **options):
                seen.append(type(request).__name__)
                return await inner(node, request, **options)

            one.client.send = send
            await one.begin_transaction()
            await one.send_and_wait(name, b"row")
            await one.send_offsets_to_transaction({TopicPartition(name, 0): OffsetAndMetadata(1, "")}, name)
            await one.commit_transaction()
        wanted = ("AddPartitionsToTxn", "Produce", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn")
        assert [each for each in wanted if not any(one.startswith(each) for one in seen)] == []
        await admin.close()

    asyncio.run(run())
