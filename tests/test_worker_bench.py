"""The stages of the worker's benchmark: each event's times are joined from what three processes noted."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benches" / "worker"))

from open_loop import STAGES, counted, stages, table

BEGIN, PER_SECOND, COUNT = 100.0, 1_000, 8


def noted(folder, *, sizes=(2,)):
    """An event is due each millisecond, partition by partition; each stage takes what is written here."""
    shift = time.time() - time.monotonic()
    load, rows, answers = [], [], []
    for place in range(4):
        due = BEGIN + (place + np.array([0, 4])) / PER_SECOND
        for number in range(2):
            load.append((place, 1, due[number] + 0.001, 0.0, (due[number] + 0.003 + shift) * 1e3))
        for size in sizes:
            rows.append((place, size, *(due[1] + np.array([0.006, 0.007, 0.009, 0.012, 0.013]))))
        answers.append((place, 2, due[1] + 0.020, 0.0))
    for name, each in (("load", load), ("stages", rows), ("answers", answers)):
        np.save(folder / f"{name}.npy", np.array(each))


def test_times_of_batches_are_those_of_their_events(tmp_path):
    noted(tmp_path)
    found = stages(tmp_path, BEGIN, PER_SECOND, COUNT, exactly_once=True)
    expected = {"sent": 1, "appended": 2, "pushed": 1, "handed": 2, "confirmed": 3, "done": 1, "read": 7, "added": 3}
    for name, milliseconds in expected.items():
        assert found[name] == pytest.approx([milliseconds] * COUNT, abs=0.1), name
    # The first of a batch has waited for the second, which was due 4 ms later.
    assert sorted(found["end to end"]) == pytest.approx([20.0] * 4 + [24.0] * 4, abs=0.1)
    early = stages(tmp_path, BEGIN, PER_SECOND, COUNT, exactly_once=False)
    assert early["read"] == pytest.approx([8.0] * COUNT, abs=0.1), "from when it was confirmed"


def test_events_that_nobody_noted_are_told(tmp_path):
    noted(tmp_path, sizes=(1,))
    with pytest.raises(AssertionError, match="1 of 2 events were noted"):
        stages(tmp_path, BEGIN, PER_SECOND, COUNT, exactly_once=True)


def test_the_first_seconds_do_not_count_and_the_table_has_every_stage(tmp_path):
    noted(tmp_path)
    found = counted(stages(tmp_path, BEGIN, PER_SECOND, COUNT, exactly_once=True), PER_SECOND, 0.004)
    assert {len(each) for each in found.values()} == {4}
    assert found["end to end"] == pytest.approx([20.0] * 4, abs=0.1)
    shown = table(found, found).splitlines()
    assert len(shown) == 2 + len(STAGES) + 2
    assert shown[-1].split()[-6:] == ["20.00"] * 6
