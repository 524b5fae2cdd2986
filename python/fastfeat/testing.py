"""For tests: a log in memory that obeys Kafka's rules of transactions, and drivers of the protocol that go wrong.

`MemoryLog` has transactional producers with epochs, read-committed readers, and requests that arrive late. `Driver`
carries out what `fastfeat.protocol` asks for, one small step at a time, so that a schedule can stop it, kill it or let
another owner in at any point.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from fastfeat.protocol import (
    Action,
    AskCommitted,
    Close,
    Committed,
    Done,
    Event,
    Failed,
    Fault,
    Look,
    Looked,
    Mark,
    Pin,
    Position,
    Processed,
    Protocol,
    Publish,
    Read,
    Replay,
    Restore,
    Restored,
    Seal,
    Snapshot,
    StartProducer,
    Wait,
)

__all__ = ["GROUP", "Driver", "Fenced", "MemoryLog", "NoTransaction", "Restarted", "Store"]


class Fenced(Exception):  # noqa: N818 - it is what Kafka calls it
    """The epoch of this producer is over.

    >>> isinstance(Fenced(), Exception)
    True
    """


class NoTransaction(Exception):  # noqa: N818 - the same
    """Somebody has ended the transaction that this belongs to.

    >>> isinstance(NoTransaction(), Exception)
    True
    """


class Restarted(Exception):  # noqa: N818 - the same
    """The broker died in the middle of it.

    >>> isinstance(Restarted(), Exception)
    True
    """


@dataclass
class _Transactions:
    """What the coordinator knows of one id."""

    epoch: int = -1
    state: str = "none"
    """`open`, or `committed` or `aborted`; `none` after a producer was started."""
    places: set[str] = field(default_factory=set)
    mark: bool | None = None


@dataclass
class _Row:
    row: Any
    producer: str
    visible: bool | None = None
    """None while it is undecided."""


GROUP = "the group"


class MemoryLog:
    """Topics of one partition each, and one group. What is undecided is seen by nobody, nor what comes after it.

    >>> log = MemoryLog()
    >>> epoch = log.init("p")
    >>> log.begin("p", epoch); log.produce("p", epoch, "out", "row"); log.offsets("p", epoch, (1,))
    >>> log.read("out"), log.committed
    ([], None)
    >>> log.end("p", epoch, commit=True)
    >>> log.read("out"), log.committed
    (['row'], (1,))

    A broker that dies in `end` comes back and passes over some of the places, which stay undecided:

    >>> log.begin("p", epoch); log.produce("p", epoch, "out", "more"); log.end("p", epoch, commit=True, told=set())
    >>> log.last("p"), log.read("out"), log.restarts
    ((True, None), ['row'], 1)
    """

    def __init__(self) -> None:
        self.topics: dict[str, list[Any]] = {}
        self.committed: Position | None = None
        self.token = ""
        self.decided: Position | None = None
        """Where the group stands for the coordinator, though it may not have been told."""
        self.restarts = 0
        """Whoever is connected to the broker sees that it has been away."""
        self.held: list[Callable[[], None]] = []
        """Requests that are still on their way."""
        self.ids: dict[str, _Transactions] = {}
        self._written: dict[str, list[_Row]] = {}
        self._pending: dict[str, tuple[Position, str]] = {}

    def read(self, topic: str) -> list[Any]:
        """What a read-committed reader sees."""
        return self.topics.setdefault(topic, [])

    def last(self, name: str) -> tuple[bool | None, bool | None]:
        """How the last transaction ended, an open one as aborted; and the mark. (None, None): there was none."""
        known = self.ids.get(name, _Transactions())
        return {"none": None, "open": False, "committed": True, "aborted": False}[known.state], known.mark

    @property
    def undecided(self) -> bool:
        """Whether any row or position is."""
        return bool(self._pending) or any(self._written.values())

    def open(self, name: str) -> bool:
        """Whether a transaction is open."""
        return name in self.ids and self.ids[name].state == "open"

    def init(self, name: str, mark: bool | None = None, told: set[str] | None = None) -> int:
        """A new epoch: ends what is open, shuts older producers out."""
        known = self.ids.setdefault(name, _Transactions())
        if known.state == "open":
            known.epoch += 1
            self._end(name, commit=False, told=told)
            if told is not None:
                raise Restarted
        known.epoch, known.state, known.mark = known.epoch + 1, "none", mark
        return known.epoch

    def begin(self, name: str, epoch: int) -> None:
        """Opens a transaction."""
        self._check(name, epoch)
        known = self.ids[name]
        known.state, known.places = "open", set()

    def produce(self, name: str, epoch: int, topic: str, row: Any) -> None:
        """Adds a row to the open transaction."""
        self._opened(name, epoch).places.add(topic)
        self._written.setdefault(topic, []).append(_Row(row, name))

    def offsets(self, name: str, epoch: int, position: Position, token: str = "") -> None:
        """Adds the group's position to the open transaction."""
        self._opened(name, epoch).places.add(GROUP)
        self._pending[name] = position, token

    def join(self, name: str, epoch: int, topics: set[str]) -> None:
        """These, and the group, take part in the open transaction with nothing in it."""
        self._opened(name, epoch).places |= topics | {GROUP}

    def end(self, name: str, epoch: int, *, commit: bool, told: set[str] | None = None) -> None:
        """Commits or aborts. As on a broker, it cannot tell which transaction of this epoch was meant.

        It was ended this way already: there is nothing to do. With `told` the broker dies and tells these places alone.
        """
        self._check(name, epoch)
        if self.open(name):
            self._end(name, commit=commit, told=told)
        elif self.ids[name].state != ("committed" if commit else "aborted"):
            raise NoTransaction

    def _end(self, name: str, *, commit: bool, told: set[str] | None) -> None:
        known = self.ids[name]
        known.state = "committed" if commit else "aborted"
        if told is not None:
            self.restarts += 1
        if commit and name in self._pending and GROUP in known.places:
            self.decided = self._pending[name][0]
        for place in known.places if told is None else known.places & told:
            if place == GROUP:
                if (pending := self._pending.pop(name, None)) is not None and commit:
                    self.committed, self.token = pending
                continue
            written = self._written.setdefault(place, [])
            for row in written:
                if row.producer == name and row.visible is None:
                    row.visible = commit
            while written and written[0].visible is not None:
                if (row := written.pop(0)).visible:
                    self.read(place).append(row.row)

    def _opened(self, name: str, epoch: int) -> _Transactions:
        self._check(name, epoch)
        if not self.open(name):
            raise NoTransaction
        return self.ids[name]

    def _check(self, name: str, epoch: int) -> None:
        if name not in self.ids or self.ids[name].epoch != epoch:
            raise Fenced


class Store:
    """Checkpoints by position: the folder that all owners share. `keep` of them stay.

    >>> store = Store(); store.write((3,), "state"); store.newest((2,)), store.newest((5,))
    (None, ((3,), 'state'))
    """

    def __init__(self, keep: int = 2) -> None:
        self.keep = keep
        self.states: dict[Position, Any] = {}

    def write(self, position: Position, state: Any) -> None:
        """Keeps a state, and lets the oldest go."""
        self.states[position] = state
        for old in sorted(self.states, key=sum)[: -self.keep]:
            del self.states[old]

    def newest(self, at_most: Position) -> tuple[Position, Any] | None:
        """The newest state that is not ahead."""
        fit = [each for each in self.states if all(a <= b for a, b in zip(each, at_most, strict=True))]
        return (best, self.states[best]) if fit and (best := max(fit, key=sum)) is not None else None


Fate = Callable[[str], str]
"""Asked at each small step for what happens there: `ok`, or a fault that the step knows."""


class Driver:
    """Carries out the protocol on a `MemoryLog`, with a state that any event in a wrong place would change.

    `fate(step)` says what happens at each step. `chosen(n)` is a number below n: how many events come at once.

    >>> log = MemoryLog(); log.read("in0").extend("abc")
    >>> driver = Driver(log, Store(), inputs=1, fate=lambda step: "ok", chosen=lambda n: n - 1)
    >>> for _ in range(40): driver.step()
    >>> [event for event, state in log.read("out")], log.committed
    (['a', 'b', 'c'], (3,))
    """

    def __init__(
        self,
        log: MemoryLog,
        store: Store,
        *,
        inputs: int,
        fate: Fate,
        chosen: Callable[[int], int],
        name: str = "app-0",
        protocol: Protocol | None = None,
        careful: bool = True,
    ) -> None:
        """With `careful=False` it begins transactions over connections that were lost."""
        self.careful = careful
        self.log, self.store, self.inputs, self.fate, self.chosen, self.name = log, store, inputs, fate, chosen, name
        self.machine = protocol or Protocol()
        self.state: int | None = None
        self.made: list[Any] = []
        self.epoch = -1
        self.restarts = -1
        """Of the broker, when it was looked at or the producer was started."""
        self.closed = False
        self._steps = self._run()

    def step(self) -> None:
        """One small step; nothing once it is closed."""
        next(self._steps, None)

    def _run(self) -> Generator[None, None, None]:
        action = self.machine.step(None)
        while not isinstance(action, Close):
            yield
            event = yield from self._do(action)
            action = self.machine.step(event)
        self.closed = True

    def _do(self, action: Action) -> Generator[None, None, Event]:
        if self.fate("action") == "fail" and not isinstance(action, (Restore, Wait)):
            return Failed(Fault.RETRIABLE)
        match action:
            case Look():
                self.restarts = self.log.restarts
                commit, mark = self.log.last(self.name)
                if self.name in self.log.ids:
                    self.epoch = self.log.ids[self.name].epoch
                return Looked(commit, False) if mark is None else Looked(mark, True)
            case StartProducer():
                if self.log.open(self.name) or self.restarts != self.log.restarts:
                    return Failed(Fault.RETRIABLE)
                self.epoch, self.restarts = self.log.init(self.name), self.log.restarts
                return Done()
            case Mark(commit=commit):
                try:
                    known = self.log.ids[self.name]
                    if self.restarts == self.log.restarts and (known.epoch, known.mark) == (self.epoch, None):
                        self.epoch = self.log.init(self.name, commit, self._told())
                        return Done()
                except Restarted:
                    pass
                return Failed(Fault.RETRIABLE)
            case Seal(commit=commit):
                return (yield from self._sealed(commit))
            case AskCommitted():
                return Committed(self.log.committed, (0,) * self.inputs, self.log.token)
            case Pin(token=token):
                self.state = 0
                return (yield from self._transaction((0,) * self.inputs, token, []))
            case Restore(at_most=at_most, origin=origin):
                found = self.store.newest(at_most) or (origin, 0)
                position, self.state = found
                return Restored(position)
            case Replay(begin=begin, end=end):
                # The cuts that were published say in which order the inputs were taken; they may be seen only later.
                while begin != end:
                    cut = next((last for first, last in self.log.read("journal") if first == begin), None)
                    if cut is not None:
                        self._push(begin, cut)
                        begin = cut
                    yield
                return Done()
            case Read(begin=begin):
                lengths = [len(self.log.read(f"in{i}")) for i in range(self.inputs)]
                last = tuple(b + self.chosen(min(3, n - b) + 1) for b, n in zip(begin, lengths, strict=True))
                self.made = self._push(begin, last)
                yield
                return Processed(last, tainted=self.careful and self.log.restarts != self.restarts)
            case Publish(begin=begin, end=last, token=token):
                journal = [("journal", (begin, last))]
                rows = [("out", row) for row in self.made]
                return (yield from self._transaction(last, token, [*rows, *journal]))
            case Snapshot(position=position):
                if (fate := self.fate("snapshot")) != "ok":
                    return Failed(Fault.UNSYNCED if fate == "unsynced" else Fault.RETRIABLE)
                self.store.write(position, self.state)
                return Done()
            case Wait():
                return Done()
        raise AssertionError(action)

    def _push(self, begin: Position, end: Position) -> list[Any]:
        rows = []
        for place in range(self.inputs):
            for event in self.log.read(f"in{place}")[begin[place] : end[place]]:
                self.state = hash((self.state, event))
                rows.append((event, self.state))
        return rows

    def _told(self) -> set[str] | None:
        """None: the broker lives, and tells all places how a transaction ends."""
        if self.fate("markers") == "ok":
            return None
        return {place for place in ("out", "journal", GROUP) if self.chosen(2) == 1}

    def _sealed(self, commit: bool) -> Generator[None, None, Event]:
        log, name, epoch = self.log, self.name, self.epoch
        try:
            if log.restarts == self.restarts and not log.open(name):
                log.begin(name, epoch)
            yield
            log.join(name, epoch, {"out", "journal"})
            yield
            log.end(name, epoch, commit=commit, told=self._told())
            yield
        except Fenced:
            return Failed(Fault.FENCED)
        except NoTransaction:
            return Failed(Fault.RETRIABLE)
        return Done() if log.restarts == self.restarts and log.last(name)[0] is commit else Failed(Fault.RETRIABLE)

    def _transaction(self, position: Position, token: str, rows: list[tuple[str, Any]]) -> Generator[None, None, Event]:
        log, name, epoch, tainted = self.log, self.name, self.epoch, False
        if self.careful and log.restarts != self.restarts:
            return Failed(Fault.AMBIGUOUS)
        try:
            log.begin(name, epoch)
            for topic, row in rows:
                log.produce(name, epoch, topic, row)
                yield
            log.offsets(name, epoch, position, token)
            yield
            match self.fate("commit"):
                case "abort":
                    log.end(name, epoch, commit=False, told=self._told())
                    return Failed(Fault.ABORTED)
                case "lost":
                    return Failed(Fault.AMBIGUOUS)
                case "unanswered":
                    log.end(name, epoch, commit=True, told=self._told())
                    return Failed(Fault.AMBIGUOUS)
                case "resent":
                    # The first frame is held up; the client sends it again, and that one is answered.
                    log.held.append(lambda: log.end(name, epoch, commit=True))
                    tainted = True
            log.end(name, epoch, commit=True, told=self._told())
            yield
        except Fenced:
            return Failed(Fault.FENCED)
        except NoTransaction:
            return Failed(Fault.AMBIGUOUS)
        return Done(tainted=tainted, position=position)
