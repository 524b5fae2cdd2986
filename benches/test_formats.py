"""A batch of messages in, rows as messages out, by format: `push_messages` and `encode` beside a Python loop.

The loop is what one writes without them: a fast parser of the format, `engine.push`, a fast writer. Both take the same
bytes in the same run, turn by turn; the rows are the same.
"""

from __future__ import annotations

import io
import json
import time

import fastavro
import numpy
import orjson
import pyarrow
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from workloads import cards, cards_30

BATCH, ROUNDS = 1_000, 3
AVRO = {
    "type": "record",
    "name": "payment",
    "fields": [
        {"name": "ts", "type": "long"},
        *({"name": name, "type": "string"} for name in ("card", "merchant", "country")),
        {"name": "amount", "type": "double"},
        {"name": "declined", "type": "boolean"},
    ],
}


def protobuf():
    """Descriptors of a payment, and its class."""
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", syntax="proto3")
    message = file.message_type.add(name="Payment")
    kinds = {"long": 3, "string": 9, "double": 1, "boolean": 8}
    for number, field in enumerate(AVRO["fields"], 1):
        message.field.add(name=field["name"], number=number, type=kinds[field["type"]], label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptors = descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()
    return descriptors, message_factory.GetMessageClass(pool.FindMessageTypeByName("Payment"))


DESCRIPTORS, PAYMENT = protobuf()
AVRO_PARSED = fastavro.parse_schema(AVRO)


def avro(event):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, AVRO_PARSED, event)
    return out.getvalue()


def ipc(events):
    batch = pyarrow.RecordBatch.from_pylist(events)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_protobuf(data):
    message = PAYMENT.FromString(data)
    return {field["name"]: getattr(message, field["name"]) for field in AVRO["fields"]}


def formats():
    """By name: the format, events to messages, a message to its events as one writes it in Python."""
    import fastfeat as ff

    each = lambda write: lambda events: [write(event) for event in events]  # noqa: E731
    return {
        "json": ("json", each(lambda event: json.dumps(event).encode()), lambda data: [orjson.loads(data)]),
        "avro": (
            ff.Avro(AVRO, framing="raw"),
            each(avro),
            lambda data: [fastavro.schemaless_reader(io.BytesIO(data), AVRO_PARSED, None)],
        ),
        "protobuf": (
            ff.Protobuf(DESCRIPTORS, message="Payment", framing="raw"),
            each(lambda event: PAYMENT(**event).SerializeToString()),
            lambda data: [from_protobuf(data)],
        ),
        "arrow_ipc": (
            ff.ArrowIpc(),
            lambda events: [ipc(events)],
            lambda data: pyarrow.ipc.open_stream(data).read_all().to_pylist(),
        ),
    }


@pytest.mark.parametrize("name", ["json", "avro", "protobuf", "arrow_ipc"])
@pytest.mark.parametrize("output", ["json", "avro"])
def test_a_batch_of_messages(record, name, output):
    import fastfeat as ff
    from fastfeat import Engine

    work = cards()
    events = work.dicts(0, min(len(work), 200_000))
    format, write, read = formats()[name]
    batches = [write(events[start : start + BATCH]) for start in range(0, len(events), BATCH)]
    features = cards_30()
    row_schema = fastavro.parse_schema(ff.avro_schema(features))
    to = "json" if output == "json" else ff.AvroOutput(framing="raw")

    def one_call(engine):
        written = []
        for batch in batches:
            outcome = engine.push_messages(batch, format=format)
            written += outcome.encode(to)
        return written

    def loop(engine):
        push, written, fingerprint = engine.push, [], features.fingerprint
        for batch in batches:
            for data in batch:
                for event in read(data):
                    message = {"features": push(event).to_dict(), "definition": fingerprint}
                    if output == "json":
                        written.append(orjson.dumps(message))
                    else:
                        out = io.BytesIO()
                        fastavro.schemaless_writer(out, row_schema, message)
                        written.append(out.getvalue())
        return written

    best = dict.fromkeys((one_call, loop), float("inf"))
    for _ in range(ROUNDS):
        for way in best:
            engine = Engine(features)
            start = time.perf_counter()
            written = way(engine)
            best[way] = min(best[way], time.perf_counter() - start)
            # The two write the same rows: doubles of both have the fewest digits, or all bits.
            assert len(written) == len(events)
            if output == "json":
                rows = [json.loads(written[place])["features"] for place in (0, len(events) // 2, -1)]
            else:
                found = [fastavro.schemaless_reader(io.BytesIO(written[at]), row_schema, None) for at in (0, -1)]
                rows = [each["features"] for each in found]
            if way is one_call:
                expected = rows
            assert numpy.array_equal(
                [[float(value or 0) for value in row.values()] for row in rows],
                [[float(value or 0) for value in row.values()] for row in expected],
            )
    us = {way: seconds / len(events) * 1e6 for way, seconds in best.items()}
    record(
        f"{name}_to_{output}", "batch",
        events=len(events), us_per_event=us[one_call], loop_us_per_event=us[loop],
        ratio_to_loop=us[one_call] / us[loop],
    )  # fmt: skip
