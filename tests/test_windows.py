"""Windows: what each is, how it prints, which are the same, and what a wrong one is told."""

import copy
import pickle
from datetime import timedelta
from zoneinfo import ZoneInfo

import fastfeat as ff
import pytest
from fastfeat import DefinitionError, col, hopping, last, rolling, session, since, tumbling
from fastfeat.durations import NANOSECONDS_MAX
from fastfeat.windows import LAST_MAX, Hopping, Window

HOUR_NS = 3_600_000_000_000

PRINTED = [
    (rolling("60m"), "rolling('60m')"),
    (rolling(timedelta(minutes=90)), "rolling('90m')"),
    (rolling("1h", offset="1d"), "rolling('1h', offset='1d')"),
    (rolling("1h", offset=timedelta(days=2)), "rolling('1h', offset='2d')"),
    (rolling("1h", closed="both"), "rolling('1h', closed='both')"),
    (rolling("1h", offset="1d", closed="left"), "rolling('1h', offset='1d', closed='left')"),
    (tumbling("1d"), "tumbling('1d')"),
    (tumbling("1d", timezone="Europe/Paris"), "tumbling('1d', timezone='Europe/Paris')"),
    (tumbling("1d", timezone=ZoneInfo("Asia/Tokyo")), "tumbling('1d', timezone='Asia/Tokyo')"),
    (hopping("30d", every="1h"), "hopping('30d', every='1h')"),
    (session("30m"), "session('30m')"),
    (last(100), "last(100)"),
    (since(col("declined")), "since(col('declined'))"),
    (since((col("amount") > 100).alias("large")), "since((col('amount') > 100).alias('large'))"),
]


@pytest.mark.parametrize(("window", "printed"), PRINTED)
def test_a_window_prints_as_the_code_that_makes_it(window: Window, printed: str):
    assert repr(window) == printed
    assert eval(printed, vars(ff) | {}) == window
    assert pickle.loads(pickle.dumps(window)) == copy.deepcopy(window) == window
    with pytest.raises(AttributeError):
        window.length = rolling("2h").length  # type: ignore[misc, union-attr]


def test_windows_are_values_whatever_they_were_written_as():
    assert rolling("1h") == rolling("60m") == rolling(timedelta(hours=1)) == rolling("1h", offset="0s", closed="right")
    assert hash(rolling("1h", offset="1d")) == hash(rolling("60m", offset="24h"))
    assert tumbling("1d") == tumbling("24h", timezone="UTC")
    assert hopping("30d", every="1h") == hopping("720h", every="60m")
    assert since(col("a") > 1) == since(col("a") > 1)
    every = [window for window, _ in PRINTED]
    assert len(set(every)) == len(every)


def test_no_window_equals_one_of_another_kind():
    assert (
        len({rolling("1h"), tumbling("1h"), session("1h"), hopping("1h", every="1h"), hopping("1h", every="1m")}) == 5
    )


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: rolling("1h", offset="-1d"), "offset `-1d` is not a duration; write `24h`"),
        (lambda: rolling("1h", offset=timedelta(-1)), "offset `-1 day, 0:00:00` is not positive; write at least `0s`"),
        (lambda: rolling("1h", offset=5), "offset is 5; write a text"),
        (
            lambda: rolling("1h", closed="rigth"),
            "closed is 'rigth'; did you mean `right`? write one of `right`, `left`",
        ),
        (lambda: rolling("1h", closed=True), "closed is True; write one of"),
        (lambda: rolling("1h", closed=[]), "closed is []; write one of"),
        (lambda: rolling("106751d", offset="1d"), "together are longer than 292 years"),
        (lambda: tumbling("0d"), "window `0d` is not positive"),
        (lambda: tumbling("1mo"), "write `30d`"),
        (lambda: tumbling("1d", timezone=""), "timezone is empty"),
        (lambda: tumbling("1d", timezone=1), "timezone is 1; write a text"),
        (lambda: hopping("1h", every="2h"), "every `2h` is longer than the window, `1h`; write a shorter step"),
        (lambda: hopping("1h", every="0s"), "every `0s` is not positive"),
        (lambda: session("30"), "gap `30` is not a duration; write `30d`"),
        (lambda: session(0), "gap is 0; write a text"),
        (lambda: last(0), "count is 0; write a whole number from 1 to 1000000"),
        (lambda: last(LAST_MAX + 1), "count is 1000001"),
        (lambda: last(True), "count is True"),
        (lambda: last(10.0), "count is 10.0"),
        (lambda: last("10"), "count is '10'"),
        (lambda: since("declined"), "'declined' is not an expression; write col('declined')"),
        (lambda: since(True), "True is not an expression; write one, as in col('x') > 1"),
        (lambda: since(col("x").max().over() > 1), "compose the finished aggregations instead"),
    ],
)
def test_a_window_that_cannot_be_is_refused_where_it_is_written(mistake, told: str):
    with pytest.raises(DefinitionError) as caught:
        mistake()
    assert told in caught.value.message


def test_the_longest_windows_are_windows():
    assert rolling(f"{NANOSECONDS_MAX - 1}ns", offset="1ns").offset.nanoseconds == 1
    assert last(LAST_MAX).count == 1_000_000
    assert isinstance(hopping("1h", every="1h"), Hopping)
    assert hopping("1h", every="1h").every.nanoseconds == HOUR_NS
