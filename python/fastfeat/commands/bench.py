"""`fastfeat bench`: what a user's own definition costs on their own events, as a table or as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from fastfeat.commands.loading import LoadError, load_features
from fastfeat.costs import Costs, measure
from fastfeat.engine import Engine
from fastfeat.errors import FastfeatError
from fastfeat.event_files import read_events
from fastfeat.features import FeatureSet

__all__ = ["run"]

DONE: Final = 0
BUDGET_MISSED: Final = 1
CANNOT: Final = 2
CHANGES_SHOWN_MAX: Final = 40
STAGES: Final = {
    "read": "the event into typed columns",
    "find": "computed columns, keys, their state",
    "answer": "every window of every key",
    "store": "the event into the logs; what is too old out",
    "row": "expressions over the answers",
    "score": "the model",
    "give": "the Row object",
}


def run(
    target: str,
    events: list[str],
    budget_us: float | None,
    model: Path | None,
    limit: int,
    repeats: int,
    as_json: bool,
) -> int:
    """Measures and prints. The exit code."""
    try:
        features = load_features(target)
        paths = _paths(events, features)
        streams = {each.name: each for each in features.streams}
        read = read_events(paths, streams, limit)
        if len(read) < 2:
            raise LoadError(f"{', '.join(events)}: {len(read)} event(s); two or more can be measured")
        costs = _measured(features, read, model, budget_us, repeats, quiet=as_json)
        if costs.events == 0:
            _first_refusal(features, read)
    except (FastfeatError, LoadError, ImportError) as error:
        print(f"fastfeat bench: {error}", file=sys.stderr)
        return CANNOT
    if as_json:
        print(json.dumps(_plain(costs)))
    else:
        _show(target, costs)
    return DONE if costs.meets_budget else BUDGET_MISSED


def _paths(events: list[str], features: FeatureSet) -> dict[str | None, Path]:
    """By stream; None is the features' own."""
    names = [each.name for each in features.streams]
    paths: dict[str | None, Path] = {}
    for text in events:
        name, equals, path = text.partition("=")
        stream = name if equals and name in names else None
        if equals and stream is None and not Path(text).exists():
            raise LoadError(f"--events {text}: the features have no stream `{name}`; they have {', '.join(names)}")
        if stream in paths:
            raise LoadError(f"--events {text}: stream `{stream or names[0]}` has a file already; give one for each")
        paths[stream] = Path(path if stream is not None else text)
    return paths


def _measured(
    features: FeatureSet, read: list[Any], model: Path | None, budget_us: float | None, repeats: int, quiet: bool
) -> Costs:
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    with nullcontext() if quiet or not sys.stderr.isatty() else bar:
        task = bar.add_task("measuring", total=None)
        report = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        return measure(features, read, model=model, budget_us=budget_us, repeats=repeats, progress=report)


def _first_refusal(features: FeatureSet, read: list[Any]) -> None:
    """Raises what the first event is refused for."""
    stream, event = read[0]
    engine = Engine(features)
    push = engine.push_json if isinstance(event, bytes) else engine.push
    push(event, stream=stream or features.stream.name)


def _plain(costs: Costs) -> dict[str, Any]:
    """For JSON: the names of `Costs`, and what follows from them."""
    return {
        **asdict(costs),
        "bytes_per_key": costs.bytes_per_key,
        "meets_budget": costs.meets_budget,
        "plan_meets_budget": costs.plan_meets_budget,
    }


def _show(target: str, costs: Costs) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        f"[bold]{target}[/bold]: {costs.ns_per_event / 1e3:.2f} us an event, {costs.bytes_per_key:,.0f} bytes a key "
        f"({costs.keys:,} keys); {costs.events:,} events measured, noise {costs.noise_ns:.0f} ns"
    )
    if costs.refused:
        console.print(f"[yellow]{costs.refused:,} events were refused (invalid or late) and cost nothing here[/yellow]")
    stages = Table("stage", "ns an event", "share", "what it is")
    for name, nanoseconds in costs.stages.items():
        stages.add_row(name, f"{nanoseconds:,.0f}", f"{nanoseconds / costs.ns_per_event:.0%}", STAGES[name])
    console.print(stages)
    for kind, title in {
        "feature": "a feature less (what it shares with others stays)",
        "group": "all features that share a column of a key's log",
        "key": "all features of a key",
        "step": "a window that steps (hopping): same features, the tail in steps",
    }.items():
        chosen = [each for each in costs.changes if each.kind == kind]
        if not chosen:
            continue
        table = Table("change", "saves ns", "saves bytes a key", title=title, title_justify="left")
        for each in chosen[:CHANGES_SHOWN_MAX]:
            faint = abs(each.saves_ns) <= costs.noise_ns
            table.add_row(each.what, "~0" if faint else f"{each.saves_ns:,.0f}", f"{each.saves_bytes_per_key:,.0f}")
        console.print(table)
    if costs.budget_us is not None:
        _show_budget(console, costs)


def _show_budget(console: Any, costs: Costs) -> None:
    if costs.meets_budget:
        console.print(f"[green]budget {costs.budget_us:g} us: met[/green]")
        return
    missed_us = costs.ns_per_event / 1e3 - (costs.budget_us or 0)
    console.print(f"[red]budget {costs.budget_us:g} us: missed by {missed_us:.2f} us[/red]")
    for step in costs.plan:
        console.print(f"  {step.what} -> {step.ns_per_event / 1e3:.2f} us, {step.bytes_per_key:,.0f} bytes a key")
    if not costs.plan_meets_budget:
        console.print("  no change measured here gets there; what is left is reading the event and giving the row")
