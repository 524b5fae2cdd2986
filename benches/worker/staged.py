"""A worker that also notes when each batch came to which stage: `python staged.py worker app:pipeline`.

What is left behind, in the file BENCH_STAGES, are rows of a NumPy array: partition, how many events, and when they were
fetched, pushed, handed over to the producer, confirmed and done with, in seconds of the monotonic clock.
"""

import os
import time

import numpy as np
from fastfeat.__main__ import main
from fastfeat.sinks import kafka
from fastfeat.worker import unit

noted: list[tuple[int, int, float, float, float, list[float], float]] = []


def note() -> None:
    publish, send = unit.Unit._publish, kafka.Publisher._send

    async def sent(self, producer, batches):
        futures = await send(self, producer, batches)
        self.bench_confirmed = confirmed = []
        for future in futures:
            future.add_done_callback(lambda _: confirmed.append(time.monotonic()))
        return futures

    async def published(self, begin, end, token):
        pushed = time.monotonic()
        done = await publish(self, begin, end, token)
        # Its stages are told by perf_counter, which on Linux is the monotonic clock.
        fetched, handed, confirmed = self._fetched_at, self._publisher.handed_at, self._publisher.bench_confirmed
        noted.append((self.number, end[0] - begin[0], fetched, pushed, handed, confirmed, time.monotonic()))
        return done

    kafka.Publisher._send, unit.Unit._publish = sent, published


if __name__ == "__main__":
    note()
    try:
        main()
    finally:
        # At least once rows are confirmed and committed later than `publish` returns.
        rows = [(*before, max(confirmed), max(done, *confirmed)) for *before, confirmed, done in noted]
        np.save(os.environ["BENCH_STAGES"], np.array(rows))
