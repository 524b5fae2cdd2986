"""`fastfeat worker`: runs a pipeline against Kafka until it is stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fastfeat.commands.loading import LoadError, load_work
from fastfeat.errors import FastfeatError

__all__ = ["run"]

CANNOT: Final = 2


def run(target: str, config: Path | None, dry_run: bool) -> int:
    """The exit code: 0 stopped, 2 could not start, 3 gave up, 4 the state cannot be restored."""
    try:
        from fastfeat.config import read_settings
        from fastfeat.logs import log_to_stderr
        from fastfeat.worker import run as run_worker

        settings = read_settings(config)
        pipeline = load_work(target)
        log_to_stderr(settings.log_level)
        if settings.traces:
            _trace_to_exporter()
        return run_worker(pipeline, settings, dry_run=dry_run)
    except (FastfeatError, LoadError) as error:
        print(f"fastfeat worker: {error}", file=sys.stderr)
        return CANNOT
    except ImportError as error:
        if error.name is not None and error.name.startswith("fastfeat"):
            raise
        print(f'fastfeat worker: {error}: pip install "fastfeat[kafka,worker]"', file=sys.stderr)
        return CANNOT


def _trace_to_exporter() -> None:
    """Where the OTEL_... variables say."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
