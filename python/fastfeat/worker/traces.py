"""OpenTelemetry: a span for each thing that a partition does. Only where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastfeat.protocol import Action, Event, Failed, Position

if TYPE_CHECKING:
    from fastfeat.worker.unit import Unit

__all__ = ["traced"]


def traced(unit: Unit) -> None:
    """From here on each action of the unit is a span, with partition and position."""
    try:
        from opentelemetry import trace
    except ImportError:
        raise ImportError('traces need OpenTelemetry: pip install "fastfeat[otel]"') from None

    tracer, do = trace.get_tracer("fastfeat.worker"), unit._told

    async def told(action: Action) -> Event:
        with tracer.start_as_current_span(type(action).__name__) as span:
            span.set_attribute("partition", unit.number)
            for name in ("begin", "end", "position", "at_most"):
                position: Position | None = getattr(action, name, None)
                if position is not None:
                    span.set_attribute(name, list(position))
            event = await do(action)
            if isinstance(event, Failed):
                span.set_attribute("fault", event.fault.value)
                if event.error is not None:
                    span.record_exception(event.error)
            return event

    unit._told = told  # type: ignore[method-assign]
