"""The example's pipeline over a real Kafka gives the rows that it gives over files, bit for bit."""

from fastfeat import Engine

from examples.flights import data, pipeline
from examples.flights.features import CATEGORICAL, arrivals, departures, features
from examples.flights.serve import backfill
from examples.flights.train import train

DAYS = 9


def test_files_and_kafka_give_the_same_rows(kafka, name, tmp_path):
    flights = data.load(DAYS)
    rows = backfill(Engine(features, streams=[departures, arrivals]), flights)
    booster = train(rows, flights.late[: len(rows)], CATEGORICAL)
    made, log = pipeline.pipeline(booster, tmp_path, name), pipeline.write_log(flights, tmp_path)
    over_files = pipeline.over_files(made, log, tmp_path)
    over_kafka = pipeline.over_kafka(made, log, kafka)
    assert len(over_files) == len(flights.departures) > 5_000
    assert list(map(pipeline.without_id, over_kafka)) == list(map(pipeline.without_id, over_files))
