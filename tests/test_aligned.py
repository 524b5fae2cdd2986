"""A backlog of several sources is taken in the order of its times, however the broker hands it out."""

import asyncio
from dataclasses import dataclass

from fastfeat.worker.aligned import cut, read_aligned
from fastfeat.worker.outgoing import in_order
from hypothesis import given
from hypothesis import strategies as st


@dataclass(frozen=True)
class Record:
    timestamp: int
    offset: int


class Hands:
    """Hands records out in portions that are drawn, as a reader does whose fetches come when they like."""

    def __init__(self, topics, draw):
        self.topics, self.draw = topics, draw
        self.at, self.kept = [0 for _ in topics], [[] for _ in topics]

    async def read(self, *, rows_max, timeout_ms, places=None):
        found, self.kept = self.kept, [[] for _ in self.topics]
        for place, topic in enumerate(self.topics):
            if places is None or place in places:
                end = self.at[place] + self.draw(st.integers(0, 3))
                found[place] = found[place] + topic[self.at[place] : end]
                self.at[place] = min(end, len(topic))
        return found

    async def more(self):
        return [at < len(topic) for at, topic in zip(self.at, self.topics, strict=True)]

    def unread(self, records):
        self.kept = records


times = st.lists(st.integers(0, 9), max_size=12).map(sorted)


@given(st.data(), st.lists(times, min_size=2, max_size=3))
def test_a_backlog_is_taken_by_its_times_and_then_by_source(data, topics):
    topics = [[Record(at, offset) for offset, at in enumerate(topic)] for topic in topics]
    hands, taken = Hands(topics, data.draw), []

    async def run():
        while len(taken) < sum(map(len, topics)):
            for place, some in in_order(await read_aligned(hands, rows_max=9, timeout_ms=1)):
                taken.extend((one.timestamp, place, one.offset) for one in some)

    asyncio.run(run())
    assert taken == sorted((one.timestamp, place, one.offset) for place, topic in enumerate(topics) for one in topic)


def test_who_has_no_more_holds_nobody_up():
    records = [[Record(5, 0)], [Record(7, 0), Record(9, 1)]]
    assert cut(records, [False, False]) == [1, 2]
    assert cut(records, [True, False]) == [1, 0]
    assert cut(records, [False, True]) == [1, 2]
    assert cut([[Record(5, 0)], [Record(5, 0)]], [True, False]) == [1, 0], "the first one may have another 5"
    assert cut([[Record(5, 0)], [Record(5, 0)]], [False, True]) == [1, 1]


def test_times_that_fall_leave_each_source_in_order():
    assert cut([[Record(9, 0), Record(3, 1)], [Record(4, 0), Record(10, 1), Record(5, 2)]], [True, False]) == [2, 1]
