"""Row: a mapping by name, a vector of floats, and one small object that the garbage collector does not track."""

import copy
import gc
import math
import pickle
import struct
import sys
from datetime import datetime, timezone

import fastfeat as ff
import numpy as np
import pytest
from fastfeat import Engine, Stream, col

S = Stream(
    "s",
    {
        "ts": ff.Timestamp("us"),
        "f": ff.Float64(nullable=True, allow_nan=True),
        "i": ff.Int64(nullable=True),
        "b": ff.Boolean(nullable=True),
        "t": ff.String(nullable=True),
        "c": ff.Categorical(["low", "<high>"], nullable=True),
    },
    time="ts",
)
FEATURES = S.features(at=col("ts"), f=col("f"), i=col("i"), b=col("b"), t=col("t"), c=col("c"))
NAMES = ("at", "f", "i", "b", "t", "c")
AT = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
FULL = {"ts": AT, "f": 0.5, "i": 2**53 + 1, "b": True, "t": "é", "c": "<high>"}
NULL_BITS = 0x7FF8_0000_0000_07A2


def row(**fields):
    return Engine(FEATURES).push({"ts": 0, **fields})


def test_values_have_their_types():
    full = Engine(FEATURES).push(FULL)
    assert full.to_dict() == {"at": AT, "f": 0.5, "i": 2**53 + 1, "b": True, "t": "é", "c": "<high>"}
    assert [type(value) for value in full.values()] == [datetime, float, int, bool, str, str]
    assert full["at"].tzinfo is timezone.utc
    assert row().to_dict() == {"at": datetime(1970, 1, 1, tzinfo=timezone.utc), **dict.fromkeys("fibtc")}


def test_a_row_is_a_mapping_of_names():
    full = Engine(FEATURES).push(FULL)
    assert tuple(full) == full.names == full.keys() == NAMES
    assert len(full) == 6
    assert dict(full) == full.to_dict() == dict(full.items())
    assert full.values() == list(full.to_dict().values())
    assert "f" in full
    assert "g" not in full
    assert 1 not in full
    assert full["f"] == full[1] == full[-5] == full[np.int64(1)] == 0.5
    assert (full.get("f"), full.get("g"), full.get("g", 7)) == (0.5, None, 7)
    assert [*map(str, {**full})] == [*NAMES]


def test_an_unknown_name_is_told_with_the_nearest_one():
    long = Engine(S.features(spend_1h=col("f").sum().over("1h"), spend_24h=col("f").sum().over("24h"))).push({"ts": 0})
    with pytest.raises(KeyError, match="no feature is called `spend_1g`; did you mean `spend_1h`"):
        long["spend_1g"]
    with pytest.raises(KeyError, match=r"the 2 names are in `row\.names`"):
        long["something else"]
    for position in (2, -3, 10**9):
        with pytest.raises(IndexError, match="outside a Row of 2 features"):
            long[position]
    for key in (1.0, None, slice(0, 1), ("f",)):
        with pytest.raises(TypeError, match="name of a feature or its position"):
            long[key]


def test_the_vector_is_the_rows_own_memory():
    full = Engine(FEATURES).push(FULL)
    vector = np.asarray(full)
    assert vector.dtype == np.float64
    assert np.shares_memory(vector, np.asarray(full))
    assert not vector.flags.writeable
    assert vector[1:4].tolist() == [0.5, float(2**53), 1.0]
    assert vector[0] == AT.timestamp() * 1e6
    assert math.isnan(vector[4])  # a text has no place in a vector
    assert vector[5] == 1.0
    bits = np.asarray(row(f=math.nan)).view(np.uint64).tolist()
    assert bits[1] != NULL_BITS
    assert bits[2] == NULL_BITS
    assert row(f=math.nan).to_dict()["f"] != row().to_dict()["f"] is None


def test_a_null_from_outside_is_a_nan():
    """No NaN that comes in is taken for the null, whatever its payload."""
    (null,) = struct.unpack("d", struct.pack("Q", NULL_BITS))
    assert math.isnan(row(f=null)["f"])


def test_the_buffer_outlives_the_name_of_its_row():
    vector = np.asarray(row(f=7.0))
    gc.collect()
    assert vector[1] == 7.0
    view = memoryview(row(f=7.0))
    assert (view.format, view.shape, view.strides, view.itemsize, view.readonly, view.nbytes) == (
        "d",
        (6,),
        (8,),
        8,
        True,
        48,
    )
    assert view[1] == 7.0
    assert view.c_contiguous
    with pytest.raises(TypeError):
        view[1] = 0.0
    assert len(bytes(row())) == 48
    copied = np.array(row(f=1.0))
    copied[1] = 2.0


def test_equal_rows_have_equal_names_and_values():
    assert row(f=1.0) == row(f=1.0)
    assert row(f=math.nan) == row(f=math.nan)
    assert row(f=math.nan) != row()
    assert row(f=0.0) == row(f=-0.0)
    assert row(t="a") != row(t="b")
    assert row(i=2**53) != row(i=2**53 + 1)
    assert row() != {}
    assert row() != Engine(S.features(other=col("f"))).push({"ts": 0})
    with pytest.raises(TypeError):
        hash(row())


@pytest.mark.parametrize("event", [FULL, {"ts": 0}, {"ts": 0, "f": math.nan}, {"ts": 0, "f": -math.inf, "i": -(2**63)}])
def test_a_row_is_copied_and_pickled(event):
    full = Engine(FEATURES).push(event)
    assert copy.copy(full) is full
    assert copy.deepcopy([full])[0] is full
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(full, protocol))
        assert again == full
        assert again.names == full.names
        assert [type(value) for value in again.values()] == [type(value) for value in full.values()]
        assert bytes(again)[8:] == bytes(full)[8:]


def test_a_damaged_pickle_is_refused():
    restore, (names, types, categories, ticks, values) = row(c="low").__reduce__()
    for damaged in (
        (names[1:], types, categories, ticks, values),
        (names, ("Complex", *types[1:]), categories, ticks, values),
        (names, types, categories, 0, values),
        (names, types, categories, ticks, [*values[:-1], 2]),
        (names, types, categories, ticks, [*values[:-2], 3, None]),
    ):
        with pytest.raises((ValueError, TypeError)):
            restore(*damaged)


def test_a_row_prints_as_a_table():
    text = repr(Engine(FEATURES).push(FULL))
    assert text.splitlines()[0] == "Row of 6 features"
    assert "  at  2026-01-31T12:00:00Z" in text
    assert "  i   9007199254740993" in text
    assert '  t   "é"' in text
    assert "  f   null" in repr(row())
    html = Engine(FEATURES).push(FULL)._repr_html_()
    assert "<td>c</td><td>&quot;&lt;high&gt;&quot;</td>" in html
    many = Engine(S.features(**{f"x{number}": col("f") + number for number in range(60)})).push({"ts": 0})
    assert repr(many).splitlines()[-1] == "  … and 20 more"


def test_a_row_is_small_and_untracked():
    full = Engine(FEATURES).push(FULL)
    assert not gc.is_tracked(full)
    assert sys.getsizeof(full) <= 128


def test_a_million_rows_leave_no_memory_behind():
    engine = Engine(S.features(f=col("f")))
    event = {"ts": 0, "f": 1.0}
    for _ in range(20_000):
        engine.push(event).to_dict()
    import tracemalloc

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20_000):
        row = engine.push(event)
        np.asarray(row)
        row.to_dict()
        row.names  # noqa: B018
    assert tracemalloc.get_traced_memory()[0] - before < 20_000
    tracemalloc.stop()
