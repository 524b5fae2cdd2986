"""What a definition costs on given events: nanoseconds by stage and by feature, bytes by key, and how to meet a budget.

A feature's cost is measured, not modelled: the definition runs with it and without it. What features share (a log, a
window's sums) costs nothing more for the second of them, so groups that share are left out together as well. Runs
alternate, and every chunk of 64 events counts with the fastest of its runs: the work of a chunk is the same each time,
and what comes on top is the machine's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Final

from fastfeat.durations import format_duration
from fastfeat.engine import Engine
from fastfeat.errors import DefinitionError
from fastfeat.features import FeatureSet

__all__ = ["Change", "Costs", "Step", "measure"]

Events = Sequence[tuple[str | None, Any]]

REPEATS: Final = 5
# The definition as it is, so many times among its changes: what these differ by is the noise.
REPLICAS: Final = 4
STEPS_OF_A_PLAN_MAX: Final = 20
# Steps that a window may take so that its memory is bounded: a share of its length, in round durations.
STEPS_A_WINDOW: Final = 48
_ROUND_NS: Final = tuple(
    number * unit for unit in (1_000_000_000, 60_000_000_000, 3_600_000_000_000) for number in (1, 5, 10, 15, 30)
)


@dataclass(frozen=True)
class Change:
    """A change of the definition, and what it saves."""

    what: str
    """For people: `drop merchants_7d`, `step card over 7d by 1h`."""
    kind: str
    """`feature`, `group`, `key` or `step`."""
    features: tuple[str, ...]
    """The features that it is about."""
    saves_ns: float
    """Of one event; below the noise it is no saving."""
    saves_bytes_per_key: float


@dataclass(frozen=True)
class Step:
    """One change on the way to a budget, and what an event takes after it."""

    what: str
    ns_per_event: float
    bytes_per_key: float


@dataclass(frozen=True)
class Costs:
    """What was measured."""

    events: int
    """Measured; as many came before them as history."""
    refused: int
    ns_per_event: float
    noise_ns: float
    """What two measurements of the same definition differ by."""
    stages: dict[str, float]
    """Nanoseconds of one event: read, find, answer, store, row, score (with a model), give."""
    keys: int
    state_bytes: int
    changes: tuple[Change, ...]
    budget_us: float | None = None
    plan: tuple[Step, ...] = ()
    """Changes that meet the budget one after the other; empty when it is met as it is."""

    @property
    def bytes_per_key(self) -> float:
        """Of all keys of all tables."""
        return self.state_bytes / max(self.keys, 1)

    @property
    def meets_budget(self) -> bool:
        """Whether the definition as it is meets it."""
        return self.budget_us is None or self.ns_per_event <= self.budget_us * 1e3

    @property
    def plan_meets_budget(self) -> bool:
        """Whether it does after the changes of the plan."""
        last = self.plan[-1].ns_per_event if self.plan else self.ns_per_event
        return self.budget_us is None or last <= self.budget_us * 1e3


@dataclass
class _Variant:
    """A definition with something changed, and its fastest chunks so far."""

    what: str
    kind: str
    features: tuple[str, ...]
    definition: dict[str, Any]
    compiled: FeatureSet | None = None
    chunks: list[int] = field(default_factory=list)
    pushed: int = 0
    refused: int = 0
    keys: int = 0
    state_bytes: int = 0

    @property
    def ns_per_event(self) -> float:
        """Of the second half of the events: the first is history."""
        later = self.chunks[len(self.chunks) // 2 :]
        return sum(later) / max(self.pushed * len(later) / max(len(self.chunks), 1), 1)


def measure(
    features: FeatureSet,
    events: Events,
    *,
    model: Any = None,
    budget_us: float | None = None,
    repeats: int = REPEATS,
    progress: Callable[[int, int], None] | None = None,
) -> Costs:
    """Runs the definition, and each change of it, over the events.

    `events` are pairs of a stream's name (None: the features' own) and an event, a dict or JSON in bytes, in order.
    `progress` hears how many runs of how many are done.
    """
    bench = _Bench(features, events, repeats)
    variants = [each for each in bench.changes() if each is not None]
    replicas = [each for each in (bench.variant("", "", (), bench.definition) for _ in range(REPLICAS)) if each]
    bench.run(_among(replicas, variants), progress)
    whole, times = replicas[0], sorted(each.ns_per_event for each in replicas)
    engine_ns = median(times)
    stages = _scaled(bench.stages(model), engine_ns)
    changes = tuple(
        Change(
            each.what,
            each.kind,
            each.features,
            engine_ns - each.ns_per_event,
            (whole.state_bytes - each.state_bytes) / max(whole.keys, 1),
        )
        for each in variants
    )
    costs = Costs(
        events=whole.pushed - whole.pushed // 2,
        refused=whole.refused,
        ns_per_event=sum(stages.values()),
        noise_ns=times[-1] - times[0],
        stages=stages,
        keys=whole.keys,
        state_bytes=whole.state_bytes,
        changes=tuple(sorted(changes, key=lambda each: -each.saves_ns)),
        budget_us=budget_us,
    )
    if costs.meets_budget:
        return costs
    beside_ns = costs.ns_per_event - engine_ns
    return replace(costs, plan=bench.way_to_budget(costs, beside_ns))


def _among(replicas: list[_Variant], variants: list[_Variant]) -> list[_Variant]:
    """The replicas spread over the others, the first of all and the last of all among them."""
    ordered, between = list(variants), max(len(replicas) - 1, 1)
    for number, each in enumerate(replicas):
        ordered.insert(number + number * len(variants) // between, each)
    return ordered


ENGINE_STAGES: Final = ("find", "answer", "store", "row")


def _scaled(stages: dict[str, float], engine_ns: float) -> dict[str, float]:
    """The engine's stages as parts of the time it takes when nobody looks at the clock in between."""
    looked = sum(stages[name] for name in ENGINE_STAGES)
    scale = engine_ns / looked if looked else 0.0
    return {name: value * scale if name in ENGINE_STAGES else value for name, value in stages.items()}


class _Bench:
    """Variants of one definition over the same events."""

    def __init__(self, features: FeatureSet, events: Events, repeats: int) -> None:
        self.features = features
        self.events = list(events)
        self.repeats = repeats
        self.definition: dict[str, Any] = json.loads(features.to_json())

    def variant(self, what: str, kind: str, names: Iterable[str], definition: dict[str, Any]) -> _Variant | None:
        """A variant that compiles; one without features, or that the compiler refuses, is none."""
        if not definition["features"]:
            return None
        try:
            compiled = FeatureSet.from_json(json.dumps(definition, ensure_ascii=False, allow_nan=False))
        except DefinitionError:
            return None
        return _Variant(what, kind, tuple(names), definition, compiled)

    def engine(self, compiled: FeatureSet, model: Any = None) -> Engine:
        """An engine without state yet."""
        used = {each.name for each in compiled.lookups}
        lookups = [each for each in self.features.lookups if each.name in used]
        return Engine(compiled, streams=self.features.streams, lookups=lookups, model=model)

    def run(self, variants: list[_Variant], progress: Callable[[int, int], None] | None = None) -> None:
        """All variants one after the other, several times over."""
        for repeat in range(self.repeats):
            for place, each in enumerate(variants):
                assert each.compiled is not None, "only what compiles is run"
                engine = self.engine(each.compiled)
                chunks, each.pushed, each.refused = engine._time_chunks(self.events)
                each.chunks = chunks if repeat == 0 else [min(pair) for pair in zip(each.chunks, chunks, strict=True)]
                stats = engine.stats()
                each.keys, each.state_bytes = stats["keys"], stats["state_bytes"]
                if progress is not None:
                    progress(repeat * len(variants) + place + 1, self.repeats * len(variants))

    def stages(self, model: Any) -> dict[str, float]:
        """Nanoseconds of one event by stage, the fastest of several runs."""
        history, measured = self.events[: len(self.events) // 2], self.events[len(self.events) // 2 :]
        found: dict[str, float] = {}
        for _ in range(self.repeats):
            engine = self.engine(self.features, model)
            engine._time_chunks(history)
            for name, nanoseconds in engine._time_stages(measured).items():
                per_event = nanoseconds / len(measured)
                found[name] = min(found.get(name, per_event), per_event)
        return found

    def without(self, names: Iterable[str], definition: dict[str, Any] | None = None) -> dict[str, Any]:
        """The definition without some features."""
        gone, whole = set(names), self.definition if definition is None else definition
        kept = [each for each in whole["features"] if each["name"] not in gone]
        return {**whole, "features": kept}

    def stepped(self, keys: str, length_ns: int, definition: dict[str, Any] | None = None) -> dict[str, Any]:
        """The definition with one rolling window of one key hopping."""
        text = json.dumps(self.definition if definition is None else definition)
        changed: dict[str, Any] = json.loads(text)
        for feature in changed["features"]:
            for each in _aggregates(feature["expression"]):
                if _steps(each, keys, length_ns):
                    every = step_ns(length_ns)
                    each["window"] = {"kind": "hopping", "length_ns": length_ns, "every_ns": every}
        return changed

    def changes(self) -> Iterator[_Variant | None]:
        """Every feature alone, every group that shares, every key, every window that could step."""
        groups: dict[str, dict[str, None]] = {}
        by_key: dict[str, dict[str, None]] = {}
        windows: dict[tuple[str, int], dict[str, None]] = {}
        for feature in self.definition["features"]:
            name = feature["name"]
            yield self.variant(f"drop {name}", "feature", (name,), self.without((name,)))
            for each in _aggregates(feature["expression"]):
                groups.setdefault(_group(each), {})[name] = None
                by_key.setdefault(_keys(each), {})[name] = None
                window = each["window"]
                if window["kind"] == "rolling":
                    windows.setdefault((_keys(each), window["length_ns"]), {})[name] = None
        for text, names in groups.items():
            if len(names) > 1:
                yield self.variant(f"drop the {len(names)} of {text}", "group", names, self.without(names))
        for text, names in by_key.items():
            if len(names) > 1 and len(by_key) > 1:
                yield self.variant(f"drop the {len(names)} by {text}", "key", names, self.without(names))
        for (keys, length_ns), names in windows.items():
            step = f"step by {keys} over {format_duration(length_ns)} every {format_duration(step_ns(length_ns))}"
            yield self.variant(step, "step", names, self.stepped(keys, length_ns))

    def way_to_budget(self, costs: Costs, beside_ns: float) -> tuple[Step, ...]:
        """Changes one after the other, each measured with those before it, until the budget is met or none helps."""
        assert costs.budget_us is not None, "a way needs an end"
        definition: dict[str, Any] = self.definition
        steps: list[Step] = []
        helpful = [each for each in costs.changes if each.saves_ns > costs.noise_ns]
        # A step loses no feature, so steps come first; then what saves most for each feature that is lost.
        options = sorted(helpful, key=lambda each: (each.kind != "step", -each.saves_ns / len(each.features)))
        missing_ns = costs.ns_per_event - costs.budget_us * 1e3
        while options and missing_ns > 0 and len(steps) < STEPS_OF_A_PLAN_MAX:
            enough = [each for each in options if each.saves_ns >= missing_ns and each.kind in ("feature", "step")]
            chosen = enough[0] if enough else options[0]
            options.remove(chosen)
            changed = self.applied(chosen, definition)
            variant = self.variant(chosen.what, chosen.kind, chosen.features, changed)
            if variant is None or changed == definition:
                continue  # it is in what was dropped before
            self.run([variant])
            now_ns = variant.ns_per_event + beside_ns
            before_ns = steps[-1].ns_per_event if steps else costs.ns_per_event
            if now_ns > before_ns - costs.noise_ns:
                continue
            definition = changed
            steps.append(Step(chosen.what, now_ns, variant.state_bytes / max(variant.keys, 1)))
            missing_ns = now_ns - costs.budget_us * 1e3
        return tuple(steps)

    def applied(self, change: Change, definition: dict[str, Any]) -> dict[str, Any]:
        """A change on top of others."""
        if change.kind != "step":
            return self.without(change.features, definition)
        for feature in self.definition["features"]:
            for each in _aggregates(feature["expression"]):
                window = each["window"]
                if (
                    window["kind"] == "rolling"
                    and f"step by {_keys(each)} over {format_duration(window['length_ns'])} " in change.what
                ):
                    return self.stepped(_keys(each), window["length_ns"], definition)
        return definition


def step_ns(length_ns: int) -> int:
    """A round duration of which a window has about 48.

    >>> format_duration(step_ns(604_800_000_000_000)), format_duration(step_ns(3_600_000_000_000))
    ('1h', '1m')
    """
    wanted = length_ns / STEPS_A_WINDOW
    fitting = [each for each in _ROUND_NS if each <= wanted]
    return max(fitting) if fitting else max(length_ns // STEPS_A_WINDOW, 1)


def _aggregates(node: Any) -> Iterator[dict[str, Any]]:
    """Every aggregation of an expression."""
    if isinstance(node, dict):
        if node.get("op") == "aggregate":
            yield node
        for each in node.values():
            yield from _aggregates(each)
    elif isinstance(node, list):
        for each in node:
            yield from _aggregates(each)


def _keys(aggregate: dict[str, Any]) -> str:
    """The key of an aggregation, for people."""
    names = ", ".join(each["name"] for each in aggregate["keys"]) or "no key"
    stream = aggregate.get("stream")
    return f"{stream}.{names}" if stream else names


def _group(aggregate: dict[str, Any]) -> str:
    """What aggregations have in common when they share a lane of the log: key, value and filter."""
    value = _short(aggregate["arguments"][0]) if aggregate["arguments"] else "events"
    condition = aggregate.get("where")
    return f"{value}{f' where {_short(condition)}' if condition else ''} by {_keys(aggregate)}"


def _short(node: dict[str, Any]) -> str:
    """An expression in few words."""
    if node["op"] == "column":
        return str(node["name"])
    if node["op"] == "call":
        return f"{node['function']}({', '.join(_short(each) for each in node['arguments'])})"
    return f"{node['lookup']}.{node['column']}" if node["op"] == "lookup" else "a constant"


def _steps(aggregate: dict[str, Any], keys: str, length_ns: int) -> bool:
    window = aggregate["window"]
    plain = window.get("offset_ns", 0) == 0 and window.get("closed", "right") == "right"
    return window["kind"] == "rolling" and plain and _keys(aggregate) == keys and window["length_ns"] == length_ns
