"""Zombies, rebalances, brokers that die, frames that come late: read-committed output is what one engine makes."""

import json
import os
import random
import signal
import threading
import time

import pytest
from kafka.broker import Broker, free_port
from kafka.proxy import END_TXN, PRODUCE, Proxy
from kafka.scene import Scene, payments, until

STOPS = int(os.environ.get("FASTFEAT_STOPS", "3"))
REBALANCES = int(os.environ.get("FASTFEAT_REBALANCES", "5"))
BROKER_KILLS = int(os.environ.get("FASTFEAT_BROKER_KILLS", "3"))
FRAMES = int(os.environ.get("FASTFEAT_FRAMES", "20"))


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def stopped_past_the_session(scene, times, module="fastfeat"):
    """A worker sleeps, another one takes over; then it wakes in the middle of what it did."""
    settings = {"session_timeout_ms": 1_500, "module": module}
    sleeper = scene.worker(**settings)
    for number in range(times):
        scene.send(payments(1_500, seed=number, begin=1_500 * number))
        scene.wait(share=0.3 + 0.7 * number / times)
        sleeper.send_signal(signal.SIGSTOP)
        other = scene.worker(**settings)
        scene.send(payments(500, seed=50 + number, begin=1_500 * number + 1_000))
        time.sleep(3.5)
        sleeper.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        other.kill()
        other.wait()
    scene.wait()
    scene.assert_exactly_once()


def test_stopped_past_the_session_and_continued(scene):
    stopped_past_the_session(scene, STOPS)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_workers_join_leave_and_die(kafka, name, tmp_path, monkeypatch, guarantee):
    monkeypatch.setenv("SCENE_GUARANTEE", guarantee)
    scene, choose = Scene(kafka, name, tmp_path, partitions=12), random.Random(5)
    scene.settings["session_timeout_ms"] = 1_500
    try:
        running = [scene.worker()]
        for number in range(REBALANCES):
            scene.send(payments(600, seed=number, begin=600 * number))
            move = choose.choice(["join", "leave", "die"])
            if len(running) == 1 or (move == "join" and len(running) < 3):
                running.append(scene.worker())
            else:
                going = running.pop(choose.randrange(len(running)))
                going.send_signal(signal.SIGTERM if move == "leave" else signal.SIGKILL)
                # One that was still starting dies of SIGTERM as any program does.
                assert going.wait(30) in (0, -signal.SIGKILL, -signal.SIGTERM)
            time.sleep(choose.uniform(0.5, 3.0))
        scene.wait()
        if guarantee == "exactly_once":
            scene.assert_exactly_once()
        else:
            scene.assert_at_least_once()
    finally:
        scene.close()


@pytest.fixture
def own(tmp_path_factory):
    """A broker that this test alone may kill, with a door that leads through a proxy."""
    listener, door = free_port(), free_port()
    broker = Broker(tmp_path_factory.mktemp("own"), proxied=(listener, door)).start()
    broker.listener, broker.door = listener, door
    yield broker
    broker.stop()


def test_the_broker_is_killed_and_stopped(own, name, tmp_path):
    scene, choose = Scene(own.address, name, tmp_path), random.Random(3)
    try:
        scene.worker()
        for number in range(BROKER_KILLS):
            scene.send(payments(1_000, seed=number, begin=1_000 * number))
            time.sleep(choose.uniform(0.1, 1.0))
            own.kill() if number % 2 == 0 else own.stop()
            time.sleep(choose.uniform(0.0, 2.0))
            own.start()
        scene.wait()
        scene.assert_exactly_once()
    finally:
        scene.close()


def test_at_least_once_keeps_rows_and_state_while_the_broker_is_away(own, name, tmp_path, monkeypatch):
    """Rows that are under way when it dies are sent again, also where no event comes after them."""
    monkeypatch.setenv("SCENE_GUARANTEE", "at_least_once")
    scene = Scene(own.address, name, tmp_path)
    try:
        worker = scene.worker()
        scene.send(payments(200))
        scene.wait()
        # The worker sleeps while events are sent, so that their rows are still to come.
        worker.send_signal(signal.SIGSTOP)
        scene.send(payments(2_000, seed=1, begin=2_000))
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.05)
        own.kill()
        time.sleep(0.5)
        own.start()
        scene.wait()
        scene.assert_at_least_once()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        assert "state restored" not in (tmp_path / "worker-0.log").read_text()
    finally:
        scene.close()


def test_the_broker_is_killed_in_mid_commit(own, name, tmp_path):
    """Between the frame that ends a transaction and its answer, within a few milliseconds."""
    choose, aim = random.Random(7), {"armed": False, "killed": 0}

    def kill():
        own.kill()
        aim["killed"] += 1

    def fate(api_key):
        if api_key == END_TXN and aim["armed"]:
            aim["armed"] = False
            threading.Timer(choose.uniform(0, 0.006), kill).start()
        return "pass"

    proxy = Proxy(own.door, own.listener, fate)
    scene = Scene(own.address, name, tmp_path)
    scene.settings |= {"servers": f"127.0.0.1:{own.door}", "batch_rows": 50}
    try:
        worker = scene.worker()
        for number in range(BROKER_KILLS):
            # The worker sleeps while events are sent, so that all of their commits are still to come.
            worker.send_signal(signal.SIGSTOP)
            scene.send(payments(1_000, seed=number, begin=1_000 * number))
            aim["armed"] = True
            worker.send_signal(signal.SIGCONT)
            until(lambda number=number: aim["killed"] > number)
            own.start()
        scene.wait()
        scene.assert_exactly_once()
    finally:
        scene.close()
        proxy.stop()


def through_a_proxy(own, name, tmp_path, fate, module="fastfeat", **options):
    proxy = Proxy(own.door, own.listener, fate, **options)
    scene = Scene(own.address, name, tmp_path)
    scene.settings |= {"servers": f"127.0.0.1:{own.door}", "batch_rows": 50}
    try:
        scene.send(payments(2_000 if FRAMES <= 20 else 60 * FRAMES))
        scene.worker(module=module)
        scene.wait()
        time.sleep(options.get("late_seconds", 0) + 0.2)
        scene.assert_exactly_once()
    finally:
        scene.close()
        proxy.stop()
    return proxy


def assert_only_owners_shut_others_out(folder):
    """Whoever was shut out of a partition had lost it: another worker had begun with it since."""
    logs = [
        [json.loads(line) for line in path.read_text().splitlines()] for path in sorted(folder.glob("worker-*.log"))
    ]
    told = [{"worker": worker} | line for worker, log in enumerate(logs) for line in log]
    begun = [line for line in told if line["message"] == "partition begins"]
    assert begun
    for line in (line for line in told if line.get("fault") == "fenced"):
        before = [one for one in begun if one["partition"] == line["partition"] and one["time"] <= line["time"]]
        newest = max(before, key=lambda one: one["time"])
        assert newest["worker"] != line["worker"], f"fenced while it owned partition {line['partition']}: {line}"


def cut_off_and_back(own, name, tmp_path, module="fastfeat"):
    """A worker loses the broker for so long that another one gets its partitions, and comes back, twice."""
    cut = {"off": False}
    proxy = Proxy(own.door, own.listener, lambda api_key: "cut" if cut["off"] else "pass")
    scene = Scene(own.address, name, tmp_path)
    settings = {"session_timeout_ms": 1_500, "publish_deadline_ms": 500, "request_timeout_ms": 1_000}
    try:
        scene.send(payments(1_000))
        scene.worker(servers=f"127.0.0.1:{own.door}", module=module, **settings)
        scene.wait()
        for number in range(2):
            cut["off"] = True
            scene.send(payments(500, seed=20 + number, begin=1_000 + 1_000 * number))
            scene.worker(**settings)
            scene.wait()
            cut["off"] = False
            scene.send(payments(500, seed=30 + number, begin=1_500 + 1_000 * number))
            scene.wait()
            time.sleep(2.0)
        scene.assert_exactly_once()
        assert_only_owners_shut_others_out(tmp_path)
    finally:
        scene.close()
        proxy.stop()


def test_one_that_was_cut_off_does_not_shut_out_its_successor(own, name, tmp_path):
    """It comes back while another one owns its partitions: the group says so before it starts a producer."""
    cut_off_and_back(own, name, tmp_path)


def test_frames_held_dropped_and_late(own, name, tmp_path):
    choose, left = random.Random(2), {"faults": FRAMES}

    def fate(api_key):
        if left["faults"] <= 0 or choose.random() > (0.4 if api_key in (END_TXN, PRODUCE) else 0.02):
            return "pass"
        left["faults"] -= 1
        return choose.choice(["hold", "cut", "lose", "late"])

    through_a_proxy(own, name, tmp_path, fate, late_seconds=0.2)
    assert left["faults"] <= 0


def late_commits():
    """Every third commit comes late: its client has sent it again, and begun the next transaction."""
    seen = {"commits": 0}

    def fate(api_key):
        if api_key != END_TXN:
            return "pass"
        seen["commits"] += 1
        return "late" if seen["commits"] % 3 == 0 else "pass"

    return fate


def test_a_late_commit_finds_a_new_producer(own, name, tmp_path):
    proxy = through_a_proxy(own, name, tmp_path, late_commits(), late_seconds=0.15)
    assert proxy.done["late"] > 2


def test_restoring_takes_longer_than_the_session(scene, monkeypatch):
    scene.send(payments(1_000))
    first = scene.worker()
    scene.wait()
    first.kill()
    first.wait()
    monkeypatch.setenv("SLOW_RESTORE", "4")
    scene.send(payments(500, seed=8, begin=1_000))
    scene.worker(module="kafka.crashing", session_timeout_ms=1_500)
    scene.wait()
    scene.assert_exactly_once()
    assert scene.logs().count("partition begins") == 2 * scene.partitions


# --- The twins: without its cure, each fault does the harm that the tests above look for ---------------------------


def test_without_a_shared_id_a_zombie_does_harm(scene, monkeypatch):
    monkeypatch.setenv("NO_CURE", "shared_id")
    with pytest.raises(AssertionError, match=r"twice|rows of"):
        stopped_past_the_session(scene, 3, module="kafka.crashing")


def test_without_a_new_producer_a_late_commit_does_harm(own, name, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_CURE", "new_producer")
    with pytest.raises(AssertionError, match=r"twice|rows of"):
        through_a_proxy(own, name, tmp_path, late_commits(), module="kafka.crashing", late_seconds=0.15)


def test_without_asking_the_group_one_that_was_cut_off_shuts_out_its_successor(own, name, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_CURE", "confirmed")
    with pytest.raises(AssertionError, match="fenced while it owned partition"):
        cut_off_and_back(own, name, tmp_path, module="kafka.crashing")
