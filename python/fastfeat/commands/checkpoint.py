"""`fastfeat checkpoint inspect`: what is inside a checkpoint, on any machine, as tables or as JSON."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from fastfeat.checkpoints import inspect_checkpoint
from fastfeat.errors import FastfeatError

__all__ = ["inspect"]

WHOLE: Final = 0
DAMAGED: Final = 1
CANNOT: Final = 2
EVENTS_SHOWN_MAX: Final = 50


def inspect(path: str, key: list[str], as_json: bool) -> int:
    """Prints it. 0: all is whole; 1: something is damaged; 2: it cannot be looked at."""
    try:
        found = inspect_checkpoint(path, key=_pairs(key))
    except (FastfeatError, ValueError) as error:
        print(f"fastfeat checkpoint inspect: {error}", file=sys.stderr)
        return CANNOT
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)
    is_whole = found["manifest"] in (None, "whole") and all(
        file["whole"] for chain in found["chains"] for file in chain
    )
    return WHOLE if is_whole else DAMAGED


def _pairs(key: list[str]) -> dict[str, str]:
    pairs = {}
    for text in key:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f"--key {text}: write COLUMN=VALUE, such as card=c-1")
        pairs[name] = value
    return pairs


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if found["manifest"] is not None:
        color = "green" if found["manifest"] == "whole" else "red"
        console.print(f"[bold]{escape(found['path'])}[/bold]: manifest [{color}]{escape(found['manifest'])}[/{color}]")
        if not found["chains"]:
            console.print("it has no checkpoint")
    for chain in found["chains"]:
        files = Table("file", "kind", "bytes", "events", "state", "offsets", title="chain", title_justify="left")
        for file in chain:
            state = "[green]whole[/green]" if file["whole"] else f"[red]{escape(file['damage'])}[/red]"
            events = "" if file["events"] is None else f"{file['events']:,}"
            files.add_row(
                file["name"], file["kind"], f"{file['bytes']:,}", events, state, escape(json.dumps(file["offsets"]))
            )
        console.print(files)
        if chain:
            _show_state(console, chain[0], next((file for file in reversed(chain) if file["streams"]), chain[0]))
    for each in found["keys"]:
        _show_key(console, each)


def _show_state(console: Any, full: dict[str, Any], last: dict[str, Any]) -> None:
    """What the last file of a chain counts, and what the full one is made of."""
    from rich.table import Table

    console.print(
        f"written by release {full['release'] or '?'}, format {full['format']}, semantics {full['semantics']}, "
        f"fingerprint {full['fingerprint'][:12]}; {last['texts']:,} texts, {last['late_events']:,} late events listed"
    )
    streams = Table("stream", "events", "late", "invalid", "newest")
    for stream in last["streams"]:
        newest = _time(stream["newest_ticks"], last["ticks_per_second"])
        counts = (f"{stream[name]:,}" for name in ("events", "late", "invalid"))
        streams.add_row(stream["name"], *counts, newest)
    console.print(streams)
    tables = Table("table", "keys", "expired", "bytes in the full one")
    sizes = {table["name"]: table["bytes"] for table in full["tables"]}
    for table in last["tables"]:
        tables.add_row(table["name"], f"{table['keys']:,}", f"{table['expired']:,}", f"{sizes.get(table['name'], 0):,}")
    console.print(tables)
    for lookup in last["lookups"]:
        console.print(f"lookup {lookup['name']}: version {lookup['version']}, {lookup['misses']:,} misses")


def _show_key(console: Any, each: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not each["found"]:
        console.print(f"{escape(each['table'])}: no such key")
        return
    past = "; more is kept of events that have left" if each["has_past"] else ""
    events = each["events"]
    names = list(events[0]) if events else ["time"]
    title = f"{each['table']}: {len(events):,} events{past}"
    table = Table(*map(escape, names), title=escape(title), title_justify="left")
    for event in events[-EVENTS_SHOWN_MAX:]:
        table.add_row(*(escape(str(event[name])) for name in names))
    console.print(table)
    if len(events) > EVENTS_SHOWN_MAX:
        console.print(f"the newest {EVENTS_SHOWN_MAX} are shown; --json has all")


def _time(ticks: int | None, ticks_per_second: int) -> str:
    if ticks is None:
        return ""
    microseconds = ticks * 1_000_000 // ticks_per_second
    try:
        return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return f"{ticks} ticks"
