"""Batches that are packed are, to the byte, those that aiokafka's own builder makes of the same messages."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from fastfeat.packing import pack
from hypothesis import given
from hypothesis import strategies as st

some_bytes = st.none() | st.binary(max_size=300)
messages = st.tuples(
    some_bytes,
    some_bytes,
    st.integers(0, 2**62),
    st.lists(st.tuples(st.text(max_size=5), some_bytes), max_size=3),
)


def built(messages, bytes_max, state, transactional):
    def begin():
        # aiokafka's own are smaller than what they may be; ours may be as large.
        return BatchBuilder(bytes_max + 1, 0, is_transactional=int(transactional))

    batches, builder = [], begin()
    for key, value, timestamp, headers in messages:
        if builder.append(key=key, value=value, timestamp=timestamp, headers=headers) is None:
            batches.append(builder)
            builder = begin()
            builder.append(key=key, value=value, timestamp=timestamp, headers=headers)
    if builder.record_count():
        batches.append(builder)
    found = []
    for each in batches:
        each._set_producer_state(*state)
        found.append((each.record_count(), bytes(each._build())))
    return found


@given(
    st.lists(messages, max_size=20),
    st.integers(61, 2_000),
    st.tuples(st.integers(-1, 2**63 - 1), st.integers(-1, 2**15 - 1), st.integers(-1, 2**31 - 1)),
    st.booleans(),
)
def test_packed_batches_are_those_of_aiokafka(messages, bytes_max, state, transactional):
    keys, values, timestamps, headers = map(list, zip(*messages, strict=True)) if messages else ([], [], [], [])
    packed = pack(keys, values, timestamps, headers if any(headers) else None, bytes_max)
    sealed = [(batch.count, batch.seal(*state, transactional)) for batch in packed]
    assert sealed == built(messages, bytes_max, state, transactional)
    assert [batch.size for batch in packed] == [len(data) for _, data in sealed]


def test_a_batch_may_be_as_large_as_it_may_be():
    keys, values, timestamps = [b"k", b"k"], [b"v", b"v"], [5, 5]
    (both,) = pack(keys, values, timestamps, None, 1_000)
    size = len(both.seal(0, 0, 0, False))
    assert [batch.count for batch in pack(keys, values, timestamps, None, size)] == [2]
    assert [batch.count for batch in pack(keys, values, timestamps, None, size - 1)] == [1, 1]


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="there are 1 values"):
        pack([b"a", b"b"], [b"x"], [1], None, 1_000)
