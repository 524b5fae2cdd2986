"""Pipelines are checked where they are written."""

import re
from pathlib import Path

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, Kafka, Pipeline, Stream, count

payments = Stream("payments", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
logins = Stream("logins", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
features = payments.features(n=count().over("card", "1h"))
SCHEMA = {"type": "record", "name": "a", "fields": []}
source = Kafka("payments", stream=payments)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Kafka(""), "is empty"),
        (lambda: Kafka("a", format="jsn"), "did you mean"),
        (lambda: Kafka("a", start="newest"), "earliest"),
        (lambda: Kafka("a", stream="payments"), "write stream="),
        (lambda: Pipeline("p", features, sources=[]), "there are no sources"),
        (lambda: Pipeline("p", features, sources=[Kafka("a")]), "has no stream"),
        (lambda: Pipeline("p", features, sources=[Kafka("a", stream=logins)]), "no source carries `payments`"),
        (lambda: Pipeline("p", features, sources=[source], sink=Kafka("payments")), "named twice"),
        (lambda: Pipeline("p", features, sources=[source], guarantee="exactly-once"), "did you mean `exactly_once`"),
        (lambda: Pipeline("p", features, sources=[source], reasons=3), "without a model"),
        (
            lambda: Pipeline("p", features, sources=[source], sink=Kafka("out", format=ff.Avro(SCHEMA, framing="raw"))),
            "Avro is how events are read, .* write format=ff.AvroOutput",
        ),
        (
            lambda: Pipeline("p", features, sources=[source], sink=Kafka("out", format="arrow_ipc")),
            "ArrowIpc is how events are read",
        ),
        (
            lambda: Pipeline("p", features, sources=[source], dead_letters=Kafka("dead", format=ff.AvroOutput(7))),
            "the bytes that were refused",
        ),
        (lambda: Kafka("a", stream=payments, format=ff.AvroOutput(7)), r"events are read by ff.Avro\("),
        (
            lambda: ff.repartition("r", source, by="card", to=Kafka("b", format="arrow_ipc")),
            "leave the format of `to` out",
        ),
        (lambda: Kafka("a", acks=0), "write 'all' or 1"),
        (lambda: Kafka("a", acks=True), "write 'all' or 1"),
        (lambda: Kafka("a", stream=payments, acks=1), "write it on the sink"),
        (
            lambda: Pipeline("p", features, sources=[source], sink=Kafka("out", acks=1)),
            "confirmed by all replicas in sync, .* write guarantee='at_least_once'",
        ),
        (
            lambda: Pipeline(
                "p",
                features,
                sources=[source, Kafka("l", stream=logins)],
                sink=Kafka("out", acks=1),
                guarantee="at_least_once",
            ),
            "the journal of their order",
        ),
        (
            lambda: Pipeline("p", features, sources=[source], dead_letters=Kafka("dead", acks=1)),
            "write acks on the sink",
        ),
        (lambda: ff.repartition("r", source, by="card", to=Kafka("b", acks=1)), "write guarantee='at_least_once'"),
        (lambda: Pipeline("p", payments, sources=[source]), "is no FeatureSet"),
        (lambda: Pipeline("p", features, sources=["payments"]), "is no ff.Kafka"),
    ],
)
def test_what_cannot_be_is_refused(make, told):
    with pytest.raises(DefinitionError, match=told):
        make()


def test_partitions_have_one_transactional_id_whoever_owns_them():
    pipeline = Pipeline("p", features, sources=[source])
    assert pipeline.transactional_id("g", 3) == "p-g-payments-3"
    assert pipeline.journal is None
    assert Pipeline("p", features, sources=[source, Kafka("l", stream=logins)]).journal == "p.journal"


def test_what_the_guide_says_is_python():
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "worker.md").read_text()
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert names["pipeline"].guarantee == "exactly_once"
    assert names["by_merchant"].sink == Kafka("payments.by-merchant")
