"""Protobuf messages: what the protobuf package wrote is what `push` makes of what it reads; other bytes are refused."""

import struct
from datetime import datetime, timedelta, timezone

import fastfeat as ff
import numpy
import pytest
from fastfeat import DefinitionError, Engine, Stream, col, count
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

KIND = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "double": (KIND.TYPE_DOUBLE, ff.Float64(nullable=True, allow_nan=True), st.floats()),
    "float": (KIND.TYPE_FLOAT, ff.Float64(nullable=True, allow_nan=True), st.floats(width=32)),
    "int32": (KIND.TYPE_INT32, ff.Int64(nullable=True), st.integers(-(2**31), 2**31 - 1)),
    "sint32": (KIND.TYPE_SINT32, ff.Int64(nullable=True), st.integers(-(2**31), 2**31 - 1)),
    "sfixed32": (KIND.TYPE_SFIXED32, ff.Int64(nullable=True), st.integers(-(2**31), 2**31 - 1)),
    "uint32": (KIND.TYPE_UINT32, ff.Int64(nullable=True), st.integers(0, 2**32 - 1)),
    "fixed32": (KIND.TYPE_FIXED32, ff.Int64(nullable=True), st.integers(0, 2**32 - 1)),
    "int64": (KIND.TYPE_INT64, ff.Int64(nullable=True), st.integers(-(2**63), 2**63 - 1)),
    "sint64": (KIND.TYPE_SINT64, ff.Int64(nullable=True), st.integers(-(2**63), 2**63 - 1)),
    "sfixed64": (KIND.TYPE_SFIXED64, ff.Int64(nullable=True), st.integers(-(2**63), 2**63 - 1)),
    "uint64": (KIND.TYPE_UINT64, ff.Float64(nullable=True), st.integers(0, 2**64 - 1)),
    "fixed64": (KIND.TYPE_FIXED64, ff.Float64(nullable=True), st.integers(0, 2**64 - 1)),
    "bool": (KIND.TYPE_BOOL, ff.Boolean(nullable=True), st.booleans()),
    "string": (KIND.TYPE_STRING, ff.String(nullable=True), st.text(max_size=8)),
}
WRAPPED = {
    "double": "DoubleValue",
    "int64": "Int64Value",
    "bool": "BoolValue",
    "string": "StringValue",
    "uint64": "UInt64Value",
}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

FIELDS = {"ts": ff.Timestamp("us")}
FIELDS |= {f"{how}_{name}": kind for name, (_, kind, _) in SCALARS.items() for how in ("plain", "optional")}
FIELDS |= {f"wrapped_{name}": SCALARS[name][1] for name in WRAPPED}
FIELDS |= {
    "kind": ff.Categorical(["NONE", "LOW", "HIGH"]),
    "one_a": ff.Int64(nullable=True),
    "one_b": ff.String(nullable=True),
}
TAPS = Stream("taps", FIELDS, time="ts", lateness="50000d")
FEATURES = TAPS.features(count=count().over(), **{name: col(name).last().over() for name in FIELDS if name != "ts"})


def descriptors(syntax="proto3"):
    """A file with an outer message `First`, the message `Tap` and one inside it, as a set with what it imports."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{syntax}.proto", package=f"of.{syntax}", syntax=syntax)
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
    file.message_type.add(name="First")
    tap = file.message_type.add(name="Tap")
    numbers = iter(range(1, 1_000))
    kinds = tap.enum_type.add(name="Kind")
    for number, name in enumerate(["NONE", "LOW", "HIGH"]):
        kinds.value.add(name=name, number=number)
    tap.oneof_decl.add(name="one")
    package = f".of.{syntax}.Tap"

    def field(name, kind, type_name=None, label=KIND.LABEL_OPTIONAL, **more):
        tap.field.add(name=name, number=next(numbers), type=kind, type_name=type_name, label=label, **more)

    for name, (kind, _, _) in SCALARS.items():
        field(f"plain_{name}", kind)
    field("ts", KIND.TYPE_MESSAGE, ".google.protobuf.Timestamp")
    field("kind", KIND.TYPE_ENUM, f"{package}.Kind", default_value="LOW" if syntax == "proto2" else None)
    for name in WRAPPED:
        field(f"wrapped_{name}", KIND.TYPE_MESSAGE, f".google.protobuf.{WRAPPED[name]}")
    field("one_a", KIND.TYPE_INT32, oneof_index=0)
    field("one_b", KIND.TYPE_STRING, oneof_index=0)
    field("one_other", KIND.TYPE_BOOL, oneof_index=0)
    inner = tap.nested_type.add(name="Inner")
    inner.field.add(
        name="again", number=1, type=KIND.TYPE_MESSAGE, type_name=f"{package}.Inner", label=KIND.LABEL_OPTIONAL
    )
    field("unknown_list", KIND.TYPE_INT32, label=KIND.LABEL_REPEATED)
    field("unknown_message", KIND.TYPE_MESSAGE, f"{package}.Inner")
    field("unknown_bytes", KIND.TYPE_BYTES)
    if syntax == "proto3":
        for place, (name, (kind, _, _)) in enumerate(SCALARS.items(), 1):
            field(f"optional_{name}", kind, proto3_optional=True, oneof_index=place)
            tap.oneof_decl.add(name=f"_optional_{name}")
    else:
        for name, (kind, _, _) in SCALARS.items():
            field(f"optional_{name}", kind)
    imports = [descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()]
    timestamp_pb2.DESCRIPTOR.CopyToProto(imports[0])
    wrappers_pb2.DESCRIPTOR.CopyToProto(imports[1])
    return imports, file


def set_of(imports, file):
    return descriptor_pb2.FileDescriptorSet(file=[*imports, file]).SerializeToString()


def message_class(imports, file):
    pool = descriptor_pool.DescriptorPool()
    for each in (*imports, file):
        pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Tap"))


PARTS = {syntax: descriptors(syntax) for syntax in ("proto2", "proto3")}
SETS = {syntax: set_of(*parts) for syntax, parts in PARTS.items()}
TAP = {syntax: message_class(*parts) for syntax, parts in PARTS.items()}


def framed(data, id=7, places=b"\x02\x02"):
    return struct.pack(">bI", 0, id) + places + data


def as_event(tap):
    """What the protobuf package reads, as an event."""
    event = {}
    for field in tap.DESCRIPTOR.fields:
        if field.name not in FIELDS:
            continue
        if field.has_presence and not tap.HasField(field.name) and not field.has_default_value:
            continue
        value = getattr(tap, field.name)
        if field.name == "ts":
            value = EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)
        elif field.message_type is not None:
            value = value.value
        elif field.enum_type is not None:
            value = field.enum_type.values_by_number[value].name
        event[field.name] = value
    return event


@st.composite
def taps(draw, syntax):
    tap = TAP[syntax]()
    for name, (_, _, values) in SCALARS.items():
        for how in ("plain", "optional"):
            if draw(st.booleans()):
                setattr(tap, f"{how}_{name}", draw(values))
    for name in WRAPPED:
        if draw(st.booleans()):
            getattr(tap, f"wrapped_{name}").value = draw(SCALARS[name][2])
    tap.ts.FromDatetime(draw(st.datetimes(datetime(2000, 1, 1), datetime(2020, 1, 1))))
    if draw(st.booleans()):
        tap.kind = draw(st.sampled_from([0, 1, 2]))
    for name, values in (("one_a", st.integers(0, 9)), ("one_b", st.text(max_size=3)), ("one_other", st.booleans())):
        if draw(st.booleans()):
            setattr(tap, name, draw(values))
    tap.unknown_list.extend(draw(st.lists(st.integers(0, 9), max_size=3)))
    tap.unknown_message.again.again.SetInParent()
    tap.unknown_bytes = draw(st.binary(max_size=3))
    return tap


@pytest.mark.parametrize("syntax", ["proto2", "proto3"])
@given(data=st.data())
def test_what_the_protobuf_package_writes_is_read_as_it_reads_it(syntax, data):
    messages = [tap.SerializeToString() for tap in data.draw(st.lists(taps(syntax), min_size=1, max_size=4))]
    if data.draw(st.booleans()):
        # Two messages, one after the other, are one: parts are joined, the last of a field and of a oneof counts.
        messages = [b"".join(messages)]
    raw = ff.Protobuf(SETS[syntax], message=f"of.{syntax}.Tap", framing="raw")
    outcomes = [
        Engine(FEATURES).push_messages(messages, format=raw),
        Engine(FEATURES).push_messages([framed(each) for each in messages], format=ff.Protobuf({7: SETS[syntax]})),
    ]
    alone = Engine(FEATURES)
    for place, message in enumerate(messages):
        row = alone.push(as_event(TAP[syntax].FromString(message)))
        for outcome in outcomes:
            assert outcome.status[place] == 0, outcome.problems
            assert repr(outcome.rows()[place]) == repr(row.to_dict())
            vector = numpy.asarray(row)
            same = outcome.values[place].view(numpy.uint64) == vector.view(numpy.uint64)
            assert (same | numpy.isnan(vector)).all()


def tap(**fields):
    message = TAP["proto3"](**fields)
    message.ts.seconds = 5
    return message.SerializeToString()


RAW = ff.Protobuf(SETS["proto3"], message="of.proto3.Tap", framing="raw")


@given(st.binary(max_size=60))
def test_no_bytes_stop_a_batch(data):
    outcome = Engine(FEATURES).push_messages([data, tap()], format=RAW)
    assert outcome.status.tolist()[0] in (0, 2)
    assert outcome.status.tolist()[1] == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=4), st.integers(0, 60))
def test_damage_costs_a_message_at_most(changes, length):
    message = bytearray(framed(tap(plain_string="a text of some length", plain_int64=-1)))
    for place, byte in changes:
        message[place % len(message)] = byte
    batch = [bytes(message), bytes(message[:length]), framed(tap())]
    outcome = Engine(FEATURES).push_messages(batch, format=ff.Protobuf({7: SETS["proto3"]}))
    assert set(outcome.status[:2].tolist()) <= {0, 2}
    assert outcome.status[2] == 0


def test_places_name_the_type_and_others_than_the_asked_for_are_refused():
    batch = [
        framed(tap()),
        framed(b"", places=b"\x00"),
        framed(b"", places=b"\x04\x02\x00"),
        framed(b"", places=b"\x02\x08"),
    ]
    outcome = Engine(FEATURES).push_messages(batch, format=ff.Protobuf(SETS["proto3"], message="of.proto3.Tap"))
    assert outcome.status.tolist() == [0, 2, 2, 2]
    assert [problem.code for problem in outcome.problems] == ["undecodable"] * 3
    assert "it is a `of.proto3.First` and `message` asks for `of.proto3.Tap`" in outcome.problems[0].message
    assert "it is a `of.proto3.Tap.Inner`" in outcome.problems[1].message
    assert "its type is [4] in its file" in outcome.problems[2].message


def test_unknown_ids_are_asked_of_a_registry_before_anything_is_taken():
    asked = []

    def registry(id):
        asked.append(id)
        if id == 9:
            raise LookupError(id)
        return SETS["proto3"] if id == 7 else b"\xff"

    batch = [framed(tap()), framed(tap(), id=8), framed(tap(), id=9), framed(tap())]
    outcome = Engine(FEATURES).push_messages(batch, format=ff.Protobuf(registry=registry))
    assert asked == [7, 8, 9]
    assert outcome.status.tolist() == [0, 2, 2, 0]
    assert "no FileDescriptorSet" in outcome.problems[0].message
    assert "schema id 9 is not known" in outcome.problems[1].message


def test_imports_of_google_may_be_left_out():
    _, file = PARTS["proto3"]
    short = ff.Protobuf(set_of([], file), message="of.proto3.Tap", framing="raw")
    assert Engine(FEATURES).push_messages([tap()], format=short).status.tolist() == [0]


def test_a_number_without_a_name_in_its_enum_is_refused_by_its_field():
    (problem,) = Engine(FEATURES).push_messages([tap(kind=7)], format=RAW).problems
    assert (problem.code, problem.problems[0].field, problem.problems[0].value) == ("invalid", "kind", "7")


def test_lists_and_messages_are_no_fields_of_a_stream():
    stream = Stream(
        "taps",
        {**FIELDS, "unknown_list": ff.Int64(nullable=True), "unknown_message": ff.String(nullable=True)},
        time="ts",
    )
    message = TAP["proto3"](unknown_list=[1])
    message.unknown_message.SetInParent()
    (problem,) = (
        Engine(stream.features(n=count().over())).push_messages([message.SerializeToString()], format=RAW).problems
    )
    found = {(each.field, each.rule) for each in problem.problems}
    assert found == {("ts", "required"), ("unknown_list", "type"), ("unknown_message", "type")}


def test_a_time_far_away_costs_a_problem():
    message = TAP["proto3"]()
    message.ts.seconds = 2**63 - 1
    (problem,) = Engine(FEATURES).push_messages([message.SerializeToString()], format=RAW).problems
    assert [(each.field, each.rule) for each in problem.problems] == [("ts", "range")]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ff.Protobuf(), "there are no descriptors"),
        (lambda: ff.Protobuf(SETS["proto3"], framing="raw"), "`message`"),
        (lambda: ff.Protobuf({-1: b""}), "a schema id is -1"),
        (lambda: ff.Protobuf({1: "text"}), "the descriptors of 1"),
        (lambda: ff.Protobuf("text"), "give bytes"),
        (lambda: ff.Protobuf(b"", registry=bytes), "leave one of them out"),
        (lambda: ff.Protobuf({1: b""}, framing="rav"), "did you mean `raw`"),
        (lambda: used(ff.Protobuf(SETS["proto3"], message="of.proto3.Tab")), "did you mean `of.proto3.Tap`"),
        (lambda: used(ff.Protobuf({3: b"\xff"})), "schema 3: the bytes are no FileDescriptorSet"),
        (lambda: used(ff.Protobuf(b"")), "it has no file"),
    ],
)
def test_what_is_no_format_is_refused_where_it_is_written(make, told):
    with pytest.raises(DefinitionError, match=told):
        make()


def used(format):
    Engine(FEATURES).push_messages([], format=format)
