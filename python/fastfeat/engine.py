"""Engine: features over streams, ready to take events. What happens per event is in the compiled module."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn, overload

from fastfeat import _core
from fastfeat._core import Decoder, LookupTable, Outcome, Reason, Row, ScoreResult
from fastfeat.definition import encode
from fastfeat.durations import duration_ns
from fastfeat.errors import CheckpointWarning, DefinitionError, ModelError, nearest, shown
from fastfeat.explanation import ExplainedAggregation, ExplainedEvent, Explanation
from fastfeat.features import FeatureSet
from fastfeat.formats import Format, format_of
from fastfeat.lookups import Lookup
from fastfeat.places import checkpoint_path, option_pairs
from fastfeat.sizes import size_bytes
from fastfeat.streams import Stream

if TYPE_CHECKING:
    from lightgbm import Booster
    from typing_extensions import Self

__all__ = ["Engine", "LateRecord", "Outcome", "Reason", "Row", "ScoreResult"]

MODEL_FILE: Final = "model.txt"
LATE_EVENTS_MAX: Final = 1_000
LISTED_MAX: Final = 10_000_000
KEEP: Final = 3
_DECODERS_MAX: Final = 64
_CHANGED: Final = ("refuse", "restart", "refuse_any")
_ON_LIMIT: Final = ("error", "evict_idle", "spill")


@contextmanager
def _leaving_processors() -> Iterator[None]:
    """The calling thread takes no processor from a thread that runs when it wakes, where the system (Linux) lets it say
    so: who writes a checkpoint wakes often, and those who push are not to wait for it."""
    if sys.platform != "linux" or not hasattr(os, "sched_setscheduler"):
        yield
        return
    try:
        is_usual = os.sched_getscheduler(0) == os.SCHED_OTHER
        if is_usual:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        # A sandbox may refuse it.
        is_usual = False
    try:
        yield
    finally:
        if is_usual:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class LateRecord(NamedTuple):
    """An event that came too late."""

    stream: str
    """Name of its stream."""
    time: datetime
    """When it happened."""
    newest: datetime
    """The newest time of its stream when it came."""
    behind_us: int
    """How much older it was, in microseconds."""
    emitted: bool
    """Whether it got a row of what was still known; otherwise it was refused."""


class Engine(_core.Engine):
    """Features over streams, in memory: events in, rows, scores and tables out.

    `streams` names streams beside those that the features use, so that their events are accepted too. `lookups` gives
    lookups their rows, in place of the table that they were made with.

    The state may hold `memory_limit` (bytes, or a text such as `"2GiB"`); at that limit an event of a new key is
    refused with `MemoryLimit`, or takes the place of the key that has been idle for longest (`on_limit="evict_idle"`),
    or keys that have had no event for a while move to the folder `spill_path` on a local disk, and come back when they
    are touched (`on_limit="spill"`): rows are then those of an engine without a limit, to the bit. The folder is one
    engine's own and holds nothing that lasts. A disk that fails is a `SpillError`, and the event has changed nothing.
    All-time features hold a key for ever, unless `idle_after` lets one go that has had no event for so long. Of the
    events that came too late, `late_events_max` are listed. `model` is a
    LightGBM Booster, the path of a model in text, or a folder with a `model.txt`; `raw_score=True` leaves its
    objective's transformation out. An engine takes one event at a time: a call from another thread waits.

    >>> import fastfeat as ff
    >>> payments = ff.Stream(
    ...     "payments", {"ts": ff.Timestamp("us"), "card": ff.String(), "amount": ff.Float64()}, time="ts"
    ... )
    >>> engine = ff.Engine(payments.features(spend=ff.col("amount").sum().over("card", "1h")))
    >>> engine.push({"ts": 0, "card": "c-1", "amount": 2.5}).to_dict()
    {'spend': 2.5}
    >>> engine.push_json(b'{"ts": 60000000, "card": "c-1", "amount": 4}')["spend"]
    6.5
    """

    __slots__ = ("_decoders", "_features", "_model", "_model_version", "_offsets")
    _decoders: dict[tuple[Format, str | None], Decoder]
    _features: FeatureSet
    _offsets: dict[str, Any]
    _model: Booster | str | os.PathLike[str] | None
    _model_version: str | None

    def __new__(
        cls,
        features: FeatureSet,
        *,
        streams: Iterable[Stream] = (),
        lookups: Iterable[Lookup] = (),
        model: Booster | str | os.PathLike[str] | None = None,
        raw_score: bool = False,
        memory_limit: int | str | None = None,
        on_limit: Literal["error", "evict_idle", "spill"] = "error",
        spill_path: str | os.PathLike[str] | None = None,
        idle_after: str | timedelta | None = None,
        late_events_max: int = LATE_EVENTS_MAX,
        _checkpoint: str | os.PathLike[str] | None = None,
        _changed: str | Sequence[str] = "refuse_any",
        _store_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Compiles the features and reads the model."""
        if not isinstance(features, FeatureSet):
            raise DefinitionError("engine", f"{shown(features)} is no FeatureSet; write stream.features(...)")
        text = None if model is None else _model_text(model)
        engine = super().__new__(
            cls,
            _definition(features, streams),
            features.stream.name,
            model=text,
            library=None if text is None else _lightgbm_library(),
            raw_score=raw_score,
            memory_limit=None if memory_limit is None else size_bytes("engine", "memory_limit", memory_limit),
            evict_idle=_evicts(on_limit),
            spill_path=_spill_path(on_limit, spill_path, memory_limit),
            idle_after_ns=None if idle_after is None else duration_ns("engine", "idle_after", idle_after),
            late_events_max=_late_events_max(late_events_max),
            checkpoint=None if _checkpoint is None else checkpoint_path(_checkpoint),
            changed=_changed if isinstance(_changed, str) else "named",
            restart=[] if isinstance(_changed, str) else list(_changed),
            store_options=option_pairs(_store_options),
        )
        engine._features = features
        engine._model = model
        engine._decoders = {}
        engine._model_version = None if text is None else hashlib.sha256(text.encode()).hexdigest()
        engine._offsets = {} if engine._restored is None else json.loads(engine._restored[0])
        for lookup in _with_rows(features, lookups):
            engine._set_lookup(lookup.name, _rows(lookup))
        return engine

    def push_messages(
        self,
        payloads: Sequence[bytes | None],
        *,
        stream: str | None = None,
        format: str | Format = "json",
        score: bool = False,
        reasons: int = 0,
    ) -> Outcome:
        """Takes a batch of messages in one call, in order: each is what `push_json` would make of it, to the bit.

        A message that is no event, breaks a rule or comes too late changes nothing and stops nothing: it is told in
        the outcome. With `score` every row is scored, and has the `reasons` strongest reasons. Other Python threads
        run meanwhile.

        >>> import fastfeat as ff
        >>> taps = ff.Stream("taps", {"ts": ff.Timestamp("s"), "user": ff.String()}, time="ts")
        >>> engine = ff.Engine(taps.features(n=ff.count().over("user", "1h")))
        >>> outcome = engine.push_messages([b'{"ts": 0, "user": "a"}', b"{", b'{"ts": 9, "user": "a"}'])
        >>> outcome.status.tolist(), outcome.values[:, 0].tolist()
        ([0, 2, 0], [1.0, nan, 2.0])
        >>> outcome.problems[0].index, outcome.problems[0].code
        (1, 'undecodable')
        >>> outcome.encode("json", ids=["x", "y", "z"])[2][:34]
        b'{"id":"z","features":{"n":2},"defi'
        """
        return self._push_messages(
            payloads,
            self._reader(format_of(format), stream, payloads),
            score=score,
            reasons=reasons,
            definition=self._features.fingerprint,
            model=self._model_version,
        )

    def _reader(self, format: Format, stream: str | None, payloads: Sequence[bytes | None]) -> Decoder:
        """How messages of a format are read, with every schema that these are written with and that can be had."""
        decoder = self._decoders.get((format, stream))
        if decoder is None:
            decoder = self._decoder(format.name, stream=stream, framing=format.framed(), message=format.only)
            format.prepare(decoder)
            if len(self._decoders) >= _DECODERS_MAX:
                self._decoders.pop(next(iter(self._decoders)))
            self._decoders[format, stream] = decoder
        format.ask(decoder, payloads)
        return decoder

    @classmethod
    def restore(
        cls,
        features: FeatureSet,
        path: str | os.PathLike[str],
        *,
        changed: Literal["refuse", "restart", "refuse_any"] | Sequence[str] = "refuse",
        store_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """An engine that goes on from a checkpoint as if it had never stopped, to the bit.

        `options` are those of `Engine`. Of a folder it takes the newest checkpoint that is whole, and warns of damaged
        ones by name. `idle_after` is the one that it was written with; lookups are given their rows
        again. Where the sources stood is in `engine.offsets`. `path` and `store_options` are as in `checkpoint`.

        The features may be others than those that it was written with: those that are the same keep their state, new
        ones begin without any (`features_complete_since` says from when on that shows no more), those that are gone are
        dropped. A feature that is another under an old name is refused with CheckpointError, unless `changed` lets it
        begin anew: a list of such names, or `"restart"` for all. `"refuse_any"` refuses every other definition.

        >>> import tempfile
        >>> import fastfeat as ff
        >>> taps = ff.Stream("taps", {"ts": ff.Timestamp("s"), "user": ff.String()}, time="ts")
        >>> engine = ff.Engine(taps.features(hour=ff.count().over("user", "1h")))
        >>> row = engine.push({"ts": 0, "user": "a"})
        >>> more = taps.features(hour=ff.count().over("user", "1h"), day=ff.count().over("user", "1d"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     engine = ff.Engine.restore(more, engine.checkpoint(folder))
        >>> engine.push({"ts": 9, "user": "a"}).to_dict()
        {'hour': 2, 'day': 1}
        >>> engine.features_complete_since()["day"].isoformat()
        '1970-01-02T00:00:00+00:00'
        """
        engine = cls(features, _checkpoint=path, _changed=_changed(changed), _store_options=store_options, **options)
        for damage in () if engine._restored is None else engine._restored[2]:
            warnings.warn(damage, CheckpointWarning, stacklevel=2)
        return engine

    @overload
    def checkpoint(
        self,
        path: os.PathLike[str],
        *,
        offsets: Mapping[str, Any] | None = None,
        keep: int = KEEP,
        incremental: bool = False,
    ) -> Path: ...

    @overload
    def checkpoint(
        self,
        path: str,
        *,
        offsets: Mapping[str, Any] | None = None,
        keep: int = KEEP,
        incremental: bool = False,
        store_options: Mapping[str, Any] | None = None,
    ) -> Path | str: ...

    def checkpoint(
        self,
        path: str | os.PathLike[str],
        *,
        offsets: Mapping[str, Any] | None = None,
        keep: int = KEEP,
        incremental: bool = False,
        store_options: Mapping[str, Any] | None = None,
    ) -> Path | str:
        """Writes all state to a file that is whole or absent, whatever happens; where it is then.

        `offsets` says where the sources stood, as what JSON can hold, e.g. `{"payments": {"0": 1_204}}`. A path that
        is a folder, or ends as one, gets a new file; the newest `keep` of them stay. Other threads go on while it is
        written, with this engine too, also where keys are on disk: it is the state of one instant of the call.

        With `incremental=True` a folder gets the events that were accepted since its last checkpoint of this engine,
        and nothing of the old state is touched: the engine takes events while they are written. The first one writes
        all state, and so does one after which the increments would be larger than it; `keep` counts those,
        each with its increments. Raises CheckpointError; what was there before is then still there.

        An address such as `"s3://bucket/payments"` leads to an object store, and is answered with the file's address,
        a text. There a path that ends in `.ff` is a file, any other a folder. Credentials and endpoint are those of
        the environment (`AWS_...`, `GOOGLE_...`, `AZURE_...`) and of `store_options`, e.g.
        `{"endpoint": "http://localhost:9000", "allow_http": True}`.

        >>> import fastfeat as ff
        >>> logins = ff.Stream("logins", {"ts": ff.Timestamp("us"), "card": ff.String()}, time="ts")
        >>> features = logins.features(n=ff.count().over("card", "1h"))
        >>> engine = ff.Engine(features)
        >>> row = engine.push({"ts": 0, "card": "c-1"})
        >>> engine.checkpoint("memory://docs/logins", offsets={"logins": 1})
        'memory://docs/logins/checkpoint-1.ff'
        >>> ff.Engine.restore(features, "memory://docs/logins").offsets
        {'logins': 1}
        """
        pairs = option_pairs(store_options)
        place, told = checkpoint_path(path), _offsets_json(offsets or {})
        with _leaving_processors():
            return self._checkpoint(place, told, _keep(keep), incremental, pairs)

    @property
    def offsets(self) -> dict[str, Any]:
        """Where the sources stood in the checkpoint that this engine was restored from; empty for a new one."""
        return copy.deepcopy(self._offsets)

    def features_complete_since(self) -> dict[str, datetime | None]:
        """Since when each feature has seen all that its windows ask for; None from the beginning.

        After a change of the definition, rows of a new feature are those of an engine that always had it from this
        event time on. `datetime.max`, in UTC, stands for never: no time says when windows that may reach back for ever
        (all time, `last`, `since`, sessions) have forgotten what was before.
        """
        return dict(self._complete_since())

    def set_lookup(self, lookup: Lookup) -> None:
        """Gives a lookup new rows: from the next event on all of them at once. It has the columns of the old one."""
        _check_known(self._features, lookup)
        self._set_lookup(lookup.name, _rows(lookup))

    def late_events(self) -> list[LateRecord]:
        """The newest events that came too late, oldest first: at most `late_events_max` of them."""
        return [LateRecord(*late) for late in self._late_events()]

    def explain(self, feature: str, keys: Mapping[str, Any], *, at: int | str | datetime | None = None) -> Explanation:
        """Why a feature has its value for some keys, by default at the newest event: its windows and their events.

        Nothing changes. It looks at every event of the windows, so it is for people, not for every event.
        """
        names = self._features.names
        if feature not in names:
            hint = nearest(str(feature), names) or f" the {len(names)} names are in `features.names`"
            raise KeyError(f"no feature is called `{feature}`;{hint}")
        position = names.index(feature)
        time, value, found = self._explain(position, keys, at=at)
        definition, parts = self._features.written(feature)
        # What the engine finds to be the same is told once, and then under the name of the whole.
        texts = parts if len(parts) == len(found) else (definition,) * len(found)
        aggregations = tuple(_explained(text, *each) for text, each in zip(texts, found, strict=True))
        return Explanation(feature, definition, dict(keys), time, value, aggregations)

    @property
    def features(self) -> FeatureSet:
        """The features it computes."""
        return self._features

    @property
    def model(self) -> Booster | str | os.PathLike[str] | None:
        """The model it was made with."""
        return self._model

    @property
    def model_version(self) -> str | None:
        """SHA-256 of the model's text, 64 hex digits; None without a model."""
        return self._model_version

    def __repr__(self) -> str:
        model = "" if self._model is None else f", model={shown(self._model)}"
        return f"<Engine of {len(self.names)} features of {self._features.stream.name}{model}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Engine holds state and is not pickled or copied; send its features, and push events")


def _changed(changed: object) -> str | list[str]:
    if isinstance(changed, str):
        if changed not in _CHANGED:
            hint = f"changed=[{changed!r}] names a feature"
            raise ValueError(f"changed is {shown(changed)}; write one of {', '.join(map(repr, _CHANGED))}; {hint}")
        return changed
    if not isinstance(changed, Sequence) or not all(isinstance(name, str) for name in changed):
        raise TypeError(f"changed is {shown(changed)}; write the names of features that may begin anew")
    return list(changed)


def _offsets_json(offsets: Mapping[str, Any]) -> str:
    """Offsets as JSON, which give back what was put in."""
    if not isinstance(offsets, Mapping):
        raise TypeError(f"offsets are a dict from the name of a source to where it stands, not {shown(offsets)}")
    written = dict(offsets)
    try:
        text = json.dumps(written, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise TypeError(f"offsets hold what JSON can: {error}") from None
    if json.loads(text) != written:
        raise TypeError(f"offsets {shown(written)} would come back as {shown(json.loads(text))}; write keys as texts")
    return text


def _keep(keep: object) -> int:
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise ValueError(f"keep is {shown(keep)}; write how many checkpoints of a folder stay, 1 or more")
    return keep


def _definition(features: FeatureSet, streams: Iterable[Stream]) -> str:
    """The features' own definition, with the streams that only the engine knows."""
    known = {stream.name: stream for stream in features.streams}
    definition = json.loads(features.to_json())
    for stream in streams:
        if not isinstance(stream, Stream):
            raise DefinitionError("engine", f"streams has {shown(stream)}; write streams=[payments, logins]")
        if known.setdefault(stream.name, stream) != stream:
            raise DefinitionError(
                f"stream `{stream.name}`",
                "the features use a stream of this name with other columns, time or lateness; give the engine the same",
            )
        if all(stream.name != other["name"] for other in definition["streams"]):
            definition["streams"] += json.loads(encode(stream, (stream,), (), ()))["streams"]
    return json.dumps(definition, ensure_ascii=False, allow_nan=False)


def _with_rows(features: FeatureSet, lookups: Iterable[Lookup]) -> Iterable[Lookup]:
    """Every lookup of the features, with the rows that the engine was given."""
    found = {lookup.name: lookup for lookup in features.lookups}
    for lookup in lookups:
        _check_known(features, lookup)
        found[lookup.name] = lookup
    return found.values()


def _check_known(features: FeatureSet, lookup: object) -> None:
    """Only rows are given: name, key and columns are those of the definition."""
    if not isinstance(lookup, Lookup):
        raise DefinitionError("engine", f"{shown(lookup)} is no Lookup; write lookups=[merchants, shops]")
    known = {each.name: each for each in features.lookups}
    if lookup.name not in known:
        hint = nearest(lookup.name, known) or f" they read {', '.join(known) or 'none'}"
        raise DefinitionError(f"lookup `{lookup.name}`", f"the features read no lookup of this name;{hint}")
    if known[lookup.name] != lookup:
        raise DefinitionError(
            f"lookup `{lookup.name}`",
            f"its key or columns are others than the features read; make it with key={known[lookup.name].key!r}, "
            f"columns={dict(known[lookup.name].columns)!r}",
        )


def _rows(lookup: Lookup) -> LookupTable:
    if lookup.rows is None:
        raise DefinitionError(
            f"lookup `{lookup.name}`",
            "it has no rows; give its table with Engine(features, lookups=[...])",
        )
    return lookup.rows


def _explained(
    definition: str, value: Any, since: datetime | None, until: datetime, inside: Any, left: Any, kept: bool
) -> ExplainedAggregation:
    events, gone = (tuple(ExplainedEvent(*event) for event in some) for some in (inside, left))
    return ExplainedAggregation(definition, value, since, until, events, gone, kept)


def _evicts(on_limit: object) -> bool:
    if on_limit in _ON_LIMIT:
        return on_limit == "evict_idle"
    hint = nearest(on_limit, _ON_LIMIT) if isinstance(on_limit, str) else ""
    raise DefinitionError("engine", f"on_limit is {shown(on_limit)};{hint} write `error`, `evict_idle` or `spill`")


def _spill_path(on_limit: str, path: object, memory_limit: object) -> str | os.PathLike[str] | None:
    if on_limit != "spill":
        if path is not None:
            raise DefinitionError("engine", f"spill_path is {shown(path)} without on_limit='spill'; write both")
        return None
    if memory_limit is None:
        raise DefinitionError("engine", "on_limit is 'spill' without a limit; write memory_limit='200MB' or so")
    if not isinstance(path, (str, os.PathLike)):
        raise DefinitionError(
            "engine",
            f"spill_path is {shown(path)}; write a folder on a local disk for keys that memory has no room for",
        )
    return path


def _late_events_max(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= LISTED_MAX:
        raise DefinitionError(
            "engine", f"late_events_max is {shown(number)}; write a whole number from 0 to {LISTED_MAX}"
        )
    return number


def _model_text(model: Any) -> str:
    """The text of a Booster, of an estimator that holds one, or of a file."""
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        path = path / MODEL_FILE if path.is_dir() else path
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ModelError(f"model `{path}` does not exist; write it with booster.save_model") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"model `{path}` cannot be read: {error}") from error
    booster = getattr(model, "booster_", model)
    if not hasattr(booster, "model_to_string"):
        raise ModelError(f"{shown(model)} is no model; give a LightGBM Booster or the path of its text")
    return str(booster.model_to_string())


def _lightgbm_library() -> Path:
    """The shared library in the installed LightGBM package, found without importing the package."""
    package = find_spec("lightgbm")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for library in sorted(Path(folder).rglob("lib_lightgbm.*")):
            if library.suffix in {".so", ".dylib", ".dll"}:
                return library
    raise ImportError('a model needs LightGBM: pip install "fastfeat[lightgbm]"')
