"""What is known about a flight when it is due to leave: its schedule, and every landing so far."""

import fastfeat as ff
from fastfeat import Stream, col, count

AIRPORTS = ["EWR", "JFK", "LGA"]
# fmt: off
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
DESTINATIONS = [
    "ABQ", "ACK", "ALB", "ANC", "ATL", "AUS", "AVL", "BDL", "BGR", "BHM", "BNA", "BOS", "BQN", "BTV", "BUF", "BUR",
    "BWI", "BZN", "CAE", "CAK", "CHO", "CHS", "CLE", "CLT", "CMH", "CRW", "CVG", "DAY", "DCA", "DEN", "DFW", "DSM",
    "DTW", "EGE", "EYW", "FLL", "GRR", "GSO", "GSP", "HDN", "HNL", "HOU", "IAD", "IAH", "ILM", "IND", "JAC", "JAX",
    "LAS", "LAX", "LEX", "LGA", "LGB", "MCI", "MCO", "MDW", "MEM", "MHT", "MIA", "MKE", "MSN", "MSP", "MSY", "MTJ",
    "MVY", "MYR", "OAK", "OKC", "OMA", "ORD", "ORF", "PBI", "PDX", "PHL", "PHX", "PIT", "PSE", "PSP", "PVD", "PWM",
    "RDU", "RIC", "ROC", "RSW", "SAN", "SAT", "SAV", "SBN", "SDF", "SEA", "SFO", "SJC", "SJU", "SLC", "SMF", "SNA",
    "SRQ", "STL", "STT", "SYR", "TPA", "TUL", "TVC", "TYS", "XNA",
]
# fmt: on

# The columns that both streams share. A text that is Categorical is its place in the list when a model reads it.
FLIGHT = {
    "time": ff.Timestamp("us"),
    "carrier": ff.Categorical(CARRIERS),
    "flight": ff.Int64(),
    "tailnum": ff.String(nullable=True),
    "origin": ff.Categorical(AIRPORTS),
    "dest": ff.Categorical(DESTINATIONS),
}

departures = Stream(
    "departures",
    {
        **FLIGHT,
        "distance": ff.Int64(gt=0),  # miles
        "block_minutes": ff.Float64(gt=0),  # scheduled, gate to gate
        "hour": ff.Int64(ge=0, le=23),  # scheduled, New York's clock
        "minute": ff.Int64(ge=0, le=59),
        "weekday": ff.Int64(ge=0, le=6),  # Monday is 0
    },
    time="time",
)

# An arrival says how late the flight landed and how late it had left: nothing of that is known before it lands.
arrivals = Stream(
    "arrivals",
    {**FLIGHT, "delay": ff.Float64(), "departure_delay": ff.Float64()},
    time="time",
)

delay = arrivals.col("delay")
left_late = arrivals.col("departure_delay")
is_late = delay >= 15

SCHEDULE = ["carrier", "origin", "dest", "distance", "block_minutes", "hour", "minute", "weekday"]
CATEGORICAL = ["carrier", "origin", "dest"]

features = departures.features(
    # The schedule alone. A model of these is what the stream has to beat.
    *(col(name) for name in SCHEDULE),
    # The aircraft: how it has been doing, and when it last landed. All these flights leave New York, so one that has
    # just landed somewhere else is not there to leave on time.
    aircraft=delay.agg("count", "mean", "max").over("tailnum", "24h", "7d"),
    aircraft_last_delay=delay.last().over("tailnum", "7d"),
    aircraft_seconds_since_landing=arrivals.time_since_last().over("tailnum"),
    # The same flight number on the days before.
    flight=delay.agg("mean", "std").over("carrier", "flight", "7d", "28d"),
    flight_late=is_late.mean().over("carrier", "flight", "28d"),
    # The carrier, everywhere and at this airport.
    carrier=delay.agg("mean", "std").over("carrier", "1h", "6h", "24h"),
    carrier_late=is_late.mean().over("carrier", "6h", "7d"),
    carrier_here=delay.mean().over("carrier", "origin", "6h", "24h"),
    # The airport it leaves from, and the one it goes to.
    origin=delay.agg("count", "mean", "std").over("origin", "1h", "6h", "24h"),
    origin_late=is_late.mean().over("origin", "1h", "6h"),
    origin_left_late=left_late.agg("mean", "max").over("origin", "1h", "6h"),
    dest=delay.agg("count", "mean", "max").over("dest", "6h", "24h"),
    # The route.
    route=delay.agg("count", "mean", "std").over("origin", "dest", "24h", "7d"),
    route_late=is_late.mean().over("origin", "dest", "6h", "24h", "7d"),
    # Who does better or worse than the airport as a whole.
    aircraft_against_origin=delay.mean().over("tailnum", "24h") - delay.mean().over("origin", "24h"),
    carrier_against_origin=delay.mean().over("carrier", "origin", "6h") - delay.mean().over("origin", "6h"),
    # How busy it is: departures due, and how many more of them than landings.
    due=count().over("origin", "1h"),
    due_same_carrier=count().over("carrier", "origin", "1h"),
    due_same_dest=count().over("dest", "1h"),
    not_landed=count().over("origin", "3h", "24h") - arrivals.count().over("origin", "3h", "24h"),
)
