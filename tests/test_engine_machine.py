"""A state machine: whatever is done to an engine, in whatever order, it stays the judge's equal."""

import fastfeat as ff
import pyarrow
import pytest
from fastfeat import Engine, InvalidEvent, LateEvent, Stream, col, count
from harness import assert_row, definition, row_bits
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from reference import Reference
from reference_input import LateError, RefusedError

PAYMENTS = Stream(
    "payments",
    {
        "ts": ff.Timestamp("us"),
        "card": ff.String(nullable=True),
        "shop": ff.String(default="s"),
        "x": ff.Float64(nullable=True, allow_nan=True),
        "n": ff.Int64(ge=-(2**63), lt=2**62, default=0),
        "ok": ff.Boolean(nullable=True),
    },
    time="ts",
)
OUT_OF_ORDER = {
    on_late: Stream("payments", dict(PAYMENTS.fields), time="ts", lateness="1ms", on_late=on_late)
    for on_late in ("reject", "emit")
}
LOGINS = Stream("logins", {"at": ff.Timestamp("us"), "user": ff.String(nullable=True), "n": ff.Int64()}, time="at")
USER = {"user": col("card")}
FEATURES = {
    "sums": PAYMENTS.features(
        col("x")
        .agg("count", "sum", "mean", "var", "std", "min", "max", "first", "last", "n_unique")
        .over("card", "10us", "1ms"),
        ratio=col("x") / col("x").mean().over("card", "1ms"),
        total=col("n").sum().where(col("ok")).over("card", "shop"),
    ),
    "order": PAYMENTS.features(
        previous=col("x").lag(1).over("card"),
        third=col("x").lag(3).over("card", "1ms"),
        since=ff.time_since_last().over("card"),
        since_ok=ff.time_since_last().where(col("ok")).over("card", "shop", "1ms"),
        shops=col("shop").n_unique().over("card", "10us"),
        all_shops=col("shop").n_unique().over(),
        n=count().over("card", "shop", "10us"),
        large=(col("x") > col("x").max().over("card", "1ms")).fill_null(False),
    ),
    "streams": PAYMENTS.features(
        logins=LOGINS.count().over("10us", "1ms", **USER),
        sum=LOGINS["n"].sum().over("10us", **USER),
        last=LOGINS["n"].last().over(**USER),
        lag=LOGINS["n"].lag(2).over(**USER),
        ago=LOGINS.time_since_last().over(**USER),
        payments=count().over("card", "10us"),
    ),
}
for name, stream in OUT_OF_ORDER.items():
    x = col("x")
    FEATURES[f"out of order, {name}"] = stream.features(
        x.agg("count", "sum", "std", "min", "first", "last", "n_unique", "median", "mode").over("card", "10us", "1ms"),
        all=x.agg("count", "sum", "max", "first", "n_unique").over("card"),
        left=x.agg("count").over("card", ff.rolling("10us", offset="1us", closed="left")),
        tumbling=x.sum().over("card", ff.tumbling("1ms")),
        hopping=x.sum().over("card", ff.hopping("1ms", every="10us")),
        session=count().over("card", ff.session("10us")),
        newest=x.last_k(3).over("card", ff.last(5)),
        since=x.sum().over("card", ff.since(col("ok"))),
        before=x.lag(2).over("card"),
        others=x.max().over("card", "1ms", ties="exclude"),
        trend=x.slope().over("card", "1ms"),
        weighted=col("n").ewm_mean("10us").over("card"),
    )
NUMBERS = st.sampled_from((None, 0.1, 1e15, -1e15, 1.0, 2.5, 1e300, 5e-324, -0.0, float("inf"), float("nan")))
STEPS = st.sampled_from((0, 0, 1, 2, 9, 10, 11, 500, 999, 1_000, 1_001))
CARDS = st.sampled_from(("a", "a", "b", None))


class EngineMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.refused = {"late": 0, "invalid": 0}

    @initialize(name=st.sampled_from(sorted(FEATURES)))
    def start(self, name):
        self.features = FEATURES[name]
        self.engine = Engine(self.features)
        self.reference = Reference(definition(self.features))
        self.streams = {stream.name: stream for stream in self.features.streams}

    def event(self, stream, time, values):
        made = {name: value for name, value in values.items() if name in self.streams[stream].fields}
        return {**made, self.streams[stream].time: time}

    def newest(self, stream):
        newest = self.reference.newest(stream)
        return 0 if newest is None else newest

    def push_event(self, stream, event):
        row = self.engine.push(event, stream=stream)
        assert_row(self.reference, self.reference.accept(event, stream), row)

    @property
    def lateness_us(self):
        return self.streams["payments"].lateness_ns // 1_000

    @rule(
        step=STEPS, x=NUMBERS, card=CARDS, n=st.sampled_from((0, 1, -(2**63), 2**62 - 1)), ok=st.none() | st.booleans()
    )
    def push(self, step, x, card, n, ok):
        time = self.newest("payments") + step
        self.push_event("payments", self.event("payments", time, {"x": x, "card": card, "n": n, "ok": ok}))

    @precondition(lambda self: self.lateness_us and self.reference.newest("payments") is not None)
    @rule(
        behind=st.sampled_from((1, 2, 9, 10, 11, 500, 999, 1_000)), x=NUMBERS, card=CARDS, ok=st.none() | st.booleans()
    )
    def push_behind(self, behind, x, card, ok):
        """Within the lateness: it takes its place."""
        time = self.newest("payments") - behind
        self.push_event("payments", self.event("payments", time, {"x": x, "card": card, "ok": ok}))

    @precondition(lambda self: self.reference.newest("payments") is not None)
    @rule(ahead=STEPS, card=CARDS)
    def lookup(self, ahead, card):
        """At the watermark and later."""
        at = self.newest("payments") - self.lateness_us + ahead
        row = self.engine.lookup({"card": card}, at=at)
        assert_row(self.reference, self.reference.lookup_moment({"card": card}, at, "payments"), row)

    @rule(x=st.lists(NUMBERS, min_size=20, max_size=60), step=STEPS)
    def push_a_burst(self, x, step):
        """Enough events of one key for the history to change its shape."""
        for place, number in enumerate(x):
            time = self.newest("payments") + (step if place == 0 else place % 2)
            event = self.event(
                "payments", time, {"x": number, "card": "a", "shop": "st"[place % 2], "ok": place % 3 == 0}
            )
            if place % 10:
                self.engine.push(event, stream="payments")
                self.reference.accept(event, "payments")
            else:
                self.push_event("payments", event)

    @precondition(lambda self: len(self.streams) == 2)
    @rule(step=STEPS, user=CARDS, n=st.integers(-3, 3), ahead=st.booleans())
    def login(self, step, user, n, ahead):
        time = max(self.newest("logins"), self.newest("payments") if ahead else self.newest("logins")) + step
        self.push_event("logins", self.event("logins", time, {"user": user, "n": n}))

    @rule(step=STEPS, x=NUMBERS, card=CARDS)
    def peek(self, step, x, card):
        event = self.event("payments", self.newest("payments") + step, {"x": x, "card": card})
        row = self.engine.peek(event, stream="payments")
        assert_row(self.reference, self.reference.moment(event, "payments"), row)

    @rule(behind=st.integers(1, 2_000), x=NUMBERS, card=CARDS, peek=st.booleans())
    def late(self, behind, x, card, peek):
        if self.reference.newest("payments") is None:
            return
        behind += self.lateness_us
        event = self.event("payments", self.newest("payments") - behind, {"x": x, "card": card})
        if self.streams["payments"].on_late == "emit":
            row = (self.engine.peek if peek else self.engine.push)(event, stream="payments")
            moment = (self.reference.moment if peek else self.reference.accept)(event, "payments")
            assert_row(self.reference, moment, row)
            self.refused["late"] += not peek
            return
        with pytest.raises(LateError):
            self.reference.accept(event, "payments")
        with pytest.raises(LateEvent) as caught:
            (self.engine.peek if peek else self.engine.push)(event, stream="payments")
        assert caught.value.behind_us == behind
        self.refused["late"] += not peek

    @rule(
        change=st.sampled_from(
            ({"x": "1"}, {"n": 2**62}, {"ok": 1}, {"ts": None}, {"shop": 5}, {"card": b"a", "n": 1.0})
        ),
        step=STEPS,
        peek=st.booleans(),
    )
    def invalid(self, change, step, peek):
        event = {**self.event("payments", self.newest("payments") + step, {"x": 1.0, "card": "a"}), **change}
        with pytest.raises(RefusedError) as expected:
            self.reference.accept(event, "payments")
        with pytest.raises(InvalidEvent) as caught:
            (self.engine.peek if peek else self.engine.push)(event, stream="payments")
        assert [(p.field, p.rule) for p in caught.value.problems] == expected.value.problems
        self.refused["invalid"] += not peek

    @rule(
        steps=st.lists(STEPS, max_size=30),
        x=st.lists(NUMBERS, min_size=1, max_size=5),
        cards=st.lists(CARDS, min_size=1, max_size=5),
    )
    def batch(self, steps, x, cards):
        """A table gives the rows that pushes would have given."""
        time, rows = self.newest("payments"), []
        for place, step in enumerate(steps):
            time += step
            rows.append({"ts": time, "card": cards[place % len(cards)], "x": x[place % len(x)]})
        schema = pyarrow.schema([("ts", pyarrow.int64()), ("card", pyarrow.string()), ("x", pyarrow.float64())])
        answer = pyarrow.table(self.engine.push_batch(pyarrow.Table.from_pylist(rows, schema), stream="payments"))
        assert answer.num_rows == len(rows)
        for row, found in zip(rows, answer.to_pylist(), strict=True):
            expected = self.reference.push(row, "payments")
            for name, value in expected.items():
                assert (found[name] is None) == (value is None), name
            last = expected, found
        if rows:
            names = [name for name, value in last[0].items() if isinstance(value, (int, str))]
            assert [last[1][name] for name in names] == [last[0][name] for name in names]

    @invariant()
    def counts_agree(self):
        stats = self.engine.stats()
        events = {name: sum(event.stream == name for event in self.reference.events) for name in self.streams}
        assert {name: stream["events"] for name, stream in stats["streams"].items()} == events
        assert {name: stats[name] for name in self.refused} == self.refused

    def teardown(self):
        """At the end an engine that only ever saw the accepted events answers the same."""
        if not getattr(self, "reference", None) or self.reference.newest("payments") is None:
            return
        fresh = Engine(self.features)
        for event in self.reference.events:
            time = self.streams[event.stream].time
            fresh.push({**event.values, time: event.time}, stream=event.stream)
        probe = self.event("payments", self.newest("payments"), {"x": 1.0, "card": "a", "ok": True})
        assert row_bits(self.engine.push(probe, stream="payments")) == row_bits(fresh.push(probe, stream="payments"))


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(max_examples=settings().max_examples // 2, stateful_step_count=40)
