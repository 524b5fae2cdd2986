"""The pipeline that is measured: cards-30 and a model of 100 trees."""

import os

import fastfeat as ff
from workloads import cards_30

features = cards_30()
NAME = os.environ["BENCH_NAME"]
pipeline = ff.Pipeline(
    NAME,
    features,
    model=os.environ["BENCH_MODEL"],
    sources=[ff.Kafka(f"{NAME}.payments", stream=features.stream)],
    sink=ff.Kafka(f"{NAME}.scored"),
    dead_letters=ff.Kafka(f"{NAME}.dead"),
    guarantee=os.environ["BENCH_GUARANTEE"],
    checkpoint=os.environ["BENCH_CHECKPOINTS"],
)
