"""Workers whose state is larger than their memory limit: keys on disk, a file for each partition of each worker."""

import resource
import signal

import pytest
from kafka.scene import Scene, payments, until


@pytest.fixture
def scene(kafka, name, tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_SPILL", str(tmp_path / "spilled"))
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def sizes(scene):
    return [each.stat().st_size for each in (scene.folder / "spilled").glob("*.spill")]


def test_rows_are_those_of_an_engine_without_a_limit(scene):
    scene.send(payments(9_000, cards=4_000))
    first = scene.worker()
    until(lambda: sum(size > 0 for size in sizes(scene)) == scene.partitions)
    scene.wait(share=0.5)
    first.kill()
    first.wait()
    scene.send(payments(2_000, seed=8, begin=9_000, cards=4_000))
    last = scene.worker()
    scene.wait()
    scene.assert_exactly_once()
    assert max(sizes(scene)) > 0
    last.send_signal(signal.SIGTERM)
    assert last.wait(20) == 0
    assert set(sizes(scene)) == {0}, "what is no more than scratch is given back"


def test_a_disk_that_takes_no_more_keys_costs_no_event(scene):
    process = scene.worker()
    unlimited = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    # So many bytes are less than what goes to disk at once, and more than the worker's log.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (60_000, unlimited[1]))
    scene.send(payments(9_000, cards=4_000))
    log = scene.folder / "worker-0.log"
    until(lambda: "Read failed: spill folder" in log.read_text())
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, unlimited)
    scene.wait()
    scene.assert_exactly_once()
    assert process.poll() is None
    assert max(sizes(scene)) > 0
