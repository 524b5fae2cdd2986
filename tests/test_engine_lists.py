"""Lists in rows, pickles and tables: the newest values, the most frequent ones."""

import copy
import math
import pickle
from datetime import datetime, timedelta, timezone

import fastfeat as ff
import numpy as np
import pyarrow
import pytest
from fastfeat import Engine, Stream, col

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
stream = Stream(
    "s",
    {
        "ts": ff.Timestamp("s"),
        "text": ff.String(nullable=True),
        "kind": ff.Categorical(["low", "high"], nullable=True),
        "whole": ff.Int64(nullable=True),
        "number": ff.Float64(nullable=True, allow_nan=True),
        "flag": ff.Boolean(nullable=True),
        "at": ff.Timestamp("s", nullable=True),
    },
    time="ts",
)
COLUMNS = ("text", "kind", "whole", "number", "flag", "at")
features = stream.features(
    *(col(name).last_k(2).over().alias(name) for name in COLUMNS), top=col("text").top_k(2).over("1h")
)
EVENTS = [
    {"ts": 0},
    {"ts": 1, "text": "é", "kind": "high", "whole": 2**62 + 1, "number": math.nan, "flag": True, "at": 7},
    {"ts": 2, "text": "", "kind": "low", "whole": -1, "number": 0.5, "flag": False, "at": 8},
]
EXPECTED = [
    [None] * 7,
    [["é"], ["high"], [2**62 + 1], [math.nan], [True], [EPOCH + timedelta(seconds=7)], ["é"]],
    [
        ["", "é"],
        ["low", "high"],
        [-1, 2**62 + 1],
        [0.5, math.nan],
        [False, True],
        [EPOCH + timedelta(seconds=8), EPOCH + timedelta(seconds=7)],
        ["", "é"],
    ],
]


def rows():
    engine = Engine(features)
    return [engine.push(event) for event in EVENTS]


@pytest.mark.parametrize("place", range(3))
def test_a_row_gives_a_list_of_typed_values(place: int):
    row = rows()[place]
    assert repr(row.values()) == repr(EXPECTED[place])  # NaN prints as itself
    assert list(row.to_dict()) == list(features.names)


def test_in_a_float_vector_a_list_is_nan():
    for row in rows():
        assert np.isnan(np.asarray(row)).all()


def test_a_row_of_lists_prints_compares_copies_and_pickles():
    first, second, third = rows()
    assert 'text    ["", "é"]' in repr(third)
    assert "number  [0.5, NaN]" in repr(third)
    assert "text    null" in repr(first)
    assert third == rows()[2] != second
    for again in (pickle.loads(pickle.dumps(third)), copy.deepcopy(third)):
        assert again == third
        assert repr(again) == repr(third)
    assert pickle.loads(pickle.dumps(first)) == first


def test_the_schema_has_lists():
    stamp, code = pyarrow.timestamp("us", tz="UTC"), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    elements = [pyarrow.string(), code, pyarrow.int64(), pyarrow.float64(), pyarrow.bool_(), stamp, pyarrow.string()]
    assert features.schema.types == [pyarrow.list_(element) for element in elements]


def test_a_table_has_lists():
    kinds = [pyarrow.timestamp("s"), pyarrow.string(), pyarrow.string(), pyarrow.int64(), pyarrow.float64()]
    names = ["ts", *COLUMNS]
    types = [*kinds, pyarrow.bool_(), pyarrow.timestamp("s")]
    columns = [
        pyarrow.array([event.get(name) for event in EVENTS], kind) for name, kind in zip(names, types, strict=True)
    ]
    answer = pyarrow.table(Engine(features).push_batch(pyarrow.table(columns, names=names)))
    assert answer.schema == features.schema
    assert answer.column("kind").to_pylist() == [None, ["high"], ["low", "high"]]
    found = [list(row.values()) for row in answer.to_pylist()]
    assert [[repr(value) for value in row] for row in found[:1]] == [["None"] * 7]
    assert [row[:3] + row[4:5] for row in found] == [row[:3] + row[4:5] for row in EXPECTED]
    assert [[each.replace(tzinfo=timezone.utc) for each in row[5] or ()] for row in found] == [
        row[5] or [] for row in EXPECTED
    ]


def test_a_model_does_not_take_lists():
    only = stream.features(a=col("text").last_k(2).over(), b=col("whole"))
    assert list(only.schema.names) == ["a", "b"]
    with pytest.raises(ff.DefinitionError, match="list of `last_k` or `top_k`"):
        stream.features(x=col("whole").last_k(2).over() + 1)
