"""Avro, Protobuf and Arrow through a real broker and registry: rows in Avro, with the keys and headers of events."""

import asyncio
import io
import json
import random
import struct
import time

import fastavro
import fastfeat as ff
import lightgbm
import numpy
import pyarrow
import pytest
from aiokafka import AIOKafkaProducer
from fastfeat import Engine
from fastfeat.config import read_settings
from fastfeat.worker import Worker
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from kafka import app_of_a_user as app
from kafka import registry as registries
from kafka.scene import Scene

AVRO = {
    "type": "record",
    "name": "shop.Payment",
    "fields": [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "card", "type": "string"},
        {"name": "merchant", "type": "string"},
        {"name": "amount", "type": "double"},
    ],
}
PROTO = """syntax = "proto3"; package shop;
message Payment { int64 ts = 1; string card = 2; string merchant = 3; double amount = 4; }"""
EVENTS = 240
NOW_MS = int(time.time() * 1_000)
"""Retention goes by times: a broker lets go of what is old."""


def descriptors():
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", package="shop", syntax="proto3")
    message = file.message_type.add(name="Payment")
    for number, (name, kind) in enumerate([("ts", 3), ("card", 9), ("merchant", 9), ("amount", 1)], 1):
        message.field.add(name=name, number=number, type=kind, label=1)
    return descriptor_pb2.FileDescriptorSet(file=[file])


def framed(schema_id, rest=b""):
    return struct.pack(">bI", 0, schema_id) + rest


class AsAvro:
    def __init__(self, registry, name):
        self.id = registry.register(f"{name}.payments-value", AVRO)
        self.format = ff.Avro(registry=registry.avro)
        self.unreadable = [framed(self.id, b"\x01"), framed(4_000_000), b"\x07"]

    def messages(self, events):
        for event in events:
            data = io.BytesIO()
            fastavro.schemaless_writer(data, AVRO, event)
            yield [event], framed(self.id, data.getvalue())


class AsProtobuf:
    def __init__(self, registry, name):
        self.id = registry.register(f"{name}.payments-value", PROTO, schema_type="PROTOBUF")
        files = descriptors()
        self.format = ff.Protobuf({self.id: files.SerializeToString()})
        pool = descriptor_pool.DescriptorPool()
        pool.Add(files.file[0])
        self.kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Payment"))
        self.unreadable = [framed(self.id, b"\0\x0a"), framed(4_000_000, b"\0")]

    def messages(self, events):
        for event in events:
            yield [event], framed(self.id, b"\0" + self.kind(**event).SerializeToString())


class AsArrow:
    """Up to four events a message."""

    def __init__(self, registry, name):
        self.format = "arrow_ipc"
        self.unreadable = [b"", b"ARROW?"]

    def messages(self, events):
        schema = pyarrow.schema(
            [("ts", pyarrow.timestamp("ms")), ("card", "string"), ("merchant", "string"), ("amount", "double")]
        )
        choose, left = random.Random(2), list(events)
        while left:
            some = [left.pop(0) for _ in range(min(len(left), choose.randrange(1, 5)))]
            sink = pyarrow.BufferOutputStream()
            with pyarrow.ipc.new_stream(sink, schema) as writer:
                writer.write_batch(pyarrow.RecordBatch.from_pylist(some, schema=schema))
            yield some, sink.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    running = registries.start(tmp_path_factory.mktemp("registry") / "log")
    asked = ff.SchemaRegistry(running.url)
    asked.running = running
    yield asked
    asked.close()
    running.stop()


@pytest.fixture(scope="module")
def model():
    choose = numpy.random.default_rng(3)
    rows = choose.normal(size=(300, len(app.features.names)))
    names = list(app.features.names)
    data = lightgbm.Dataset(rows, rows[:, 0] + rows[:, 3], feature_name=names)
    return lightgbm.train({"verbose": -1, "num_threads": 1}, data, num_boost_round=5)


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def events(begin):
    choose = random.Random(begin)
    return [
        {
            "ts": 1_700_000_000_000 + number * 50 - choose.choice([0, 0, 900]),
            "card": f"c-{choose.randrange(9)}",
            "merchant": f"m-{choose.randrange(4)}",
            "amount": round(choose.lognormvariate(3, 1), 2) if choose.random() > 0.02 else -1.0,
        }
        for number in range(begin, begin + EVENTS)
    ]


async def send(scene, messages):
    """By partition: what was sent. Every third has headers, one of them without a value."""
    async with AIOKafkaProducer(bootstrap_servers=scene.address) as producer:
        for place, (number, value) in enumerate(messages):
            headers = [("trace", b"%d" % place), ("empty", None)] if place % 3 == 0 else []
            await producer.send(
                f"{scene.name}.payments", value, key=b"k%d" % place, partition=number,
                timestamp_ms=NOW_MS + place, headers=headers,
            )  # fmt: skip


async def until_taken(worker, messages):
    task = asyncio.create_task(worker.run())
    while sum(unit.counters.events for unit in worker.units.values()) < messages:
        await asyncio.sleep(0.05)
        if task.done():
            return await task
    worker.stop()
    return await task


def settings(scene):
    return read_settings(servers=scene.address, group=scene.name, batch_rows=50, checkpoint_every_s=0.2)


@pytest.mark.parametrize("kind", [AsAvro, AsProtobuf, AsArrow])
def test_rows_in_avro_have_the_bits_keys_and_headers_of_their_events(scene, registry, model, kind):
    written = kind(registry, scene.name)
    pipeline = ff.Pipeline(
        scene.name,
        app.features,
        sources=[ff.Kafka(f"{scene.name}.payments", stream=app.payments, format=written.format)],
        sink=ff.Kafka(f"{scene.name}.scored", format=ff.AvroOutput(registry=registry, record="shop.Scored")),
        dead_letters=ff.Kafka(f"{scene.name}.dead"),
        model=model,
        reasons=2,
        checkpoint=scene.folder / "checkpoints",
    )
    sent = {number: [] for number in range(scene.partitions)}
    for begin in (0, EVENTS):
        messages = [*written.messages(events(begin)), *(([], data) for data in written.unreadable)]
        random.Random(begin).shuffle(messages)
        placed = [(place % scene.partitions, *message) for place, message in enumerate(messages)]
        for number, some, data in placed:
            sent[number].append((some, data))
        asyncio.run(send(scene, [(number, data) for number, _, data in placed]))
        # The second worker is restored, and asks for its schemas anew.
        assert asyncio.run(until_taken(Worker(pipeline, settings(scene)), len(placed))) == 0
    schema = None
    sources, dead = scene.read("payments"), scene.read("dead")
    for number, records in scene.read("scored").items():
        expected = judged(scene, number, sent[number], model)
        assert len(records) == len(expected) > 100
        for record, (identity, offset, result, version) in zip(records, expected, strict=True):
            source = sources[number][offset]
            assert (record.key, record.timestamp) == (source.key, source.timestamp)
            assert record.headers == source.headers
            (schema_id,) = struct.unpack(">xI", record.value[:5])
            schema = schema or fastavro.parse_schema(json.loads(registry.avro(schema_id)[0]))
            row = fastavro.schemaless_reader(io.BytesIO(record.value[5:]), schema, None)
            assert repr(row["features"]) == repr(result.features.to_dict())
            assert (row["id"], row["score"], row["model"]) == (identity, result.score, version)
            assert row["definition"] == app.features.fingerprint
            told = [(one["feature"], one["contribution"]) for one in row["reasons"]]
            assert told == [(one.name, one.contribution) for one in result.reasons(2)]
        unreadable = [record.value for record in dead[number] if ("fastfeat.code", b"undecodable") in record.headers]
        assert unreadable == [data for some, data in sent[number] if not some]
    assert schema["name"] == "shop.Scored"


def judged(scene, number, messages, model):
    """What one engine makes of the events, one by one."""
    engine, expected = Engine(app.features, model=model), []
    for offset, (some, _) in enumerate(messages):
        for place, event in enumerate(some):
            identity = f"{scene.name}.payments-{number}-{offset}" + (f".{place}" if len(some) > 1 else "")
            try:
                expected.append((identity, offset, engine.score(event), None))
            except ff.FastfeatError:
                continue
    version = json.loads(Engine(app.features, model=model).push_messages(
        [json.dumps(events(0)[0] | {"amount": 1.0}).encode()], score=True).encode()[0])["model"]  # fmt: skip
    return [(*each[:3], version) for each in expected]


class Away:
    """A registry that is away for the first times that it is asked."""

    def __init__(self, registry, times):
        self.registry, self.left = registry, times

    def avro(self, schema_id):
        self.left -= 1
        if self.left >= 0:
            raise ff.SchemaRegistryError("http://registry", f"GET schemas/ids/{schema_id} failed: timed out")
        return self.registry.avro(schema_id)


def test_a_registry_that_is_away_holds_events_up_and_costs_no_state(scene, registry, caplog):
    written, away = AsAvro(registry, scene.name), Away(registry, 3)
    source = ff.Kafka(f"{scene.name}.payments", stream=app.payments, format=ff.Avro(registry=away.avro))
    pipeline = ff.Pipeline(scene.name, app.features, sources=[source], checkpoint=scene.folder / "checkpoints")
    messages = list(written.messages(events(0)))
    asyncio.run(send(scene, [(place % 2, data) for place, (_, data) in enumerate(messages)]))
    assert asyncio.run(until_taken(Worker(pipeline, settings(scene)), len(messages))) == 0
    failed = [record.message for record in caplog.records if " failed: " in record.message]
    assert len(failed) == 3
    assert all(each.startswith("Read failed: schema registry") for each in failed), "nothing had to be restored"


def test_a_dry_run_registers_nothing_and_tells_of_a_schema_that_is_refused(scene, registry):
    def pipeline(**options):
        return ff.Pipeline(
            scene.name,
            app.features,
            sources=[ff.Kafka(f"{scene.name}.payments", stream=app.payments)],
            sink=ff.Kafka(f"{scene.name}.scored", format=ff.AvroOutput(registry=Refusing(registry, **options))),
        )

    class Refusing:
        def __init__(self, registry, why=None):
            self.registry, self.why = registry, why

        def register(self, subject, schema):
            raise AssertionError("registered")

        def incompatible(self, subject, schema):
            assert subject == f"{scene.name}.scored-value"
            return self.why or self.registry.incompatible(subject, schema)

    found = asyncio.run(Worker(pipeline(), settings(scene)).check())
    assert found == {f"{scene.name}.payments": 2, f"{scene.name}.scored": 2}
    with pytest.raises(ff.DefinitionError, match=r"its schema of rows is refused: a field went; give AvroOutput"):
        asyncio.run(Worker(pipeline(why="a field went"), settings(scene)).check())


def test_a_repartition_keeps_headers(kafka, name, tmp_path):
    scene = Scene(kafka, name, tmp_path, target="by_merchant")
    try:
        messages = [json.dumps(event).encode() for event in events(0)]
        asyncio.run(send(scene, [(place % 2, data) for place, data in enumerate(messages)]))
        target = ff.repartition(
            name,
            ff.Kafka(f"{name}.payments", stream=app.payments),
            by="merchant",
            to=ff.Kafka(f"{name}.by-merchant"),
        )
        assert asyncio.run(until_taken(Worker(target, settings(scene)), EVENTS)) == 0
        sources = {record.value: record for some in scene.read("payments").values() for record in some}
        moved = [record for some in scene.read("by-merchant").values() for record in some]
        assert len(moved) == EVENTS
        assert all(record.headers == sources[record.value].headers for record in moved)
    finally:
        scene.close()
