"""TLS and SASL against a real broker, and what a worker says where it is refused: by which rule, and the way out."""

import asyncio
import json
import re
import signal
import time

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.admin import CreateAclsRequest
from kafka.broker import PASSWORD, Broker, free_port
from kafka.scene import Scene, payments, until
from kafka.test_outside import get, run


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("secure"), secure=True).start()
    yield broker
    broker.stop()


@pytest.fixture
def scene(secure, name, tmp_path):
    made = Scene(secure.address, name, tmp_path)
    yield made
    made.close()


@pytest.fixture
def plain(kafka, name, tmp_path):
    made = Scene(kafka, name, tmp_path)
    yield made
    made.close()


def settings(secure, **others):
    return {
        "servers": f"127.0.0.1:{secure.secure_port}",
        "security_protocol": "SASL_SSL",
        "tls_ca": str(secure.certificate),
        "sasl_username": "worker",
        "sasl_password": PASSWORD,
        **others,
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_exactly_once_through_tls_and_sasl(secure, scene, mechanism):
    scene.send(payments(400))
    worker = scene.worker(**settings(secure, sasl_mechanism=mechanism))
    scene.wait()
    scene.assert_exactly_once()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert PASSWORD not in scene.logs()


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"sasl_password": "wrong"}, "refuses `worker`: .*look at sasl_mechanism, sasl_username and sasl_password"),
        (
            {"sasl_password": "wrong", "sasl_mechanism": "SCRAM-SHA-512"},
            "refuses `worker`: .*look at sasl_mechanism, sasl_username and sasl_password",
        ),
        ({"tls_ca": ""}, "has a certificate that is not trusted: .*; set tls_ca"),
        ({"sasl_username": "stranger"}, "may not be seen by this user; grant it Describe and Read of sources"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_refused_is_told_at_once_with_the_way_out(secure, scene, others, told, dry):
    given = settings(secure, **others)
    if others.get("tls_ca") == "":
        del given["tls_ca"]
    environment = {f"FASTFEAT_{name.upper()}": value for name, value in given.items()}
    begun = time.monotonic()
    done = run(scene, "worker", "kafka.app_of_a_user:pipeline", *(["--dry-run"] if dry else []), **environment)
    assert done.returncode == 3, done.stderr
    messages = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert re.search(told, messages[-1]["message"]), done.stderr
    assert PASSWORD not in done.stderr
    assert time.monotonic() - begun < 30


TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
READ, WRITE, DESCRIBE = 3, 4, 8


async def grant(address, rights):
    """Each right is a kind of resource, its name or how it begins, and an operation."""
    literal, prefixed, allow = 3, 4, 3
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    for kind, resource, operation in rights:
        pattern = prefixed if kind == TRANSACTIONAL_ID else literal
        request = CreateAclsRequest(kind, resource, pattern, "User:limited", "*", operation, allow)
        answer = await admin._client.send(admin._client.get_random_node(), request)
        assert [code for code, _ in answer.creation_responses] == [0]
    await admin.close()


@pytest.mark.parametrize(
    ("without", "told"),
    [
        (None, None),
        ((TOPIC, "payments", READ), "grant this user Describe and Read of the sources' topics"),
        ((TOPIC, "scored", WRITE), "and Describe and Write of those of sink"),
        ((GROUP, "", READ), "grant this user Read of group `"),
        ((TRANSACTIONAL_ID, "", WRITE), "grant this user Describe and Write of transactional ids"),
    ],
)
def test_a_right_that_is_wanting_is_named(secure, scene, without, told):
    rights = {
        (TOPIC, "payments", READ), (TOPIC, "payments", DESCRIBE), (TOPIC, "scored", DESCRIBE), (TOPIC, "scored", WRITE),
        (TOPIC, "dead", DESCRIBE), (TOPIC, "dead", WRITE), (GROUP, "", READ), (TRANSACTIONAL_ID, "", WRITE),
    }  # fmt: skip
    granted = [
        (kind, f"{scene.name}.{what}" if what else scene.name, operation)
        for kind, what, operation in sorted(rights - {without})
    ]
    asyncio.run(grant(scene.address, granted))
    scene.send(payments(200))
    worker = scene.worker(**settings(secure, sasl_username="limited"))
    if told is None:
        scene.wait()
        scene.assert_exactly_once()
        return
    assert worker.wait(30) == 3
    assert told in scene.logs()


def test_rows_that_are_too_long_for_their_topic_go_in_smaller_batches_or_are_told(plain):
    async def limit(topic, bytes_max):
        admin = AIOKafkaAdminClient(bootstrap_servers=plain.address)
        await admin.start()
        await admin.delete_topics([topic])
        await asyncio.sleep(0.5)
        await admin.create_topics([NewTopic(topic, 2, 1, topic_configs={"max.message.bytes": str(bytes_max)})])
        await admin.close()

    asyncio.run(limit(f"{plain.name}.scored", 40_000))
    plain.send(payments(800))
    worker = plain.worker(batch_rows=2_000, batch_ms=500)
    plain.wait()
    plain.assert_exactly_once()
    assert "going on with batches half as large" in plain.logs()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    asyncio.run(limit(f"{plain.name}.scored", 300))
    plain.send(payments(10, seed=8, begin=800))
    assert plain.worker().wait(60) == 3
    assert f"raise max.message.bytes of {plain.name}.scored" in plain.logs()


def metric(port, name):
    lines = get(port, "metrics")[1].splitlines()
    found = [float(line.split()[-1]) for line in lines if line.startswith(name)]
    return sum(found) if found else None


def test_a_worker_with_a_name_of_its_own_restarts_without_a_rebalance(plain):
    ports = [free_port(), free_port()]
    plain.send(payments(400))
    first = plain.worker(instance="a", http_port=ports[0], session_timeout_ms=15_000)
    plain.worker(instance="b", http_port=ports[1], session_timeout_ms=15_000)
    until(lambda: all(metric(port, "fastfeat_partitions_owned") == 1 for port in ports))
    plain.wait()
    before = metric(ports[1], "fastfeat_rebalances")
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    plain.send(payments(400, seed=8, begin=400))
    plain.worker(instance="a", http_port=ports[0], session_timeout_ms=15_000)
    plain.wait()
    until(lambda: metric(ports[0], "fastfeat_partitions_owned") == 1)
    assert metric(ports[1], "fastfeat_rebalances") == before
    assert metric(ports[1], "fastfeat_partitions_owned") == 1
    assert metric(ports[0], "fastfeat_replayed_total") == 0, "SIGTERM wrote a checkpoint of all that was committed"
    plain.assert_exactly_once()


def peak_bytes(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) * 1_024 for line in status if line.startswith("VmHWM"))


def test_memory_is_bounded_however_much_is_waiting(plain):
    """Far more than may be in hand is waiting; the worker never has more than its share of it."""
    long = [
        (card, value[:-1] + b', "more": "' + b"x" * 3_000 + b'"}')
        for card, value in payments(300)
        if value[-1:] == b"}"
    ]
    bounds = {"fetch_bytes": 65_536, "batch_rows": 200}
    plain.send(long)
    worker = plain.worker(**bounds)
    plain.wait()
    few = peak_bytes(worker)
    worker.kill()
    worker.wait()
    for _ in range(16):
        plain.send(long * 7)
    waiting = 16 * 7 * sum(len(value) for _, value in long)
    assert waiting > 100_000_000
    worker = plain.worker(**bounds)
    plain.wait()
    # About 11 MB, whether 60 or 130 are waiting.
    assert peak_bytes(worker) - few < waiting / 7
