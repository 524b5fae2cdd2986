"""fastfeat: machine-learning features and scores from event streams, in microseconds, inside your process."""

from importlib.metadata import version as _version

from fastfeat.aggregations import Aggregation, count, rate, time_since_first, time_since_last
from fastfeat.avro_rows import AvroOutput, avro_schema
from fastfeat.engine import Engine, LateRecord, Outcome, Row, ScoreResult
from fastfeat.errors import (
    CheckpointError,
    CheckpointWarning,
    DefinitionError,
    FastfeatError,
    InvalidEvent,
    LateEvent,
    MemoryLimit,
    ModelError,
    Problem,
    RefusedMessage,
    SchemaNotFound,
    SchemaRegistryError,
    SpillError,
    TooOld,
)
from fastfeat.estimates import Estimate
from fastfeat.explanation import Explanation
from fastfeat.expressions import Expr, coalesce, col, haversine, lit, when
from fastfeat.features import FeatureSet
from fastfeat.formats import ArrowIpc, Avro, Json, Protobuf
from fastfeat.lookups import Lookup
from fastfeat.pipeline import Kafka, Pipeline, Repartition, repartition
from fastfeat.schema import Boolean, Categorical, Float64, Int64, String, Timestamp
from fastfeat.schema_registry import SchemaRegistry
from fastfeat.streams import Stream
from fastfeat.windows import hopping, last, rolling, session, since, tumbling

__version__: str = _version("fastfeat")

__all__ = [
    "Aggregation",
    "ArrowIpc",
    "Avro",
    "AvroOutput",
    "Boolean",
    "Categorical",
    "CheckpointError",
    "CheckpointWarning",
    "DefinitionError",
    "Engine",
    "Estimate",
    "Explanation",
    "Expr",
    "FastfeatError",
    "FeatureSet",
    "Float64",
    "Int64",
    "InvalidEvent",
    "Json",
    "Kafka",
    "LateEvent",
    "LateRecord",
    "Lookup",
    "MemoryLimit",
    "ModelError",
    "Outcome",
    "Pipeline",
    "Problem",
    "Protobuf",
    "RefusedMessage",
    "Repartition",
    "Row",
    "SchemaNotFound",
    "SchemaRegistry",
    "SchemaRegistryError",
    "ScoreResult",
    "SpillError",
    "Stream",
    "String",
    "Timestamp",
    "TooOld",
    "__version__",
    "avro_schema",
    "coalesce",
    "col",
    "count",
    "haversine",
    "hopping",
    "last",
    "lit",
    "rate",
    "repartition",
    "rolling",
    "session",
    "since",
    "time_since_first",
    "time_since_last",
    "tumbling",
    "when",
]
