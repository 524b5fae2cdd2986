"""`fastfeat checkpoint inspect` shows what is inside a checkpoint without its definition; damage has an exit code."""

import json
import subprocess
import sys

import pytest
from fastfeat import CheckpointError, Engine
from fastfeat.checkpoints import inspect_checkpoint
from killed_run import FEATURES, events

EVENTS = list(events(120))


@pytest.fixture
def folder(tmp_path):
    """A full checkpoint of 60 events, two increments of 30, another full one."""
    engine = Engine(FEATURES)
    for place, event in enumerate(EVENTS, 1):
        engine.push(event)
        if place in (60, 90, 120):
            engine.checkpoint(tmp_path, offsets={"place": place}, incremental=True)
    engine.checkpoint(tmp_path, offsets={"place": 121})
    return tmp_path


def command(*arguments):
    run = [sys.executable, "-m", "fastfeat", "checkpoint", "inspect", *map(str, arguments)]
    return subprocess.run(run, capture_output=True, text=True, timeout=120, check=False, env={"COLUMNS": "200"})


def test_chains_counters_and_tables_are_shown(folder):
    found = inspect_checkpoint(folder)
    assert found["manifest"] == "whole"
    assert [[file["name"] for file in chain] for chain in found["chains"]] == [
        ["checkpoint-2.ff"],
        ["checkpoint-1.ff", "checkpoint-1.1.ff", "checkpoint-1.2.ff"],
    ]
    full, *increments = found["chains"][1]
    assert [file["kind"] for file in (full, *increments)] == ["full", "increment", "increment"]
    accepted = [file["streams"][0]["events"] for file in (full, *increments)]
    assert [file["events"] for file in increments] == [accepted[1] - accepted[0], accepted[2] - accepted[1]]
    assert [file["offsets"]["place"] for file in (full, *increments)] == [60, 90, 120]
    assert full["fingerprint"] == FEATURES.fingerprint
    assert full["tables"][0]["name"] == increments[1]["tables"][0]["name"] == "payments by card"
    assert full["tables"][0]["keys"] == len({event["card"] for event in EVENTS[:60]})
    assert (
        sum(section["bytes"] for section in full["sections"]) < full["bytes"] == (folder / full["name"]).stat().st_size
    )
    assert all(file["whole"] for chain in found["chains"] for file in chain)


def test_the_events_of_a_key_are_shown(folder):
    [found] = inspect_checkpoint(folder, key={"card": EVENTS[-1]["card"]})["keys"]
    assert (found["table"], found["found"], found["has_past"]) == ("payments by card", True, True)
    wanted = [event["x"] for event in EVENTS if event["card"] == EVENTS[-1]["card"]][-1]
    shown = [event["x"] for event in found["events"]]
    assert wanted in shown or str(wanted) in shown
    assert [event["time"] for event in found["events"]] == sorted(event["time"] for event in found["events"])
    assert not inspect_checkpoint(folder, key={"card": "nobody"})["keys"][0]["found"]
    # As of an increment there are no later events than it has.
    [then] = inspect_checkpoint(folder / "checkpoint-1.1.ff", key={"card": EVENTS[-1]["card"]})["keys"]
    assert then["events"][-1]["time"] < found["events"][-1]["time"]
    with pytest.raises(CheckpointError, match="no table has the key columns that are asked for; there are: `card`"):
        inspect_checkpoint(folder, key={"shop": "a"})


def test_the_command_prints_tables_or_json(folder):
    shown = command(folder)
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in ("checkpoint-1.2.ff", "increment", "payments by card", "manifest whole", '{"place": 120}'):
        assert part in shown.stdout, shown.stdout
    told = command(folder / "checkpoint-2.ff", "--json", "--key", "card=c-1")
    assert json.loads(told.stdout) == inspect_checkpoint(folder / "checkpoint-2.ff", key={"card": "c-1"})
    assert "payments by card" in command(folder, "--key", "card=c-1").stdout


def test_damage_is_told_by_name_and_exit_code(folder):
    path = folder / "checkpoint-1.1.ff"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shown = command(folder, "--json")
    assert shown.returncode == 1
    damaged = [file for chain in json.loads(shown.stdout)["chains"] for file in chain if not file["whole"]]
    assert [file["name"] for file in damaged] == ["checkpoint-1.1.ff"]
    assert "checksum" in damaged[0]["damage"]
    path.write_bytes(content[: len(content) // 3])
    assert "cut off" in command(folder).stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "part"), [(["nothing.ff"], "cannot be opened"), ([".", "--key", "card"], "COLUMN=VALUE")]
)
def test_what_cannot_be_looked_at_is_said(arguments, part):
    shown = command(*arguments)
    assert shown.returncode == 2
    assert part in shown.stderr
