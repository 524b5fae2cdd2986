"""A worker that also notes when each batch came to which stage: `python staged.py worker app:pipeline`.

What is left behind, in the file BENCH_STAGES, are rows of a NumPy array: partition, how many events, and when they were
fetched, pushed, handed over to the producer, confirmed and done with, in seconds of the monotonic clock.
"""

import os
import time

import numpy as np
from fastfeat.__main__ import main
from fastfeat.worker import unit

noted: list[tuple[float, ...]] = []


def note() -> None:
    publish = unit.Unit._publish

    async def published(self, begin, end, token):
        pushed = time.monotonic()
        done = await publish(self, begin, end, token)
        # Its stages are told by perf_counter, which on Linux is the monotonic clock.
        publisher = self._publisher
        stages = (self._fetched_at, pushed, publisher.handed_at, publisher.confirmed_at, time.monotonic())
        noted.append((self.number, end[0] - begin[0], *stages))
        return done

    unit.Unit._publish = published


if __name__ == "__main__":
    note()
    try:
        main()
    finally:
        np.save(os.environ["BENCH_STAGES"], np.array(noted))
