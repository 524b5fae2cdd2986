"""A checkpoint of one definition under another: what is kept is to the bit what it would have been, what is new sees
what came after, and no value is wrong in silence."""

import contextlib
import json
from datetime import datetime, timedelta, timezone

import numpy
import pytest
from fastfeat import CheckpointError, Engine, FeatureSet, LateEvent
from harness import EPOCH, assert_row, definition, parts, row_bits
from hypothesis import given, note, settings
from hypothesis import strategies as st
from reference import Reference, as_bits
from reference_input import LateError
from strategies import cases, long_cases
from strategies_events import BEYOND

FEW = max(settings().max_examples // 4, 3)
NEVER = datetime.max.replace(tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Examples of hypothesis share it: each writes over the last."""
    return tmp_path_factory.mktemp("changes")


class Picked:
    """Some features of a row, as a row."""

    def __init__(self, row, names):
        self.row, self.names = row, names

    def to_dict(self):
        values = self.row.to_dict()
        return {name: values[name] for name in self.names}

    def __array__(self, dtype=None, copy=None):
        names = list(self.row.to_dict())
        return numpy.asarray(self.row)[[names.index(name) for name in self.names]]


def only(features, names):
    """The definition with some features, in their order there."""
    whole = definition(features)
    return {**whole, "features": [each for each in whole["features"] if each["name"] in names]}


def pushed(engine, stream, event):
    try:
        return engine.push(event, stream=stream)
    except LateEvent:
        return "late"


def decays(features, name):
    expression = next(each["expression"] for each in definition(features)["features"] if each["name"] == name)
    return any(str(part.get("kind", "")).startswith("ewm") for part in parts(expression))


class Judge:
    """An engine of another definition from `place` on, beside what its features have to be."""

    def __init__(self, old, new, changed, rows, **options):
        self.new = new
        self.names = {
            "kept": [name for name in new.names if name in old.names and name not in changed],
            "begun": [name for name in new.names if name not in old.names or name in changed],
        }
        self.never = Engine(old, **options)
        self.whole = {group: Reference(only(new, names), rows) for group, names in self.names.items()}
        self.after = Reference(only(new, self.names["begun"]), rows)
        self.since = {}

    def feed(self, engine, stream, event, checked):
        """Pushes an event everywhere and, when the definition has changed, holds the row against what it has to be."""
        row, unchanged = pushed(engine, stream, event), pushed(self.never, stream, event)
        moments = {}
        for group, reference in self.whole.items():
            with contextlib.suppress(LateError):
                moments[group] = reference.accept(event, stream)
        assert (row == "late") == (not moments) == (unchanged == "late")
        if not checked or not moments:
            return
        after = self.after.accept(event, stream)
        if row is None:
            return
        where = f"{stream} {event}"
        before = dict(zip(*row_parts(unchanged), strict=True)) if unchanged is not None else {}
        for name, bits in zip(*row_parts(row), strict=True):
            if name in self.names["kept"] and not decays(self.new, name):
                assert bits == before[name], f"{name} is not what it would have been: {where}"
        if self.names["kept"]:
            assert_row(self.whole["kept"], moments["kept"], Picked(row, self.names["kept"]), where)
        at = EPOCH + timedelta(microseconds=moments["kept"].event.time * 1_000_000 // self.after.ticks_per_second)
        for name in self.names["begun"]:
            complete = self.since[name] is None or at >= self.since[name]
            reference, moment = (self.whole["begun"], moments["begun"]) if complete else (self.after, after)
            assert_row(Narrowed(reference, name), moment, Picked(row, [name]), f"{where}, since {self.since[name]}")


class Narrowed:
    """A reference that answers one feature."""

    def __init__(self, reference, name):
        self.reference = reference
        self.features = {
            stream: [each for each in features if each["name"] == name]
            for stream, features in reference.features.items()
        }
        self.ticks_per_second, self.scale, self.name = reference.ticks_per_second, reference.scale, name

    def row(self, moment):
        feature = self.features[moment.event.stream][0]
        return {self.name: self.reference.value(feature["expression"], moment)}

    def vector(self, row, stream):
        feature = self.features[stream][0]
        return [as_bits(row[self.name], self.reference.categories(feature["expression"], stream))]


def row_parts(row):
    typed, vector = row_bits(row)
    return [each[0] for each in typed], list(zip(typed, vector, strict=True))


def split(data, features):
    """Two definitions of some of the features, of which the second has some under other meanings."""
    whole = definition(features)
    names = [each["name"] for each in whole["features"]]
    some = st.sets(st.sampled_from(names), min_size=1)
    old, new = (sorted(data.draw(some)) for _ in range(2))
    expressions = {each["name"]: each["expression"] for each in whole["features"]}
    changed = {}
    for name in new:
        if name in old and data.draw(st.integers(0, 3)) == 0:
            changed[name] = data.draw(st.sampled_from(names))
    changed = {name: other for name, other in changed.items() if expressions[other] != expressions[name]}
    order = data.draw(st.permutations(new))

    def made(names, meanings):
        listed = [
            {"name": name, "stream": features.stream.name, "expression": expressions[meanings.get(name, name)]}
            for name in names
        ]
        return FeatureSet.from_json(json.dumps({**whole, "features": listed}, allow_nan=False))

    return made(old, {}), made(order, changed), sorted(changed)


def judge(data, case, path):
    old, new, changed = split(data, case.features)
    note(f"old {old}\nnew {new}\nchanged {changed}")
    place = data.draw(st.integers(0, len(case.events)))
    options = {"lookups": case.features.lookups}
    judge = Judge(old, new, changed, case.lookups, **options)
    engine = Engine(old, **options)
    for stream, event in case.events[:place]:
        judge.feed(engine, stream, event, checked=False)
    engine.checkpoint(path)
    if changed:
        with pytest.raises(CheckpointError, match=f"`{changed[0]}`"):
            Engine.restore(new, path, **options)
    engine = Engine.restore(new, path, changed=data.draw(st.sampled_from([changed, "restart"])), **options)
    judge.since = engine.features_complete_since()
    assert all(judge.since[name] is None for name in judge.names["kept"])
    for stream, event in case.events[place:]:
        judge.feed(engine, stream, event, checked=True)
    return engine, judge


@given(st.data())
def test_any_change(folder, data):
    case = data.draw(cases(disorder=BEYOND))
    judge(data, case, folder / "any.ff")


@given(st.data())
@settings(max_examples=FEW)
def test_any_change_of_busy_keys(folder, data):
    case = data.draw(long_cases(disorder=BEYOND, max_size=300))
    judge(data, case, folder / "busy.ff")
