"""The worker against a real Kafka when nothing goes wrong."""

import signal

import pytest
from kafka.scene import Scene, payments


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def test_every_event_is_a_row_or_a_dead_letter(scene):
    scene.send(payments(3_000))
    process = scene.worker()
    scene.wait()
    scene.assert_exactly_once()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    _, dead = scene.seen()
    assert sum(map(len, dead.values())) > 30
    assert any((scene.folder / "checkpoints").rglob("*.ff"))
