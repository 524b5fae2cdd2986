"""The exceptions: what they are, what they carry, and that they travel between processes."""

import copy
import pickle

import pytest
from fastfeat import (
    DefinitionError,
    FastfeatError,
    InvalidEvent,
    LateEvent,
    MemoryLimit,
    ModelError,
    Problem,
    TooOld,
)

PROBLEMS = [("amount", "-3.0", "ge", "must be at least 0"), ("", "[1]", "object", "an event is one object")]
ERRORS = [
    DefinitionError("feature `x`", "column `y` is unknown"),
    InvalidEvent("payments", PROBLEMS),
    LateEvent("payments", "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z", 7_000_000, 5, "7 s older than the newest"),
    ModelError("`fraud.txt` does not exist"),
    TooOld("payments", "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z", "7 s before the watermark"),
    MemoryLimit("payments", 1_024, 1_000, "the state is at its limit"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_also_the_builtin_one_and_survives_pickling(error: FastfeatError):
    assert isinstance(error, FastfeatError)
    assert isinstance(error, MemoryError if isinstance(error, MemoryLimit) else ValueError)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_codes_are_stable():
    codes = [error.code for error in ERRORS]
    assert codes == ["definition", "invalid_event", "late_event", "model", "too_old", "memory_limit"]
    assert FastfeatError.code == "fastfeat"


def test_an_invalid_event_tells_every_problem():
    error = InvalidEvent("payments", PROBLEMS)
    assert error.problems == [Problem(*problem) for problem in PROBLEMS]
    assert error.problems[0].rule == "ge"
    assert str(error) == "stream `payments`: field `amount` is -3.0: must be at least 0; an event is one object"


def test_a_late_event_says_how_late():
    error = ERRORS[2]
    assert isinstance(error, LateEvent)
    assert (error.stream, error.behind_us, error.lateness_us) == ("payments", 7_000_000, 5)
    assert (error.time, error.newest) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z")
    assert str(error) == "7 s older than the newest"


def test_a_definition_error_says_the_place_first():
    assert str(ERRORS[0]) == "feature `x`: column `y` is unknown"
