"""What the workers of the tests run. Which topics and promises is told by the environment."""

import os

import fastfeat as ff
from fastfeat import Stream, col, count

NAME = os.environ.get("SCENE_NAME", "scene")
payments = Stream(
    "payments",
    {"ts": ff.Timestamp("ms"), "card": ff.String(), "merchant": ff.String(), "amount": ff.Float64(ge=0)},
    time="ts",
    lateness="5s",
)
logins = Stream("logins", {"ts": ff.Timestamp("ms"), "card": ff.String()}, time="ts", lateness="1h")
amount = col("amount")
features = payments.features(
    amount.agg("count", "sum", "mean", "std", "max").over("card", "1m", "10m"),
    merchants=col("merchant").n_unique().over("card", "10m"),
    previous=amount.lag(1).over("card"),
    merchant_mean=amount.mean().over("merchant", "5m"),
    merchant_ewm=amount.ewm_mean("1m").over("merchant"),
)
both = payments.features(
    amount.agg("count", "sum").over("card", "1m"),
    logins=logins.count().over("card", "10m"),
    all_payments=count().over("10m"),
)
SOURCES = [ff.Kafka(f"{NAME}.payments", stream=payments)]
ACKS = 1 if os.environ.get("SCENE_ACKS") == "1" else "all"
SINKS = {"sink": ff.Kafka(f"{NAME}.scored", acks=ACKS), "dead_letters": ff.Kafka(f"{NAME}.dead")}
FOLDER = os.environ.get("SCENE_CHECKPOINTS", "checkpoints")
SPILLS = {"memory_limit": "230kB", "on_limit": "spill", "spill_path": os.environ.get("SCENE_SPILL")}

pipeline = ff.Pipeline(
    NAME,
    features,
    sources=SOURCES,
    **SINKS,
    model=os.environ.get("SCENE_MODEL"),
    guarantee=os.environ.get("SCENE_GUARANTEE", "exactly_once"),
    checkpoint=FOLDER,
    engine=SPILLS if SPILLS["spill_path"] else {},
)
by_merchant = ff.repartition(
    NAME,
    SOURCES[0],
    by="merchant",
    to=ff.Kafka(f"{NAME}.by-merchant"),
    dead_letters=SINKS["dead_letters"],
    partitions=3,
)
SINKS["sink"] = ff.Kafka(f"{NAME}.scored")
two_sources = ff.Pipeline(
    NAME,
    both,
    sources=[*SOURCES, ff.Kafka(f"{NAME}.logins", stream=logins)],
    **SINKS,
    checkpoint=FOLDER,
)
