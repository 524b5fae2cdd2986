"""What is seen of a worker from outside: health, metrics, dry runs, exit codes, several sources, dead letters."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import fastfeat as ff
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from fastfeat import Engine
from kafka import app_of_a_user as app
from kafka.broker import free_port
from kafka.scene import HERE, Scene, payments, until


@pytest.fixture
def scene(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def get(port, path, token=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def value_of(text, name):
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def test_health_and_metrics(scene):
    port = free_port()
    scene.send(payments(1_000))
    process = scene.worker(http_port=port, http_token="s3cret")
    until(lambda: get(port, "readyz", "s3cret")[0] == 200)
    scene.wait()
    assert get(port, "livez")[0] == 200
    assert get(port, "metrics")[0] == 401
    assert get(port, "metrics", "wrong")[0] == 401
    assert json.loads(get(port, "healthz", "s3cret")[1])["partitions"] == {"0": "running", "1": "running"}
    until(lambda: "fastfeat_keys{" in get(port, "metrics", "s3cret")[1])
    text = get(port, "metrics", "s3cret")[1]
    rows = [line for line in text.splitlines() if line.startswith("fastfeat_rows_total{")]
    expected, _ = scene.expected()
    assert sum(float(line.split()[-1]) for line in rows) == sum(map(len, expected.values()))
    assert 'code="undecodable"' in text
    assert 'fastfeat_broken_rules_total{partition="0",rule="ge"}' in text
    newest = {number: max(json.loads(value)["ts"] for value in values if value[-1:] == b"}" and b"-1.0" not in value)
              for (_, number), values in scene.sent.items()}  # fmt: skip
    for number in range(scene.partitions):
        assert value_of(text, f'fastfeat_watermark_seconds{{partition="{number}",stream="payments"}}') == (
            newest[number] / 1_000 - 5.0
        )
        assert 0 <= value_of(text, f'fastfeat_checkpoint_age_seconds{{partition="{number}"}}') < 30
    assert f'definition="{app.features.fingerprint}"' in next(
        line for line in text.splitlines() if line.startswith("fastfeat_running_info{")
    )
    for stage in ("wait", "push", "publish", "added"):
        assert f'fastfeat_batch_seconds_bucket{{le="0.0005",partition="0",stage="{stage}"}}' in text
    assert 'fastfeat_batch_seconds_bucket{le="+Inf",partition="0",stage="publish"}' in text
    assert "s3cret" not in scene.logs()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert '"message": "stopped"' in scene.logs()


def test_not_ready_while_it_catches_up(scene, monkeypatch):
    scene.send(payments(300))
    first = scene.worker()
    scene.wait()
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    monkeypatch.setenv("SLOW_RESTORE", "2")
    port = free_port()
    scene.worker(module="kafka.crashing", http_port=port)
    until(lambda: get(port, "healthz")[0] == 200)
    assert get(port, "readyz")[0] == 503
    until(lambda: get(port, "readyz")[0] == 200)


def run(scene, *arguments, **settings):
    environment = os.environ | {
        "SCENE_NAME": scene.name,
        "FASTFEAT_SERVERS": scene.address,
        "FASTFEAT_GROUP": scene.name,
        "PYTHONPATH": str(HERE.parent),
        **settings,
    }
    command = [sys.executable, "-m", "fastfeat", *arguments]
    return subprocess.run(command, env=environment, cwd=scene.folder, capture_output=True, text=True, timeout=60)


def test_a_dry_run_starts_nothing(scene):
    done = run(scene, "worker", "kafka.app_of_a_user:pipeline", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert scene.committed() == {}
    done = run(scene, "worker", "kafka.app_of_a_user:pipeline", "--dry-run", SCENE_NAME="other")
    assert done.returncode == 3
    assert "topic `other.payments` is not there; create it" in done.stderr
    assert not (scene.folder / "checkpoints").exists()
    (scene.folder / "checkpoints").write_text("in the way")
    done = run(scene, "worker", "kafka.app_of_a_user:pipeline", "--dry-run")
    assert done.returncode == 3
    assert "checkpoints` is no folder; set checkpoint to a folder that can be written" in done.stderr


def test_what_cannot_start_says_why(scene):
    done = run(scene, "worker", "kafka.app_of_a_user:features")
    assert (done.returncode, "name an ff.Pipeline(...)" in done.stderr) == (2, True)
    done = run(scene, "worker", "kafka.app_of_a_user:pipeline", FASTFEAT_HTTP_PORT="0", FASTFEAT_HTTP_HOST="0.0.0.0")
    assert (done.returncode, "set http_token" in done.stderr) == (2, True)
    gone = run(scene, "worker", "kafka.app_of_a_user:pipeline", FASTFEAT_SERVERS=f"127.0.0.1:{free_port()}",
               FASTFEAT_GIVE_UP_AFTER_S="1")  # fmt: skip
    assert (gone.returncode, "Unable to bootstrap" in gone.stderr) == (3, True)


def test_a_state_of_other_features_is_refused(scene):
    scene.send(payments(300))
    first = scene.worker()
    scene.wait()
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    for path in (scene.folder / "checkpoints").rglob("*.ff"):
        engine = Engine(app.both)
        engine.checkpoint(path, offsets={"position": [int(path.stem)], "journal": 0})
    second = scene.worker()
    assert second.wait(30) == 4
    assert "fingerprint" in scene.logs()


def test_damaged_checkpoints_are_passed_over(scene):
    scene.send(payments(1_000))
    first = scene.worker()
    scene.wait()
    first.kill()
    first.wait()
    for folder in (scene.folder / "checkpoints").glob("*/*"):
        newest = max(folder.glob("*.ff"))
        newest.write_bytes(newest.read_bytes()[:-7])
    scene.send(payments(300, seed=8, begin=1_000))
    scene.worker()
    scene.wait()
    scene.assert_exactly_once()


def test_a_disk_that_is_full_stops_no_events(scene):
    """A folder that cannot be written to, whoever runs this: a file is where it should be."""
    (scene.folder / "checkpoints").mkdir()
    (scene.folder / "checkpoints" / scene.name).write_text("in the way")
    scene.send(payments(600))
    process = scene.worker(checkpoint_every_s=0.1)
    scene.wait()
    scene.assert_exactly_once()
    assert process.poll() is None
    assert "Snapshot failed" in scene.logs()
    (scene.folder / "checkpoints" / scene.name).unlink()
    until(lambda: any((scene.folder / "checkpoints").rglob("*.ff")))


@pytest.mark.parametrize("acks", ["all", "1"])
def test_at_least_once_loses_nothing(scene, monkeypatch, acks):
    monkeypatch.setenv("SCENE_GUARANTEE", "at_least_once")
    monkeypatch.setenv("SCENE_ACKS", acks)
    choose = random.Random(4)
    for number in range(3):
        scene.send(payments(600, seed=number, begin=600 * number))
        process = scene.worker()
        time.sleep(choose.uniform(0.8, 2.0))
        process.kill()
        process.wait()
    scene.worker()
    scene.wait()
    scene.assert_at_least_once()


def test_several_sources_and_their_order(kafka, name, tmp_path):
    """The order in which two topics were taken is in the journal; a worker that is killed takes it from there."""
    scene, choose = Scene(kafka, name, tmp_path, target="two_sources"), random.Random(6)
    try:
        for number in range(4):
            begin = 400 * number
            logins = [
                (card, json.dumps({"ts": 1_700_000_000_000 + (begin + i) * 50, "card": f"c-{card}"}).encode())
                for i, card in enumerate(choose.choices(range(40), k=200))
            ]
            process = scene.worker()
            scene.send(payments(400, seed=number, begin=begin))
            scene.send(logins, topic="logins")
            time.sleep(choose.uniform(1.0, 2.0))
            process.kill()
            process.wait()
        scene.worker()
        scene.wait()
        rows, _ = scene.seen()
        journal = read_journal(scene)
        for number in range(scene.partitions):
            assert rows[number] == taken_in_that_order(scene, number, journal[number])
    finally:
        scene.close()


def read_journal(scene):
    """By partition: the stretches."""
    return {
        number: [json.loads(record.value) for record in records] for number, records in scene.read("journal").items()
    }


def taken_in_that_order(scene, number, stretches):
    """An engine that takes the events one by one, stretch after stretch, each in the order of time in Kafka."""
    engine, rows = Engine(app.both, streams=[app.logins]), []
    topics = [scene.read("payments")[number], scene.read("logins")[number]]
    at = [0, 0]
    for stretch in stretches:
        assert stretch["begin"] == at, "nothing is left out and nothing comes twice"
        at = stretch["end"]
        taken = []
        for place, records in enumerate(topics):
            newest = 0
            for record in records[stretch["begin"][place] : stretch["end"][place]]:
                newest = max(newest, record.timestamp)
                taken.append((newest, place, record))
        for _, place, record in sorted(taken, key=lambda one: one[:2]):
            try:
                row = engine.push_json(record.value, stream=("payments", "logins")[place])
            except ff.FastfeatError:
                continue
            if place == 0:
                rows.append((f"{record.topic}-{number}-{record.offset}", row.to_dict(), None))
    assert at == [len(records) for records in topics]
    return rows


REPAIR = """
import json

def repair(data):
    try:
        event = json.loads(data)
    except ValueError:
        return None
    event["amount"] = abs(event["amount"])
    return json.dumps(event).encode()
"""


def test_dead_letters_are_repaired_and_put_back(scene):
    scene.send(payments(1_500))
    worker = scene.worker()
    scene.wait()
    # What comes back now is late, and would be refused again.
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    (scene.folder / "repairs.py").write_text(REPAIR)
    replay = ["dead-letters", "replay", "kafka.app_of_a_user:pipeline", "--repair", "repairs:repair"]
    dead = [one for some in scene.seen()[1].values() for one in some]
    negative = [value for _, value in dead if b"-1.0" in value]
    tried = run(scene, *replay, "--code", "invalid", "--dry-run")
    assert json.loads(tried.stdout) == {"put_back": len(negative), "left": len(dead) - len(negative)}, tried.stderr
    done = run(scene, *replay, "--code", "invalid")
    assert json.loads(done.stdout) == json.loads(tried.stdout), done.stderr
    again = run(scene, *replay, "--code", "invalid")
    assert json.loads(again.stdout) == {"put_back": 0, "left": 0}, "what was put back is not put back again"
    back = [record for some in scene.read("payments").values() for record in some][-1]
    assert sum(map(len, scene.read("payments").values())) == 1_500 + len(negative)
    assert not [name for name, _ in back.headers if name.startswith("fastfeat.")]


def test_a_model_scores(kafka, name, tmp_path):
    import lightgbm
    import numpy

    choose = numpy.random.default_rng(3)
    rows = choose.normal(size=(500, len(app.features.names)))
    booster = lightgbm.train(
        {"verbose": -1, "num_threads": 1},
        lightgbm.Dataset(rows, rows[:, 0] + rows[:, 3], feature_name=list(app.features.names)),
        num_boost_round=5,
    )
    booster.save_model(str(tmp_path / "model.txt"))
    scene = Scene(kafka, name, tmp_path, model=tmp_path / "model.txt")
    try:
        scene.send(payments(800))
        scene.worker()
        scene.wait()
        scene.assert_exactly_once()
        assert isinstance(scene.seen()[0][0][0][2], float)
    finally:
        scene.close()


def test_events_that_are_gone_are_an_error_and_no_gap(scene):
    """Without checkpoints and with the oldest events gone, the state cannot be what it was: the worker says so."""
    scene.send(payments(400))
    first = scene.worker()
    scene.wait()
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    shutil.rmtree(scene.folder / "checkpoints")
    delete_before(scene, 50)
    second = scene.worker()
    assert second.wait(30) == 4
    assert "there is no checkpoint at or before" in scene.logs()


def delete_before(scene, offset):
    places = [TopicPartition(f"{scene.name}.payments", number) for number in range(scene.partitions)]
    admin(scene, lambda client: client.delete_records({place: RecordsToDelete(offset) for place in places}))


def admin(scene, ask):
    async def asked():
        client = AIOKafkaAdminClient(bootstrap_servers=scene.address)
        await client.start()
        await ask(client)
        await client.close()

    asyncio.run(asked())


def test_a_topic_that_is_deleted_is_told_and_ends_the_worker(scene):
    scene.send(payments(300))
    worker = scene.worker(give_up_after_s=2, publish_deadline_ms=800, request_timeout_ms=1_500)
    scene.wait()
    admin(scene, lambda client: client.delete_topics([f"{scene.name}.scored"]))
    scene.send(payments(300, seed=8, begin=300))
    assert worker.wait(60) == 3
    assert "longer than give_up_after_s=2 allows" in scene.logs()


def test_a_span_for_each_step(scene, monkeypatch):
    from fastfeat.config import read_settings
    from fastfeat.worker import Worker
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    source = ff.Kafka(f"{scene.name}.payments", stream=app.payments)
    pipeline = ff.Pipeline(scene.name, app.features, sources=[source], checkpoint=scene.folder / "checkpoints")
    settings = read_settings(servers=scene.address, group=scene.name, traces=True)
    scene.send(payments(200))

    async def run():
        worker = Worker(pipeline, settings)
        task = asyncio.create_task(worker.run())
        while sum(unit.counters.events for unit in worker.units.values()) < 200:
            await asyncio.sleep(0.05)
            assert not task.done()
        worker.stop()
        return await task

    assert asyncio.run(run()) == 0
    names = {span.name for span in spans.get_finished_spans()}
    assert names >= {"StartProducer", "AskCommitted", "Pin", "Read", "Publish", "Snapshot"}
    published = next(span for span in spans.get_finished_spans() if span.name == "Publish")
    assert published.attributes["partition"] in (0, 1)
    assert published.attributes["end"][0] > published.attributes["begin"][0]


def test_a_repartition_sends_each_message_once_to_the_owner_of_its_key(kafka, name, tmp_path):
    scene, choose = Scene(kafka, name, tmp_path, target="by_merchant"), random.Random(9)
    try:
        for number in range(3):
            scene.send(payments(500, seed=number, begin=500 * number))
            process = scene.worker()
            time.sleep(choose.uniform(0.8, 1.6))
            process.kill()
            process.wait()
        scene.worker()
        scene.wait()
        scene.partitions = 3
        moved = scene.read("by-merchant")
        owners = {}
        for number, records in moved.items():
            for record in records:
                assert json.loads(record.value)["merchant"].encode() == record.key
                assert owners.setdefault(record.key, number) == number
        sent = [value for values in scene.sent.values() for value in values if value != b'{"ts": ']
        assert sorted(record.value for records in moved.values() for record in records) == sorted(sent)
        assert len(set(owners.values())) > 1
    finally:
        scene.close()
