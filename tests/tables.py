"""What the tests share about tables: events as Arrow, and a table held to rows bit by bit. x engines"""

from itertools import pairwise

import fastfeat as ff
import numpy
import pyarrow
from harness import comparable
from reference_expressions import Instant
from strategies_events import UNITS

ARROW_TYPES = {
    "float64": pyarrow.float64(),
    "int64": pyarrow.int64(),
    "boolean": pyarrow.bool_(),
    "string": pyarrow.string(),
    "categorical": pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
}


# --- Tables ------------------------------------------------------------------------------------------------------


def arrow_type(field, plain):
    if isinstance(field, ff.Timestamp):
        return pyarrow.int64() if plain else pyarrow.timestamp(field.unit, "UTC")
    return pyarrow.string() if plain and field.kind == "categorical" else ARROW_TYPES[field.kind]


def arrow_table(stream, events, chunks=(), plain=False):
    """The events of a stream as a table, cut at the places in `chunks`. `plain` has whole numbers for times."""
    fields = [(name, arrow_type(field, plain)) for name, field in stream.fields.items()]
    schema = pyarrow.schema(fields)
    borders = [0, *sorted(chunks), len(events)]
    batches = [
        pyarrow.RecordBatch.from_arrays(
            [arrow_array([event.get(name) for event in events[start:end]], kind) for name, kind in fields],
            schema=schema,
        )
        for start, end in pairwise(borders)
    ]
    return pyarrow.Table.from_batches(batches, schema)


def arrow_array(values, kind):
    if pyarrow.types.is_timestamp(kind):
        return pyarrow.array(values, pyarrow.int64()).cast(pyarrow.timestamp(kind.unit)).cast(kind)
    return (
        pyarrow.array(values, pyarrow.string()).cast(kind)
        if pyarrow.types.is_dictionary(kind)
        else pyarrow.array(values, kind)
    )


def assert_table(table, rows):
    """Column by column: the type, the nulls, and the bits of what is there."""
    table = pyarrow.table(table)
    assert table.num_rows == len(rows)
    assert not rows or table.column_names == list(rows[0].to_dict())
    for name in table.column_names if rows else ():
        column = table[name].combine_chunks()
        values = [row.to_dict()[name] for row in rows]
        nulls = column.is_null().to_pylist()
        assert nulls == [value is None for value in values], name
        there = [value for value in values if value is not None]
        found = [value for value in column.to_pylist() if value is not None]
        if pyarrow.types.is_floating(column.type):
            assert (
                numpy.array(found).view(numpy.uint64).tolist() == numpy.array(there, float).view(numpy.uint64).tolist()
            )
        elif pyarrow.types.is_timestamp(column.type):
            assert len(found) == len(there)
            assert instants(column) == [comparable(value) for value in there]
        elif pyarrow.types.is_list(column.type):
            # A NaN in a list is equal to nothing, and 0.0 to -0.0; as texts they are told apart.
            assert repr(list(map(comparable, found))) == repr(list(map(comparable, there))), name
        else:
            assert [(type(value), value) for value in found] == [(type(value), value) for value in there], name


def instants(column):
    """The timestamps that are there, in microseconds."""
    ticks = (value for value in column.cast(pyarrow.int64()).to_pylist() if value is not None)
    return [Instant(tick * UNITS[column.type.unit] // 1_000) for tick in ticks]


def runs(events):
    """The events in runs of one stream, as `push_batch` takes them."""
    found = []
    for stream, event in events:
        if not found or found[-1][0] != stream:
            found.append((stream, []))
        found[-1][1].append(event)
    return found
