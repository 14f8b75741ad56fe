"""What every process that checks does, for any owner of checks; `checkers.py` is the parent's side.

    def digest_main(orders, reports):       # the entry point of a spawned process
        serve_checks(orders, reports, digests_of)

It holds no key, opens no device and runs no driver: numpy and the CPU's compiled operations, in one
thread. It says nothing before these have passed the known-answer test.
"""

import os
from collections.abc import Callable
from typing import Any

from engine.pool.codec import encode, one_line, write_frame
from engine.pool.messages import Number, Plain, Text
from engine.pool.task_queue import Pieces
from engine.pool.worker_main import Reports, next_order
from engine.runtime.confinement import confine
from engine.runtime.i18n import speak
from kernels.devices import cpu_operations
from kernels.errors import KernelError
from kernels.known_answer import known_answer_test_of_checks
from kernels.operations import Operations


class CheckerReady(Plain, frozen=True):
    """The checker's operations passed their known-answer test."""


class Answer(Plain, frozen=True):
    """What an order came to. `ticket` names it."""

    ticket: Number


class CannotCheck(Answer, frozen=True):
    """There was no memory, or the operations failed: these before any work, with ticket 0."""

    reason: Text


def serve_checks(
    orders: Pieces,
    reports: Reports,
    perform: Callable[[Any, Operations], Answer],
    *,
    otherwise: Operations | None = None,
) -> None:
    """Answer orders until told to end, or until nobody hears it.

    `perform` answers one order; what it raises but KernelError and MemoryError ends the process.
    `otherwise`: the operations to use where the compiled ones are not there, or fail their test.
    """
    speak()
    confine()

    def say(message: Plain) -> None:
        try:
            write_frame(reports.fileno(), encode(message))
        except OSError:
            os._exit(0)

    try:
        operations = _tested_operations(otherwise)
    except Exception as error:  # noqa: BLE001 - the parent reports it
        say(CannotCheck(0, one_line(f"{type(error).__name__}: {error}")))
        raise SystemExit(1) from None
    say(CheckerReady())
    while (order := next_order(orders)) is not None:
        try:
            say(perform(order, operations))
        except (KernelError, MemoryError) as error:
            say(CannotCheck(order.ticket, one_line(f"{type(error).__name__}: {error}")))


def _tested_operations(otherwise: Operations | None) -> Operations:
    try:
        operations = cpu_operations()
        known_answer_test_of_checks(operations)
    except Exception:
        if otherwise is None:
            raise
        known_answer_test_of_checks(otherwise)
        return otherwise
    return operations
