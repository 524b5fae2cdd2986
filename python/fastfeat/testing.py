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
    Pin,
    Position,
    Processed,
    Protocol,
    Publish,
    Read,
    Replay,
    Restore,
    Restored,
    Snapshot,
    StartProducer,
    Wait,
)

__all__ = ["Driver", "Fenced", "MemoryLog", "NoTransaction", "Store"]


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


@dataclass
class _Open:
    """A transaction that is not yet ended."""

    rows: list[tuple[str, Any]] = field(default_factory=list)
    offsets: Position | None = None
    token: str = ""


class MemoryLog:
    """Topics of one partition each, and one group. What is in an open transaction is seen by nobody.

    >>> log = MemoryLog()
    >>> epoch = log.init("p")
    >>> log.begin("p", epoch); log.produce("p", epoch, "out", "row"); log.offsets("p", epoch, (1,))
    >>> log.read("out"), log.committed
    ([], None)
    >>> log.end("p", epoch, commit=True)
    >>> log.read("out"), log.committed
    (['row'], (1,))
    """

    def __init__(self) -> None:
        self.topics: dict[str, list[Any]] = {}
        self.committed: Position | None = None
        self.token = ""
        self.epochs: dict[str, int] = {}
        self._open: dict[str, _Open] = {}
        self.held: list[Callable[[], None]] = []
        """Requests that are still on their way."""

    def read(self, topic: str) -> list[Any]:
        """What a read-committed reader sees."""
        return self.topics.setdefault(topic, [])

    def init(self, name: str) -> int:
        """A new epoch: ends what is open, shuts older producers out."""
        self._open.pop(name, None)
        self.epochs[name] = self.epochs.get(name, -1) + 1
        return self.epochs[name]

    def begin(self, name: str, epoch: int) -> None:
        """Opens a transaction."""
        self._check(name, epoch)
        self._open[name] = _Open()

    def produce(self, name: str, epoch: int, topic: str, row: Any) -> None:
        """Adds a row to the open transaction."""
        self._opened(name, epoch).rows.append((topic, row))

    def offsets(self, name: str, epoch: int, position: Position, token: str = "") -> None:
        """Adds the group's position to the open transaction."""
        opened = self._opened(name, epoch)
        opened.offsets, opened.token = position, token

    def end(self, name: str, epoch: int, *, commit: bool) -> None:
        """Commits or aborts. As on a broker, it cannot tell which transaction of this epoch was meant.

        With none open there is nothing to do.
        """
        self._check(name, epoch)
        opened = self._open.pop(name, None)
        if commit and opened is not None:
            for topic, row in opened.rows:
                self.read(topic).append(row)
            if opened.offsets is not None:
                self.committed, self.token = opened.offsets, opened.token

    def _opened(self, name: str, epoch: int) -> _Open:
        self._check(name, epoch)
        if name not in self._open:
            raise NoTransaction
        return self._open[name]

    def _check(self, name: str, epoch: int) -> None:
        if self.epochs.get(name) != epoch:
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
    ) -> None:
        self.log, self.store, self.inputs, self.fate, self.chosen, self.name = log, store, inputs, fate, chosen, name
        self.machine = protocol or Protocol()
        self.state: int | None = None
        self.made: list[Any] = []
        self.epoch = -1
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
            case StartProducer():
                self.epoch = self.log.init(self.name)
                return Done()
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
                # The cuts that were published say in which order the inputs were taken.
                for first, last in self.log.read("journal"):
                    if sum(begin) <= sum(first) and sum(last) <= sum(end):
                        self._push(first, last)
                        yield
                return Done()
            case Read(begin=begin):
                lengths = [len(self.log.read(f"in{i}")) for i in range(self.inputs)]
                last = tuple(b + self.chosen(min(3, n - b) + 1) for b, n in zip(begin, lengths, strict=True))
                self.made = self._push(begin, last)
                yield
                return Processed(last)
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

    def _transaction(self, position: Position, token: str, rows: list[tuple[str, Any]]) -> Generator[None, None, Event]:
        log, name, epoch, tainted = self.log, self.name, self.epoch, False
        try:
            log.begin(name, epoch)
            for topic, row in rows:
                log.produce(name, epoch, topic, row)
                yield
            log.offsets(name, epoch, position, token)
            yield
            match self.fate("commit"):
                case "abort":
                    log.end(name, epoch, commit=False)
                    return Failed(Fault.ABORTED)
                case "lost":
                    return Failed(Fault.AMBIGUOUS)
                case "unanswered":
                    log.end(name, epoch, commit=True)
                    return Failed(Fault.AMBIGUOUS)
                case "resent":
                    # The first frame is held up; the client sends it again, and that one is answered.
                    log.held.append(lambda: log.end(name, epoch, commit=True))
                    tainted = True
            log.end(name, epoch, commit=True)
            yield
        except Fenced:
            return Failed(Fault.FENCED)
        except NoTransaction:
            return Failed(Fault.AMBIGUOUS)
        return Done(tainted=tainted, position=position)
