"""What a worker counts, and how Prometheus sees it: one collector that reads the counters where they are."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["Counters", "Histogram", "collector"]

BOUNDS_SECONDS: Final = (
    0.0001, 0.0002, 0.0003, 0.0004, 0.0005, 0.0006, 0.0008, 0.001, 0.0015, 0.002, 0.003, 0.005,
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Histogram:
    """Durations in buckets.

    >>> times = Histogram(); times.add(0.002); times.add(60.0); times.count, times.sum
    (2, 60.002)
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.counts)

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds and how many are at or below them, as Prometheus writes them."""
        bounds, total, found = [*map(str, BOUNDS_SECONDS), "+Inf"], 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Counters:
    """What one partition counts.

    >>> counters = Counters(); counters.took("push", 0.001); counters.times["push"].count
    1
    """

    def __init__(self) -> None:
        self.events = self.rows = self.dead_letters = self.transactions = self.tainted = self.replayed = 0
        self.checkpoints = self.checkpoint_bytes = 0
        self.lag: int | None = None
        self.failures: Counter[tuple[str, str]] = Counter()
        self.codes: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.state_at: float | None = None
        """When what could be restored was the state of now: seconds of the monotonic clock."""
        self.times: dict[str, Histogram] = {}
        self.engine: Mapping[str, Any] = {}
        """The engine's own counters, as they were when it was last at rest."""

    def took(self, stage: str, seconds: float) -> None:
        """How long a stage took, for a batch."""
        self.times.setdefault(stage, Histogram()).add(seconds)

    def failed(self, action: str, fault: str) -> None:
        """An action failed."""
        self.failures[action, fault] += 1

    def published(self, results: Any, *, tainted: bool) -> None:
        """Results are committed."""
        self.events += results.events
        self.rows += len(results.values)
        self.dead_letters += len(results.refused)
        self.codes.update(code for _, code, *_ in results.refused)
        self.rules.update(results.rules)
        self.transactions += 1
        self.tainted += tainted

    def checkpointed(self, size_bytes: int) -> None:
        """A checkpoint is written."""
        self.checkpoints += 1
        self.checkpoint_bytes = size_bytes


TOTALS: Final = {
    "events": "events taken and committed; at least once: whose rows are committed or on their way",
    "rows": "rows published",
    "transactions": "transactions (or commits) done",
    "tainted": "transactions after which the producer was replaced, because a request had failed on the way",
    "replayed": "events pushed again to bring a restored state forward",
    "checkpoints": "checkpoints written",
}
ENGINE: Final = {"keys": "keys held", "state_bytes": "bytes of state"}


def collector(
    units: Callable[[], Iterable[tuple[int, Counters]]],
    worker: Callable[[], Mapping[str, float]],
    versions: Callable[[], Mapping[str, str]],
    lateness_s: Mapping[str, float],
) -> Any:
    """A collector for a Prometheus registry.

    `worker` gives gauges of the worker as a whole, `versions` those of what it runs, `lateness_s` that of each stream.
    """
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

    class Collector:
        def collect(self) -> Iterator[Any]:
            each = list(units())
            for name, help_text in TOTALS.items():
                total = CounterMetricFamily(f"fastfeat_{name}", help_text, labels=["partition"])
                for number, counters in each:
                    total.add_metric([str(number)], getattr(counters, name))
                yield total
            letters = CounterMetricFamily(
                "fastfeat_dead_letters", "messages refused, by reason", labels=["partition", "code"]
            )
            failures = CounterMetricFamily(
                "fastfeat_failures", "actions that failed, by what it meant", labels=["partition", "action", "fault"]
            )
            lag = GaugeMetricFamily("fastfeat_lag_events", "events not yet taken, as of a fetch", labels=["partition"])
            size = GaugeMetricFamily("fastfeat_checkpoint_bytes", "bytes of the last checkpoint", labels=["partition"])
            times = HistogramMetricFamily(
                "fastfeat_batch_seconds", "seconds that a stage took for a batch", labels=["partition", "stage"]
            )
            rules = CounterMetricFamily(
                "fastfeat_broken_rules", "messages refused, by each rule that they broke", labels=["partition", "rule"]
            )
            age = GaugeMetricFamily(
                "fastfeat_checkpoint_age_seconds",
                "how long ago the state was written down or restored",
                labels=["partition"],
            )
            mark = GaugeMetricFamily(
                "fastfeat_watermark_seconds",
                "event time, in seconds since 1970, before which events come too late",
                labels=["partition", "stream"],
            )
            engine = {
                name: GaugeMetricFamily(f"fastfeat_{name}", text, labels=["partition"]) for name, text in ENGINE.items()
            }
            for number, counters in each:
                label = str(number)
                for code, count in sorted(counters.codes.items()):
                    letters.add_metric([label, code], count)
                for (action, fault), count in sorted(counters.failures.items()):
                    failures.add_metric([label, action, fault], count)
                for rule, count in sorted(counters.rules.items()):
                    rules.add_metric([label, rule], count)
                if counters.state_at is not None:
                    age.add_metric([label], time.monotonic() - counters.state_at)
                for stream, about in sorted(counters.engine.get("streams", {}).items()):
                    if about["newest"] is not None:
                        mark.add_metric([label, stream], about["newest"].timestamp() - lateness_s.get(stream, 0.0))
                if counters.lag is not None:
                    lag.add_metric([label], counters.lag)
                size.add_metric([label], counters.checkpoint_bytes)
                for stage, histogram in sorted(counters.times.items()):
                    times.add_metric([label, stage], histogram.buckets(), histogram.sum)
                for name, family in engine.items():
                    if name in counters.engine:
                        family.add_metric([label], counters.engine[name])
            yield from (letters, rules, failures, lag, mark, size, age, times, *engine.values())
            yield InfoMetricFamily("fastfeat_running", "what this worker runs", value=dict(versions()))
            for name, value in worker().items():
                yield GaugeMetricFamily(f"fastfeat_{name}", name.replace("_", " "), value=value)

    return Collector()
