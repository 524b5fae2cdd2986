"""Checkpoints in an object store: a real server of S3 on loopback, and what is in memory."""

import contextlib
import json
import logging
import os
import pathlib
import subprocess
import sys
import uuid

import fastfeat as ff
import pytest
from fastfeat import Stream, col
from fastfeat.checkpoints import Folder, inspect_checkpoint
from moto.server import ThreadedMotoServer

SECRET = "hush-hush-hush-hush"
PAYMENTS = Stream("payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts")


def features():
    amount = col("amount")
    return PAYMENTS.features(
        amount.agg("count", "sum", "std", "max").over("card", "1h", "24h"),
        mean=amount.mean().over("card"),
        near=amount.quantile(0.9).over("card", "1h"),
    )


def pushed(engine, numbers):
    """The rows of some events, which their numbers say all of."""
    events = ({"ts": n * 7_000_000, "card": f"c-{n * n % 17}", "amount": n % 23 / 7} for n in numbers)
    return [engine.push(event).to_dict() for event in events]


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def options(server):
    return {
        "endpoint": server,
        "allow_http": True,
        "region": "us-east-1",
        "access_key_id": "someone",
        "secret_access_key": SECRET,
        "max_retries": 1,
    }


@pytest.fixture
def environment(options, monkeypatch):
    """The same, as the tools of S3 have it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("endpoint", "allow_http", "region", "access_key_id", "secret_access_key"):
        monkeypatch.setenv(f"AWS_{name.upper()}", str(options[name]).lower())


@pytest.fixture
def bucket(server):
    import boto3

    name = f"bucket-{uuid.uuid4().hex[:8]}"
    client = boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    client.create_bucket(Bucket=name)
    yield Bucket(name, client)
    client.close()


class Bucket:
    def __init__(self, name, client):
        self.name, self.client = name, client

    def names(self):
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def bytes(self, name):
        return self.client.get_object(Bucket=self.name, Key=name)["Body"].read()

    def put(self, name, content):
        self.client.put_object(Bucket=self.name, Key=name, Body=content)


def test_a_chain_in_a_bucket_is_that_of_a_folder_byte_for_byte(bucket, options, tmp_path):
    engine, twin = ff.Engine(features()), ff.Engine(features())
    address = f"s3://{bucket.name}/state/payments"
    folder = f"{tmp_path}/payments/"
    for step in range(5):
        for each in (engine, twin):
            pushed(each, range(step * 40, step * 40 + 40))
        offsets = {"payments": {"0": step}}
        full = step == 3
        there = engine.checkpoint(address, offsets=offsets, keep=2, incremental=not full, store_options=options)
        here = twin.checkpoint(folder, offsets=offsets, keep=2, incremental=not full)
        assert there == f"{address}/{here.name}"
    names = sorted(path.name for path in pathlib.Path(folder).iterdir())
    assert bucket.names() == [f"state/payments/{name}" for name in names]
    for name in names:
        assert bucket.bytes(f"state/payments/{name}") == (pathlib.Path(folder) / name).read_bytes(), name
    again = ff.Engine.restore(features(), address, store_options=options)
    assert again.offsets == {"payments": {"0": 4}}
    assert pushed(again, range(200, 260)) == pushed(engine, range(200, 260))
    # Of the restored one, too, increments go on.
    again.checkpoint(address, incremental=True, store_options=options)
    assert inspect_checkpoint(address, store_options=options)["manifest"] == "whole"


def test_one_file_takes_the_place_of_the_one_before(bucket, options):
    engine = ff.Engine(features())
    address = f"s3://{bucket.name}/payments.ff"
    for step in range(2):
        pushed(engine, range(step * 10, step * 10 + 10))
        assert engine.checkpoint(address, offsets={"step": step}, store_options=options) == address
    assert bucket.names() == ["payments.ff"]
    assert ff.Engine.restore(features(), address, store_options=options).offsets == {"step": 1}


def test_damage_is_named_and_the_one_before_is_used(bucket, options):
    engine = ff.Engine(features())
    address = f"s3://{bucket.name}/state"
    for step in range(2):
        pushed(engine, range(step * 10, step * 10 + 10))
        engine.checkpoint(address, offsets={"step": step}, store_options=options)
    content = bytearray(bucket.bytes("state/checkpoint-2.ff"))
    content[len(content) // 2] ^= 1
    bucket.put("state/checkpoint-2.ff", bytes(content))
    with pytest.warns(ff.CheckpointWarning, match=r"state/checkpoint-2\.ff"):
        assert ff.Engine.restore(features(), address, store_options=options).offsets == {"step": 0}


def test_of_two_engines_that_write_at_once_each_restore_is_of_one(bucket, options):
    engines = [ff.Engine(features()) for _ in range(2)]
    address = f"s3://{bucket.name}/state"
    for step in range(6):
        for number, engine in enumerate(engines):
            pushed(engine, range(step * 10, step * 10 + 10 + number))
            engine.checkpoint(
                address, offsets={"engine": number}, keep=3, incremental=step % 3 > 0, store_options=options
            )
            again = ff.Engine.restore(features(), address, store_options=options)
            assert again.offsets == {"engine": number}
            assert again.stats()["events"] == engine.stats()["events"]


def test_the_environment_says_where_and_who(bucket, environment):
    engine = ff.Engine(features())
    pushed(engine, range(30))
    address = f"s3://{bucket.name}/state"
    engine.checkpoint(address, offsets={"a": 1})
    assert ff.Engine.restore(features(), address).offsets == {"a": 1}
    command = [sys.executable, "-m", "fastfeat", "checkpoint", "inspect", address, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["chains"][0][0]["whole"]


def test_a_workers_folder_is_in_a_bucket_as_on_a_disk(bucket, environment, tmp_path):
    for place in (f"s3://{bucket.name}/checkpoints", tmp_path / "checkpoints"):
        folder = Folder(place, "group", "00001")
        assert folder.names() == []
        folder.make()
        engine = ff.Engine(features())
        for number, name in enumerate(("1.ff", "2.ff")):
            pushed(engine, range(9 * number, 9 * number + 9))
            engine.checkpoint(folder.path(name))
        assert folder.names() == ["1.ff", "2.ff"]
        assert folder.size_bytes("2.ff") > 500
        folder.remove(["1.ff", "3.ff"])
        assert folder.names() == ["2.ff"]
    assert bucket.names() == ["checkpoints/group/00001/2.ff"]


def test_errors_say_what_the_store_says_and_no_secret(bucket, options):
    engine = ff.Engine(features())
    for address, given, told in (
        ("s3://no-such-bucket/state", {}, "NoSuchBucket"),
        (
            f"s3://{bucket.name}/state",
            {"endpoint": "http://127.0.0.1:9", "max_retries": 0},
            "could not be written|cannot be read",
        ),
        (f"s3://{bucket.name}/state", {"sekret": SECRET}, "the option `sekret` is none of a store of S3"),
        (f"s3://me:{SECRET}@{bucket.name}/state", {}, "credentials do not stand in an address"),
        ("ftp://host/state", {}, "`ftp://` is no scheme of a store"),
    ):
        with pytest.raises(ff.CheckpointError, match=told) as caught:
            engine.checkpoint(address, store_options=options | given)
        assert SECRET not in str(caught.value)
    with pytest.raises(ff.CheckpointError, match="has no checkpoint"):
        ff.Engine.restore(features(), f"s3://{bucket.name}/nothing", store_options=options)


def test_what_is_no_address_or_no_option_is_refused(tmp_path):
    engine = ff.Engine(features())
    with pytest.raises(TypeError, match="before pathlib took a slash out of it"):
        engine.checkpoint(pathlib.Path("s3://bucket/state"))
    with pytest.raises(ff.CheckpointError, match="store_options are for an object store"):
        engine.checkpoint(str(tmp_path / "a.ff"), store_options={"region": "x"})
    with pytest.raises(TypeError, match="the store option 'region' has a list"):
        engine.checkpoint("s3://bucket/state", store_options={"region": [SECRET]})
    assert not list(tmp_path.iterdir())


def test_a_file_address_is_a_path_of_this_machine(tmp_path):
    engine = ff.Engine(features())
    pushed(engine, range(9))
    written = engine.checkpoint(f"file://{tmp_path}/state/", offsets={"a": 2})
    assert written == tmp_path / "state" / "checkpoint-1.ff"
    assert ff.Engine.restore(features(), tmp_path / "state").offsets == {"a": 2}


KILLED = """
import itertools, sys
sys.path[:0] = {path!r}
import fastfeat as ff
from test_object_stores import features, pushed
engine = ff.Engine(features())
for step in itertools.count():
    pushed(engine, range(step * 20, step * 20 + 20))
    offsets, incremental = {{"step": step}}, step % 4 > 0
    engine.checkpoint({address!r}, offsets=offsets, keep=2, incremental=incremental, store_options={options!r})
    print(step, flush=True)
"""


def test_a_writer_that_is_killed_leaves_what_it_said_was_written(bucket, options):
    for kill in range(4):
        address = f"s3://{bucket.name}/killed-{kill}"
        program = KILLED.format(path=[path for path in sys.path if path], address=address, options=options)
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
            written = -1
            for line in writer.stdout:
                written = int(line)
                if written == 5 + kill:
                    break
            # It is in the middle of the next one by now, somewhere.
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(0.003 * kill)
            writer.kill()
            rest = [int(line) for line in writer.stdout]
            written = max([written, *rest])
        again = ff.Engine.restore(features(), address, store_options=options)
        step = again.offsets["step"]
        assert written <= step <= written + 1
        twin = ff.Engine(features())
        pushed(twin, range((step + 1) * 20))
        assert pushed(again, range(5_000, 5_040)) == pushed(twin, range(5_000, 5_040))
