"""Durations: what reads as one, what it is in nanoseconds, what a wrong one is told."""

from datetime import timedelta

import pytest
from fastfeat import DefinitionError, rolling
from fastfeat.durations import NANOSECONDS_MAX, UNITS_NS, duration_ns, format_duration, reads_as_duration
from hypothesis import given
from hypothesis import strategies as st

HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1ns", 1),
        ("1us", 1_000),
        ("1ms", 1_000_000),
        ("1s", 1_000_000_000),
        ("1m", 60_000_000_000),
        ("1h", HOUR_NS),
        ("1d", 24 * HOUR_NS),
        ("1w", 168 * HOUR_NS),
        ("1h30m", 90 * HOUR_NS // 60),
        ("30m1h", 90 * HOUR_NS // 60),
        ("1m1ms", 60_001_000_000),
        ("007d", 168 * HOUR_NS),
        (f"{NANOSECONDS_MAX}ns", NANOSECONDS_MAX),
    ],
)
def test_a_duration_is_whole_numbers_with_units(text: str, nanoseconds: int):
    assert reads_as_duration(text)
    assert rolling(text).length.nanoseconds == nanoseconds


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("7x", "window `7x` is not a duration; write `7d`"),
        ("1.5h", "window `1.5h` is not a duration; write `90m`"),
        ("2 days", "write `2d`"),
        ("5min", "write `5m`"),
        ("1H", "write `1h`"),
        ("1month", "write `30d`"),
        ("1mo", "write `30d`"),
        ("2y", "write `730d`"),
        ("-1h", "write `1h`"),
        ("+1h", "write `1h`"),
        ("3", "write `3d`"),
        ("h", "such as `7d` or `1h30m`"),
        ("", "such as `7d` or `1h30m`"),
        ("1h,2h", "such as `7d` or `1h30m`"),
        ("1h ", "write `1h`"),
        ("\u0661h", "such as `7d` or `1h30m`"),
    ],
)
def test_what_is_no_duration_is_refused_with_one_that_is(text: str, way_out: str):
    assert not reads_as_duration(text)
    with pytest.raises(DefinitionError) as caught:
        rolling(text)
    assert way_out in str(caught.value)


@pytest.mark.parametrize("length", ["0s", "0h0m", timedelta(0), timedelta(seconds=-1)])
def test_a_window_is_positive(length: "str | timedelta"):
    with pytest.raises(DefinitionError, match="is not positive; write a positive one such as `1h`"):
        rolling(length)


@pytest.mark.parametrize(
    "text", [f"{NANOSECONDS_MAX + 1}ns", "106752d", "15251w", "99999999999999999999s", "9" * 5_000 + "s"]
)
def test_a_duration_beyond_64_bits_is_refused_and_not_repeated(text: str):
    with pytest.raises(DefinitionError, match="longer than 292 years; write at most `106751d`") as caught:
        rolling(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("length", [3600, 1.5, None, b"1h", ["1h"]])
def test_a_length_of_another_type_is_refused(length: object):
    with pytest.raises(DefinitionError, match="write a text such as `7d`, or a timedelta"):
        rolling(length)  # type: ignore[arg-type]


def test_zero_is_a_duration_where_it_means_something():
    assert duration_ns("stream `s`", "lateness", "0s", zero=True) == 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list(UNITS_NS))), min_size=1, max_size=6))
def test_a_compound_duration_is_the_sum_of_its_parts(parts: "list[tuple[int, str]]"):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    total = sum(number * UNITS_NS[unit] for number, unit in parts)
    assert reads_as_duration(text)
    if 0 < total <= NANOSECONDS_MAX:
        assert rolling(text).length.nanoseconds == total
    else:
        with pytest.raises(DefinitionError):
            rolling(text)


@given(st.integers(1, NANOSECONDS_MAX))
def test_a_printed_duration_reads_back_as_the_same(nanoseconds: int):
    assert rolling(format_duration(nanoseconds)).length.nanoseconds == nanoseconds


@given(st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=100_000)))
def test_a_timedelta_is_taken_to_the_microsecond(length: timedelta):
    assert rolling(length).length.nanoseconds == 1_000 * (length // timedelta(microseconds=1))


@given(st.text(max_size=20) | st.from_regex(r"[0-9a-z. ]{0,12}", fullmatch=True))
def test_any_text_is_a_duration_or_refused(text: str):
    if reads_as_duration(text) and set(text) & set("123456789"):
        assert 0 < rolling(text).length.nanoseconds <= NANOSECONDS_MAX
    else:
        with pytest.raises(DefinitionError):
            rolling(text)
