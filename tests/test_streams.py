"""Streams: what they take, what they refuse, and that they are plain values."""

import copy
import pickle
from datetime import timedelta

import pytest
from fastfeat import DefinitionError, Float64, Int64, Stream, String, Timestamp, col

TS = {"ts": Timestamp("us")}


def test_a_stream_says_what_it_is():
    stream = Stream("payments", TS | {"amount": Float64(ge=0)}, time="ts", lateness="90s")
    assert (stream.name, stream.time, stream.lateness, stream.on_late) == ("payments", "ts", "90s", "reject")
    assert stream.lateness_ns == 90_000_000_000
    assert list(stream.fields) == ["ts", "amount"]
    assert Stream("payments", TS, time="ts").lateness == "0s"


def test_a_stream_is_a_value():
    fields = TS | {"amount": Float64(ge=0)}
    stream = Stream("payments", fields, time="ts", lateness="10s")
    again = eval(repr(stream))
    assert again == stream
    assert hash(again) == hash(stream)
    assert pickle.loads(pickle.dumps(stream)) == copy.deepcopy(stream) == stream
    assert stream == Stream("payments", fields, time="ts", lateness=timedelta(seconds=10))
    fields["later"] = Int64()
    assert "later" not in stream.fields
    with pytest.raises(AttributeError, match="does not change"):
        stream.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        stream.fields["later"] = Int64()  # type: ignore[index]


@pytest.mark.parametrize(
    "other",
    [
        Stream("p2", TS | {"x": Int64()}, time="ts"),
        Stream("p", TS | {"x": Float64()}, time="ts"),
        Stream("p", {"x": Int64()} | TS, time="ts"),
        Stream("p", TS | {"x": Int64()}, time="ts", lateness="1s"),
        Stream("p", TS | {"x": Int64()}, time="ts", on_late="emit"),
    ],
)
def test_streams_that_differ_in_anything_are_not_equal(other: Stream):
    assert Stream("p", TS | {"x": Int64()}, time="ts") != other


@pytest.mark.parametrize(
    ("arguments", "options", "place", "told"),
    [
        (("", TS), {"time": "ts"}, "stream", "the name is empty"),
        ((5, TS), {"time": "ts"}, "stream", "the name is 5; write a text"),
        (("p", {}), {"time": "ts"}, "stream `p`", "its fields are {}; write {'ts': ff.Timestamp('us'), ...}"),
        (("p", [("ts", Timestamp("us"))]), {"time": "ts"}, "stream `p`", "its fields are"),
        (("p", TS | {"x": float}), {"time": "ts"}, "field `x` of stream `p`", "write a field type"),
        (("p", TS | {"x": Float64}), {"time": "ts"}, "field `x` of stream `p`", "write Float64(...), with parentheses"),
        (("p", TS | {"": Float64()}), {"time": "ts"}, "stream `p`", "the name of a field is empty"),
        (("p", TS | {3: Float64()}), {"time": "ts"}, "stream `p`", "the name of a field is 3; write a text"),
        (("p", TS), {"time": "tss"}, "stream `p`", "time `tss` is not a field; did you mean `ts`?"),
        (("p", TS), {"time": None}, "stream `p`", "time is None; write a text"),
        (("p", TS | {"x": Int64()}), {"time": "x"}, "field `x` of stream `p`", "make it a Timestamp"),
        (
            ("p", {"ts": Timestamp("us", nullable=True)}),
            {"time": "ts"},
            "field `ts` of stream `p`",
            "leave out nullable",
        ),
        (("p", {"ts": Timestamp("us", default=0)}), {"time": "ts"}, "field `ts` of stream `p`", "leave out nullable"),
        (("p", TS), {"time": "ts", "lateness": "-1s"}, "stream `p`", "lateness `-1s` is not a duration; write `1s`"),
        (("p", TS), {"time": "ts", "lateness": 10}, "stream `p`", "lateness is 10"),
        (("p", TS), {"time": "ts", "lateness": timedelta(-1)}, "stream `p`", "write at least `0s`"),
        (("p", TS), {"time": "ts", "on_late": "drop"}, "stream `p`", "on_late is 'drop'; write `reject`"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(arguments: tuple, options: dict, place: str, told: str):
    with pytest.raises(DefinitionError) as caught:
        Stream(*arguments, **options)
    assert caught.value.place == place
    assert told in caught.value.message


def test_a_column_of_a_stream_is_found_at_once_or_refused_with_the_nearest_name():
    stream = Stream("payments", TS | {"amount": Float64(), "card": String()}, time="ts")
    assert stream["amount"].equals(stream.col("amount"))
    assert not stream["amount"].equals(col("amount"))
    with pytest.raises(DefinitionError) as caught:
        stream["amuont"]
    assert str(caught.value) == (
        "stream `payments`: column `amuont` is not in stream `payments`; did you mean `amount`? It has ts, amount, card"
    )


def test_a_stream_of_many_columns_does_not_list_them_all():
    stream = Stream("wide", TS | {f"x{index}": Int64() for index in range(1_000)}, time="ts")
    with pytest.raises(DefinitionError, match="and 981 more") as caught:
        stream["nothing"]
    assert len(caught.value.message) < 300
