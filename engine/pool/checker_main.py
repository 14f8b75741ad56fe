"""A checker's process: it computes the digests of leaves that are to be checked, again, from the seed.

It holds no key, opens no device and runs no driver: numpy and the CPU's compiled operations, in one
thread. It gives digests, no verdict.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Annotated

from msgspec import Meta
from msgspec.msgpack import Decoder

from engine.pool.codec import decode_as, encode, one_line, write_frame
from engine.pool.messages import Number, Plain, Text
from engine.pool.task_queue import Pieces
from engine.pool.worker_main import next_order
from engine.runtime.confinement import confine
from engine.runtime.i18n import speak
from engine.runtime.trace import span
from kernels.check import opened_digests
from kernels.devices import cpu_operations
from kernels.digest import DIGEST_BYTES
from kernels.errors import KernelError
from kernels.known_answer import known_answer_test_of_checks
from kernels.task import Task


@dataclass(frozen=True, slots=True)
class Digest:
    """Compute the digests of these leaves of the task's result. `ticket` names the check."""

    ticket: int
    task: Task
    leaves: tuple[int, ...]


class CheckerReady(Plain, frozen=True):
    """The checker's operations passed their known-answer test."""


class Digests(Plain, frozen=True):
    """The digests, 32 bytes each, in the order of the leaves that were asked for."""

    ticket: Number
    digests: Annotated[bytes, Meta(max_length=32 * 2048)]


class CannotCheck(Plain, frozen=True):
    """There was no memory, or the operations failed. `ticket` is None before any work was taken."""

    ticket: Number | None
    reason: Text


FromChecker = CheckerReady | Digests | CannotCheck
_decoder: Decoder[FromChecker] = Decoder(FromChecker)


def decode_checker(payload: bytes) -> FromChecker:
    """Return what a checker said. Raises BrokenMessage."""
    return decode_as(_decoder, payload)


def by_leaf(leaves: Sequence[int], digests: bytes) -> dict[int, bytes] | None:
    """The digest of each leaf; None where there are not as many."""
    if len(digests) != DIGEST_BYTES * len(leaves):
        return None
    return {
        leaf: digests[DIGEST_BYTES * at : DIGEST_BYTES * (at + 1)] for at, leaf in enumerate(leaves)
    }


def checker_main(orders: Pieces, reports: Connection) -> None:
    """Entry point of a spawned checker. It ends when it is told to, or nobody hears it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    speak()
    confine()

    def say(message: FromChecker) -> None:
        try:
            write_frame(reports.fileno(), encode(message))
        except OSError:
            os._exit(0)

    try:
        operations = cpu_operations()
        known_answer_test_of_checks(operations)
    except Exception as error:  # noqa: BLE001 - the parent reports it, and checks by itself
        say(CannotCheck(None, one_line(f"{type(error).__name__}: {error}")))
        raise SystemExit(1) from None
    say(CheckerReady())
    while (order := next_order(orders)) is not None:
        try:
            with span("digests", ticket=order.ticket):
                digests = opened_digests(order.task, order.leaves, operations)
        except (KernelError, MemoryError) as error:
            say(CannotCheck(order.ticket, one_line(f"{type(error).__name__}: {error}")))
            continue
        say(Digests(order.ticket, b"".join(digests[leaf] for leaf in order.leaves)))
