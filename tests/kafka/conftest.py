"""The broker that the tests of this folder share."""

import os
import uuid

import pytest
from kafka.broker import Broker


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/kafka/" in str(item.path):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """`host:port` of a Kafka 4: the one of FASTFEAT_TEST_KAFKA, or our own."""
    given = os.environ.get("FASTFEAT_TEST_KAFKA")
    if given:
        yield given
        return
    broker = Broker(tmp_path_factory.mktemp("kafka")).start()
    yield broker.address
    broker.stop()


@pytest.fixture
def name():
    """A name that no other test has: of topics, groups and applications."""
    return f"t{uuid.uuid4().hex[:10]}"
