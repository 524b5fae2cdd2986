"""kill -9 at random times and at every named point: what readers see is what one engine makes of the events."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from kafka.crashing import POINTS
from kafka.scene import Scene, payments, until

KILLS = int(os.environ.get("FASTFEAT_KILLS", "10"))
DISK_POINTS = [f"{call}.{when}" for call in ("write", "fsync", "rename", "unlink") for when in ("before", "after")]


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that dies at the disk."""
    library = tmp_path_factory.mktemp("shim") / "crash_at_disk.so"
    source = Path(__file__).parent / "crash_at_disk.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def test_killed_at_random_times(scene):
    choose = random.Random(11)
    for number in range(KILLS):
        scene.send(payments(400, seed=number, begin=400 * number))
        process = scene.worker()
        time.sleep(choose.uniform(0.4, 2.2))
        process.kill()
        process.wait()
    scene.send(payments(200, seed=99, begin=400 * KILLS))
    scene.worker()
    scene.wait()
    scene.assert_exactly_once()


def crash(scene, monkeypatch, variables, died=True):
    """Lets one worker die at its point and another one finish; then more events, so that state is seen too."""
    scene.send(payments(2_500))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    process = scene.worker(module="kafka.crashing", batch_rows=150, checkpoint_every_s=0.02, checkpoint_keep=2)
    code = process.wait(60)
    assert code == -signal.SIGKILL, f"the point was not reached\n{scene.logs()}"
    for name in variables:
        monkeypatch.delenv(name)
    scene.send(payments(500, seed=8, begin=2_500))
    scene.worker()
    scene.wait()
    scene.assert_exactly_once()


@pytest.mark.parametrize("point", [point for point in POINTS if point != "restore.after"])
def test_killed_at_a_point(scene, monkeypatch, point):
    crash(scene, monkeypatch, {"CRASH_AT": f"{point}:{1 if point.startswith('start') else 4}"})


@pytest.mark.parametrize("point", DISK_POINTS)
def test_killed_at_the_disk(scene, monkeypatch, shim, point):
    crash(scene, monkeypatch, {"CRASH_AT_DISK": f"{point}:{1 if 'unlink' in point else 3}", "LD_PRELOAD": str(shim)})


def test_killed_after_a_restore(scene, monkeypatch):
    scene.send(payments(800))
    first = scene.worker()
    scene.wait()
    first.kill()
    first.wait()
    crash(scene, monkeypatch, {"CRASH_AT": "restore.after:1"})


def test_state_that_is_forgotten_is_seen(scene, monkeypatch):
    """The twin: without the restored state, rows have other values, and the judge says so."""
    scene.send(payments(800))
    first = scene.worker()
    scene.wait()
    first.kill()
    first.wait()
    monkeypatch.setenv("NO_CURE", "suppressed_replay")
    scene.send(payments(500, seed=8, begin=800))
    scene.worker(module="kafka.crashing")
    scene.wait()
    with pytest.raises(AssertionError, match="other values"):
        scene.assert_exactly_once()


def written_after(scene, newest):
    return max(map(position_of, (scene.folder / "checkpoints").rglob("*.ff")), default=0) > newest


def position_of(path):
    return int(path.stem) if path.stem.isdigit() else 0


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_fails_for_a_while_costs_no_event_and_checkpoints_go_on(scene, monkeypatch, shim, call):
    """A full disk costs nothing; after a sync that failed the state is made anew, and the worker goes on by itself."""
    bad = scene.folder / "bad"
    for name, value in {"LD_PRELOAD": shim, "FAIL_WHILE": bad, "FAIL_CALL": call}.items():
        monkeypatch.setenv(name, str(value))
    scene.send(payments(600))
    process = scene.worker(checkpoint_every_s=0.1)
    monkeypatch.undo()
    scene.wait()
    until(lambda: written_after(scene, 0))
    bad.touch()
    scene.send(payments(600, seed=8, begin=600))
    until(lambda: "Snapshot failed" in scene.logs())
    scene.send(payments(600, seed=9, begin=1_200))
    scene.wait()
    bad.unlink()
    newest = max(map(position_of, (scene.folder / "checkpoints").rglob("*.ff")))
    scene.send(payments(600, seed=10, begin=1_800))
    scene.wait()
    until(lambda: written_after(scene, newest))
    assert process.poll() is None
    logs = "".join(path.read_text() for path in scene.folder.glob("worker-*.log"))
    assert ('"fault": "unsynced"' in logs) == (call == "fsync")
    assert ('"message": "replayed"' in logs) == (call == "fsync"), "only a state that is lost is made anew"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    scene.assert_exactly_once()
