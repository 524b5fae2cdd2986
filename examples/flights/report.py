"""What the example says while it works, and at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

console = Console()
if not console.is_terminal:
    console = Console(width=110)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line elsewhere."""
    started = time.perf_counter()
    if console.is_terminal:
        columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
            bar.update(task, completed=total)
    else:
        yield lambda count: None
        console.print(f"{title}: {total:,} events in {time.perf_counter() - started:.1f} s", highlight=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Something that takes a while and has no parts to count."""
    started = time.perf_counter()
    with console.status(title):
        yield
    console.print(f"{title}: {time.perf_counter() - started:.1f} s", highlight=False)


def latencies(nanoseconds: list[int]) -> dict[str, float]:
    """Quantiles in microseconds."""
    ordered = np.sort(nanoseconds) / 1000
    pick = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: float(np.quantile(ordered, share, method="inverted_cdf")) for name, share in pick.items()}


def example(why: str, event: dict, result: Any, outcome: str) -> dict:
    """One flight: who, when, its score and the three features that moved it most."""
    due = datetime.fromtimestamp(event["time"] / 1e6, timezone.utc)
    reasons = [
        {"feature": reason.name, "value": reason.value, "contribution": reason.contribution}
        for reason in result.reasons(3)
    ]
    return {
        "picked_as": why,
        "flight": f"{event['carrier']} {event['flight']} {event['origin']}-{event['dest']}",
        "due": f"{due:%d %b %H:%M} UTC",
        "outcome": outcome,
        "score": result.score,
        "reasons": reasons,
    }


def show(numbers: dict[str, Any]) -> None:
    """The whole report."""
    quality = _table("model", "AUC", "log loss")
    for name, key in (("schedule alone", "schedule_alone"), ("schedule and streams", "with_streams")):
        quality.add_row(name, f"{numbers[key]['auc']:.3f}", f"{numbers[key]['log_loss']:.3f}")

    speed = _table(*numbers["latency_us"], "events/s, both streams", "keys", "state")
    speed.add_row(
        *(f"{value:,.1f} us" for value in numbers["latency_us"].values()),
        f"{numbers['events_per_s']:,.0f}",
        f"{numbers['keys']:,}",
        f"{numbers['state_bytes'] / 2**20:,.1f} MiB",
    )

    reasons = _table("flight", "score", "feature", "value", "contribution", left=("flight", "feature"))
    for flight in numbers["examples"]:
        top = flight["reasons"]
        reasons.add_row(
            f"{flight['flight']}, due {flight['due']}\n{flight['picked_as']}\n{flight['outcome']}",
            f"{flight['score']:.3f}",
            "\n".join(reason["feature"] for reason in top),
            "\n".join(_value(reason["value"]) for reason in top),
            "\n".join(f"{reason['contribution']:+.3f}" for reason in top),
            end_section=True,
        )

    late = f"{numbers['judged']:,} flights that landed, {numbers['late_share']:.1%} of them late"
    for title, table in (
        (f"Will it be 15 minutes late or more? {late}", quality),
        (f"engine.score: {numbers['features']} features and the model, one flight at a time", speed),
        ("Three flights, and why (contribution: to the log-odds of being late)", reasons),
    ):
        console.print(f"\n[bold]{title}[/bold]", highlight=False)
        console.print(table)
    ways = " and over ".join(numbers["same_rows"])
    console.print(f"\nThe same rows, to the bit, from a worker's pipeline over {ways}.", highlight=False)
    console.print(f"{numbers['seconds']:.0f} s in all", highlight=False)


def _table(*headings: str, left: tuple[str, ...] = ("model",)) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=heading in left)
    return table


def _value(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
