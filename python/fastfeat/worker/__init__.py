"""The worker: partitions of Kafka in, rows and scores out. The one room that knows sources, engines and sinks."""

from fastfeat.worker.loop import Worker, run

__all__ = ["Worker", "run"]
