"""`fastfeat dead-letters replay`: refused messages, repaired, back to the topics that they came from."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from fastfeat.commands.loading import LoadError, load_object, load_pipeline
from fastfeat.errors import FastfeatError

__all__ = ["run"]

DONE: Final = 0
CANNOT: Final = 2
GAVE_UP: Final = 3


def run(target: str, config: Path | None, repair: str | None, codes: list[str], dry_run: bool) -> int:
    """The exit code: 0 done, 2 could not start, 3 Kafka failed on the way (what was put back is committed)."""
    try:
        from fastfeat.config import read_settings
        from fastfeat.sinks.kafka import PublishError
        from fastfeat.worker.letters import replay_now
    except ImportError as error:
        print(f'fastfeat dead-letters: {error}: pip install "fastfeat[kafka,worker]"', file=sys.stderr)
        return CANNOT
    try:
        settings, pipeline = read_settings(config), load_pipeline(target)
        function = None if repair is None else load_object(repair)
        if function is not None and not callable(function):
            raise LoadError(f"`{repair}` is no function; name one that takes bytes and gives bytes, or None")
        counts = replay_now(pipeline, settings, repair=function, codes=set(codes), dry_run=dry_run)
    except (FastfeatError, LoadError) as error:
        print(f"fastfeat dead-letters: {error}", file=sys.stderr)
        return CANNOT
    except (PublishError, OSError) as error:
        print(f"fastfeat dead-letters: {error}; run it again, it goes on where it stopped", file=sys.stderr)
        return GAVE_UP
    print(json.dumps(counts))
    return DONE
