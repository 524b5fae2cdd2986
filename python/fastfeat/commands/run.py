"""`fastfeat run`: a pipeline over files, without a broker. The same engine, the same rows, the same bits."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from fastfeat.commands.loading import LoadError, load_pipeline
from fastfeat.engine import Engine
from fastfeat.errors import FastfeatError
from fastfeat.event_files import iter_events
from fastfeat.pipeline import Pipeline
from fastfeat.sinks.files import FileSink, open_sink

__all__ = ["run", "run_files"]

DONE: Final = 0
CANNOT: Final = 2
ROWS: Final = 5_000


def run(target: str, inputs: list[str], output: str, dead_letters: str | None) -> int:
    """The exit code: 0 all events were taken (or refused and told), 2 it could not be done."""
    opened: list[FileSink] = []
    try:
        pipeline = load_pipeline(target)
        paths = _paths(inputs, pipeline)
        opened.append(open_sink(output, lambda: _schema(pipeline)))
        if dead_letters is not None:
            opened.append(open_sink(dead_letters, _refuse_parquet))
        counts = run_files(pipeline, paths, *opened)
        for sink in opened:
            sink.close()
        opened.clear()
    except (FastfeatError, LoadError, ImportError, OSError) as error:
        print(f"fastfeat run: {error}", file=sys.stderr)
        return CANNOT
    finally:
        for sink in opened:
            sink.discard()
    print(json.dumps(counts), file=sys.stderr)
    return DONE


def _paths(inputs: list[str], pipeline: Pipeline) -> dict[str | None, Path]:
    """By stream; None is the features' own."""
    names = [stream.name for stream in pipeline.streams]
    paths: dict[str | None, Path] = {}
    for text in inputs:
        name, equals, path = text.partition("=")
        known = bool(equals) and name in names
        if equals and not known and not Path(text).exists():
            raise LoadError(f"--input {text}: the pipeline has no stream `{name}`; it has {', '.join(names)}")
        stream = name if known else None
        if stream in paths:
            raise LoadError(f"--input {text}: stream `{stream or names[0]}` has a file already; give one for each")
        paths[stream] = Path(path if known else text)
    return paths


def run_files(
    pipeline: Pipeline,
    paths: dict[str | None, Path],
    sink: FileSink,
    refused: FileSink | None = None,
    *,
    advance: Callable[[int], None] = lambda events: None,
) -> dict[str, int]:
    """The rows of a pipeline over files by stream, merged by time; how many events, rows, refused.

    `advance` is told of events that are taken.
    """
    engine = Engine(pipeline.features, model=pipeline.model, streams=pipeline.streams, **pipeline.engine)
    own = pipeline.features.stream
    streams = {own.name: own} | {stream.name: stream for stream in pipeline.streams}
    counts = {"events": 0, "rows": 0, "refused": 0}
    at = dict.fromkeys(streams, 0)
    for name, events in _runs(iter_events(paths, streams), own.name):
        outcome = engine.push_messages(events, stream=name, score=pipeline.model is not None, reasons=pipeline.reasons)
        of = outcome.message.tolist()
        ids = [f"{name}-{at[name] + place}" for place in of]
        lines = outcome.encode(ids=ids, reasons=bool(pipeline.reasons))
        rows = _rows(outcome, ids)
        wanted = [place for place, line in enumerate(lines) if line is not None]
        sink.write([rows[place] for place in wanted], [line for line in lines if line is not None])
        if refused is not None and outcome.problems:
            told = [_refusal(ids[problem.index], events[of[problem.index]], problem) for problem in outcome.problems]
            refused.write([], told)
        at[name] += len(events)
        advance(len(events))
        counts["events"] += len(events)
        counts["rows"] += len(wanted)
        counts["refused"] += len(outcome.problems)
    return counts


def _runs(events: Iterator[tuple[str | None, Any]], own: str) -> Iterator[tuple[str, list[bytes]]]:
    """Events of one stream at a time, as bytes, in stretches that fit into memory."""
    for name, run_of in groupby(events, key=lambda each: each[0] or own):
        some: list[bytes] = []
        for _, event in run_of:
            some.append(event if isinstance(event, bytes) else json.dumps(event, default=_plain).encode())
            if len(some) == ROWS:
                yield name, some
                some = []
        if some:
            yield name, some


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise LoadError(f"a column of a file holds {type(value).__name__}, which no field takes")


def _rows(outcome: Any, ids: list[str]) -> list[dict[str, Any]]:
    scores = None if outcome.scores is None else outcome.scores.tolist()
    rows = []
    for place, row in enumerate(outcome.rows()):
        made = {"id": ids[place], **(row or {})}
        if scores is not None:
            score = scores[place]
            made["score"] = None if isinstance(score, float) and math.isnan(score) else score
        rows.append(made)
    return rows


def _refusal(identity: str, event: bytes, problem: Any) -> bytes:
    told = {
        "id": identity,
        "code": problem.code,
        "message": problem.message,
        "problems": [list(map(str, each)) for each in problem.problems],
        "event": event.decode(errors="replace"),
    }
    return json.dumps(told, ensure_ascii=False).encode()


def _schema(pipeline: Pipeline) -> Any:
    """Of the rows in Parquet: the id, the features, the score."""
    import pyarrow as pa  # type: ignore[import-untyped]

    fields = [pa.field("id", pa.string()), *pa.schema(pipeline.features.schema)]
    if pipeline.model is not None:
        fields.append(pa.field("score", pa.float64()))
    return pa.schema(fields)


def _refuse_parquet() -> Any:
    raise LoadError("--dead-letters takes a file of JSON lines (.jsonl)")
