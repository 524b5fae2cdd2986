"""A worker that kills itself with SIGKILL at a named point, for the n-th time that it gets there: CRASH_AT=point:n.

Points of the disk (`fsync`, `rename` and so on) are the library's that `crash_at_disk.c` makes. `NO_CURE=...` leaves
a rule of the protocol out, for the twins of the tests.
"""

import asyncio
import functools
import os
import signal
import sys
import time

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.transaction import EndTxnRequest
from fastfeat import protocol
from fastfeat.__main__ import main
from fastfeat.pipeline import Pipeline
from fastfeat.sinks.kafka import Transactional
from fastfeat.sources.kafka import Membership
from fastfeat.worker.state import State
from fastfeat.worker.unit import Unit

POINT, _, TIMES = os.environ.get("CRASH_AT", ":").partition(":")
left = {"times": int(TIMES or 1)}


def reached(point):
    if point == POINT:
        left["times"] -= 1
        if left["times"] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def around(owner, method, name):
    """Points before and after a method."""
    inner = getattr(owner, method)
    if asyncio.iscoroutinefunction(inner):

        @functools.wraps(inner)
        async def outer(*arguments, **options):
            reached(f"{name}.before")
            result = await inner(*arguments, **options)
            reached(f"{name}.after")
            return result
    else:

        @functools.wraps(inner)
        def outer(*arguments, **options):
            reached(f"{name}.before")
            result = inner(*arguments, **options)
            reached(f"{name}.after")
            return result

    setattr(owner, method, outer)


def in_the_middle_of_a_commit():
    """The frame is out, its answer is not here."""
    inner = AIOKafkaClient.send

    async def send(self, node, request, **options):
        if POINT == "commit.during" and isinstance(request, EndTxnRequest):
            task = asyncio.ensure_future(inner(self, node, request, **options))
            await asyncio.sleep(0.002)
            reached("commit.during")
            return await task
        return await inner(self, node, request, **options)

    AIOKafkaClient.send = send


POINTS = (
    "start.before", "start.after", "send.before", "send.after", "offsets.before", "offsets.after", "commit.before",
    "commit.during", "commit.after", "push.after", "snapshot.before", "snapshot.after", "restore.after",
)  # fmt: skip


def arm():
    around(Transactional, "start", "start")
    around(Transactional, "_send", "send")
    around(Transactional, "_add_offsets", "offsets")
    around(Transactional, "_commit", "commit")
    around(State, "push", "push")
    around(State, "checkpoint", "snapshot")
    around(State, "restore", "restore")
    in_the_middle_of_a_commit()
    cures = os.environ.get("NO_CURE", "").split(",")
    if "new_producer" in cures:
        plain = protocol.Protocol.__init__
        protocol.Protocol.__init__ = functools.partialmethod(plain, replace_producer=False)
        Transactional._may_begin = lambda self: None
    if "shared_id" in cures:
        Pipeline.transactional_id = lambda self, group, partition: f"{group}-{partition}-{os.getpid()}"
    if "suppressed_replay" in cures:
        forget_state(Unit)
    if "confirmed" in cures:
        Membership.confirm = always
    slow = float(os.environ.get("SLOW_RESTORE", "0"))
    if slow:
        inner = State.restore

        def restore(self, at_most):
            time.sleep(slow)
            return inner(self, at_most)

        State.restore = restore


async def always(self, number):
    """A worker that was cut off takes for granted that it still owns what it owned."""
    return True


def forget_state(unit):
    """A restore that begins empty at the committed position: what at-least-once without checkpoints would do."""

    async def restore(self, at_most, origin):
        self.state.empty()
        return protocol.Restored(at_most)

    unit._restore = restore


if __name__ == "__main__":
    arm()
    sys.exit(main())
