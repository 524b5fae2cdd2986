"""Numbers and gates in, failures out. Nothing is measured here and no clock is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

QUANTILES = {"p50_us": 0.5, "p99_us": 0.99, "p99_9_us": 0.999, "max_us": 1.0}


def quantiles(sorted_seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the largest, in microseconds: each the smallest that so large a share does not exceed."""
    last = len(sorted_seconds)
    return {name: sorted_seconds[max(math.ceil(last * q), 1) - 1] * 1e6 for name, q in QUANTILES.items()}


def failures(measured: Mapping[str, Mapping[str, Any]], gates: Mapping[str, Any]) -> list[str]:
    """A line for each limit that was reached: which gate, the number measured, the limit.

    `measured` holds the numbers by benchmark. A benchmark that did not run is not held to its gate, one that ran
    without giving the number is.
    """
    lines = []
    for benchmark, limits in gates.items():
        if not isinstance(limits, Mapping) or benchmark not in measured:
            continue
        for number, limit in limits.items():
            value = measured[benchmark].get(number)
            if value is None:
                lines.append(f"gate {benchmark}.{number}: was not measured, the limit is {limit:g}")
            elif not value < limit:
                lines.append(f"gate {benchmark}.{number}: measured {value:.6g}, the limit is {limit:g}")
    return lines
