"""The commit and restore protocol of one partition, without I/O: facts in, one thing to do out. No asyncio, no clock.

    Look -> StartProducer -> AskCommitted -> Restore -> Replay -> Read -> Publish -> Read ...     when nothing fails
                                        \\-> Pin -> Snapshot -> Read                       nobody has begun before
    Look -> Mark -> Seal -> StartProducer -> ...                            there was a transaction before

Whoever drives it does what `step` returns and tells how that went. Its rules, and so the promise of exactly once:

1. A producer that is started with the partition's transactional id ends what its predecessors left open and shuts
   them out, so `committed` is asked for only after that.
2. State is dropped unless it stands where the group has committed, or where the results that wait would bring it.
   With several inputs, one position can be reached by different orders of events. So each commit has a token of its
   own, and it is the token that says whether the commit was ours.
3. Results that were made are published or, if their fate is unknown, looked for; events are never pushed twice into
   one state.
4. A checkpoint is written only of state that stands at the committed position, so none is ever ahead of it.
5. After anything ambiguous inside a transaction, success after a resent frame included, the producer is replaced
   before it begins another: what is still on its way then belongs to an epoch that the broker refuses.
6. A broker that dies in the middle of a commit may come back and count the transaction as ended without having told
   the partitions that it wrote to (Kafka's KAFKA-20734), nor the group. They stay undecided until the next end of a
   transaction of the same id that they take part in, of whichever kind. So each new producer first has a transaction
   in which all of them take part, which writes nothing and ends as the last one did; which way that was is asked of
   the coordinator, and marked there until it is done. No transaction is begun over a connection that was lost since
   the one before.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = [
    "AskCommitted",
    "Close",
    "Committed",
    "Done",
    "Failed",
    "Fault",
    "Look",
    "Looked",
    "Mark",
    "Pin",
    "Position",
    "Processed",
    "Protocol",
    "Publish",
    "Read",
    "Replay",
    "Restore",
    "Restored",
    "Seal",
    "Snapshot",
    "StartProducer",
    "Wait",
]

Position = tuple[int, ...]
"""Offset of the next event of each input, in the order in which the pipeline names them."""


class Fault(enum.Enum):
    """How an action failed."""

    RETRIABLE = "retriable"
    """Nothing happened; the same may be tried again."""
    ABORTED = "aborted"
    """The transaction is known to be aborted; the same results may be published again by the same producer."""
    AMBIGUOUS = "ambiguous"
    """It may have happened, or happen yet."""
    FENCED = "fenced"
    """Another owner has started a producer of this partition."""
    UNSYNCED = "unsynced"
    """A checkpoint could not be made to last, and this state cannot be written down any more."""
    FATAL = "fatal"
    """No repetition helps."""


# --- What to do ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """Drop the producer, if there is one; find out how the last transaction of the id ended."""


@dataclass(frozen=True)
class Mark:
    """Shut the older producers out; have the coordinator keep that the last transaction is to be sealed this way."""

    commit: bool


@dataclass(frozen=True)
class Seal:
    """A transaction in which all partitions and the group take part, with nothing in it, that ends this way."""

    commit: bool


@dataclass(frozen=True)
class StartProducer:
    """Start a new producer of the same transactional id, which takes the mark away."""


@dataclass(frozen=True)
class AskCommitted:
    """Ask the group where it stands."""


@dataclass(frozen=True)
class Restore:
    """Drop the state; take the newest checkpoint at or before `at_most`, or an empty state at `origin`."""

    at_most: Position
    origin: Position


@dataclass(frozen=True)
class Replay:
    """Push the events between two positions; what comes of them was published before."""

    begin: Position
    end: Position


@dataclass(frozen=True)
class Pin:
    """Find out where to begin and commit that position under this token, with nothing else."""

    token: str


@dataclass(frozen=True)
class Read:
    """Read and push events from here on; tell what was made."""

    begin: Position


@dataclass(frozen=True)
class Publish:
    """Results that were kept, and the position behind them under this token, in one transaction."""

    begin: Position
    end: Position
    token: str


@dataclass(frozen=True)
class Snapshot:
    """Write a checkpoint of the state, which stands here."""

    position: Position


@dataclass(frozen=True)
class Wait:
    """Back off, for longer with each attempt; whether the partition is still owned is looked at meanwhile."""

    attempt: int
    fault: Fault


@dataclass(frozen=True)
class Close:
    """End in good order; with a reason if there is one."""

    error: BaseException | None = None


Action = (
    Look
    | Mark
    | Seal
    | StartProducer
    | AskCommitted
    | Restore
    | Replay
    | Pin
    | Read
    | Publish
    | Snapshot
    | Wait
    | Close
)

# --- How it went --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """It is done. `tainted`: a frame was sent twice or an answer is still due; `position`: where Pin has pinned."""

    tainted: bool = False
    position: Position | None = None


@dataclass(frozen=True)
class Looked:
    """How the last transaction ended: committed or not; None: there is none that could be undecided somewhere.

    `marked`: somebody has begun to seal it.
    """

    commit: bool | None
    marked: bool = False


@dataclass(frozen=True)
class Committed:
    """Where the group stands, where it began, and the token of the commit; None if it never committed."""

    position: Position | None
    origin: Position | None = None
    token: str = ""


@dataclass(frozen=True)
class Restored:
    """The state stands here."""

    position: Position


@dataclass(frozen=True)
class Processed:
    """Events up to `end` were pushed. `end` is where reading began if there were none.

    `tainted`, where there were none: what was published before, and counted as done, turns out to have failed.
    """

    end: Position
    tainted: bool = False


@dataclass(frozen=True)
class Failed:
    """It failed."""

    fault: Fault
    error: BaseException | None = None


Event = Done | Looked | Committed | Restored | Processed | Failed

ATTEMPTS_MAX = 1_000_000


class Protocol:
    """One partition's machine. `snapshot_due` and `stopping` are told from outside, at any time.

    >>> machine = Protocol("a")
    >>> machine.step(None), machine.step(Looked(True)), machine.step(Done()), machine.step(Done())
    (Look(), Mark(commit=True), Seal(commit=True), StartProducer())
    >>> machine.step(Done()), machine.step(Committed((7,), (0,)))
    (AskCommitted(), Restore(at_most=(7,), origin=(0,)))
    >>> machine.step(Restored((4,))), machine.step(Done()), machine.step(Processed((9,)))
    (Replay(begin=(4,), end=(7,)), Read(begin=(7,)), Publish(begin=(7,), end=(9,), token='a.1'))
    >>> machine.step(Failed(Fault.AMBIGUOUS))
    Wait(attempt=1, fault=<Fault.AMBIGUOUS: 'ambiguous'>)
    >>> [type(machine.step(event)).__name__ for event in (Done(), Looked(True), Done(), Done(), Done())]
    ['Look', 'Mark', 'Seal', 'StartProducer', 'AskCommitted']
    >>> machine.step(Committed((9,), (0,), "a.1"))  # it had been committed
    Read(begin=(9,))
    """

    def __init__(
        self,
        identity: str = "",
        *,
        replace_producer: bool = True,
        seal: bool = True,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> None:
        """`identity` is what no other owner has, now or before.

        For the tests that show why: `replace_producer=False` trusts a success after a resent frame, against rule 5;
        `seal=False` trusts the broker to tell all partitions, against rule 6.
        """
        self.snapshot_due = False
        self.stopping = False
        self._identity = identity
        self._replace_producer = replace_producer
        self._seal = seal
        self._attempts_max = attempts_max
        self._attempt = 0
        self._doing: Action | None = None
        self._tried: Action | None = None
        self._position: Position | None = None
        """Where the state stands without the events whose results wait; None: there is no state."""
        self._waiting: Position | None = None
        """Behind the results that wait to be published."""
        self._committed: Position | None = None
        self._origin: Position | None = None
        self._tokens = 0
        self._token: str | None = None
        """Of the commit that the state came to; with the results that wait, of theirs."""
        self._waiting_token = ""

    @property
    def running(self) -> bool:
        """Whether it has caught up with what was committed and reads on."""
        return isinstance(self._doing, (Read, Publish, Snapshot))

    @property
    def committed(self) -> Position | None:
        """Where the group is known to stand."""
        return self._committed

    def step(self, event: Event | None) -> Action:
        """What to do next, now that what was to be done went like this; None begins."""
        self._doing = self._next(event)
        return self._doing

    def _next(self, event: Event | None) -> Action:
        doing = self._doing
        if doing is None:
            return Look()
        if isinstance(event, Failed):
            return self._failed(doing, event)
        if not isinstance(doing, Wait):
            self._attempt = 0 if isinstance(doing, (Publish, Pin, Read, Replay)) else self._attempt
        match doing, event:
            case Wait(), Done():
                return self._again()
            case Look(), Looked(commit=commit, marked=marked):
                if commit is None or not self._seal:
                    return StartProducer()
                return Seal(commit) if marked else Mark(commit)
            case Mark(commit=commit), Done():
                return Seal(commit)
            case Seal(), Done():
                return StartProducer()
            case StartProducer(), Done():
                return AskCommitted()
            case AskCommitted(), Committed():
                return self._found(event)
            case Pin(), Done(position=position, tainted=tainted) if position is not None:
                self._committed = self._origin = self._position = position
                self.snapshot_due = True
                return self._go_on(tainted)
            case Restore(at_most=at_most), Restored(position=position):
                assert all(a <= b for a, b in zip(position, at_most, strict=True)), "a checkpoint is ahead"
                self._position = position
                return self._go_on() if position == at_most else Replay(position, at_most)
            case Replay(end=end), Done():
                self._position = end
                return self._go_on()
            case Read(begin=begin), Processed(end=end, tainted=tainted):
                if end == begin:
                    return self._go_on(tainted)
                self._waiting, self._waiting_token = end, self._new_token()
                return Publish(begin, end, self._waiting_token)
            case Publish(end=end), Done(tainted=tainted):
                self._settle(end)
                return self._go_on(tainted)
            case Snapshot(), Done():
                return self._go_on()
        raise AssertionError(f"{event} is no answer to {doing}")

    def _go_on(self, tainted: bool = False) -> Action:
        """The state stands at the committed position, and nothing waits."""
        assert self._position is not None
        assert self._position == self._committed
        if tainted and self._replace_producer:
            return Look()
        if self.snapshot_due:
            self.snapshot_due = False
            return Snapshot(self._position)
        return Close() if self.stopping else Read(self._position)

    def _settle(self, end: Position) -> None:
        self._position = self._committed = end
        self._waiting, self._token = None, self._waiting_token

    def _new_token(self) -> str:
        self._tokens += 1
        return f"{self._identity}.{self._tokens}"

    def _found(self, found: Committed) -> Action:
        """The group stands here: what of our state and results is still of use?"""
        if found.position is None:
            self._position = self._waiting = None
            self._token = self._new_token()
            return Close() if self.stopping else Pin(self._token)
        self._committed, self._origin = found.position, found.origin or found.position
        if self._position is not None and self._waiting is not None and self._waiting_token == found.token:
            self._settle(found.position)
        if self._position == found.position and self._token == found.token:
            return (
                self._go_on() if self._waiting is None else Publish(self._position, self._waiting, self._waiting_token)
            )
        self._position = self._waiting = None
        self._token = found.token
        return Close() if self.stopping else Restore(found.position, self._origin)

    def _failed(self, doing: Action, failed: Failed) -> Action:
        if failed.fault is Fault.FATAL or self._attempt >= self._attempts_max:
            return Close(failed.error)
        if isinstance(doing, Snapshot):
            # The state is as good as before; the next one is tried when it is due. One that cannot be written down any
            # more is made anew, of the last checkpoint and the events since.
            if failed.fault is Fault.UNSYNCED and not self.stopping:
                self._position = self._waiting = None
                return Look()
            return self._go_on()
        if self.stopping:
            # Who comes next finds out what became of it.
            return Close()
        if isinstance(doing, (Replay, Read)):
            # Part of the events may have been pushed.
            self._position = self._waiting = None
        self._attempt += 1
        # All else begins with a look: what went wrong may have left a transaction undecided.
        again = failed.fault in (Fault.RETRIABLE, Fault.ABORTED) and isinstance(doing, (AskCommitted, Pin, Publish))
        self._tried = doing if again else None
        return Wait(self._attempt, failed.fault)

    def _again(self) -> Action:
        tried, self._tried = self._tried, None
        return Look() if tried is None else tried
