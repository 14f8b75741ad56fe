"""Errors of the engine, each with the exit code that the command line ends with.

EngineError
├── BadInput          2  an argument, a file or a setting is wrong
│   ├── LedgerError   2  the ledger cannot be used: locked, another chain's, disk full
│   ├── DatabaseError 2  another database of ours cannot be used
│   └── SetupError    2  a check before mining failed
├── WrongClaim        1  something was checked and found wrong
├── JobGivenUp        1  a job was not done, and will not be
└── NoDevice          4  no device is in service
"""

import errno
import os
import re
from dataclasses import dataclass


class EngineError(Exception):
    """Root of the tree. `str()` is one sentence; `advice` says what to do about it."""

    exit_code = 2
    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        if advice is not None:
            self.advice = advice


class BadInput(EngineError):
    """An argument, a file or a setting is wrong; nothing was done."""


class LedgerError(BadInput):
    """The ledger cannot be used as it is; nothing in it was changed."""


class DatabaseError(BadInput):
    """A database cannot be used as it is; nothing in it was changed."""


class SetupError(BadInput):
    """A check before mining failed."""


class WrongClaim(EngineError):
    """A result was checked and found wrong."""

    exit_code = 1


class JobGivenUp(EngineError):
    """A job was not done, and will not be. `code` says why in one word: see `actions.GivenUp`."""

    exit_code = 1

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NoDevice(EngineError):
    """Every device is out of service."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Crashed:
    """An unexpected error of the thread `thread`, put into the main thread's inbox.

    A thread that died alone would leave a traceback on the terminal and a run that goes on without
    it; so the main loop ends with this error instead.
    """

    thread: str
    error: Exception


_SHORT_OF = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def is_shortage(error: BaseException) -> bool:
    """Whether the machine lacked processes, threads, descriptors or memory, which may pass."""
    if isinstance(error, OSError):
        return error.errno in _SHORT_OF
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def reason_of(error: BaseException) -> str:
    """Return what an error says, without "[Errno 111]" and what else only its library knows."""
    said = getattr(error, "strerror", None) or str(error)
    if isinstance(error, OSError) and "Connect call failed" in said:  # asyncio's, of each address
        number = error.errno or int((re.search(r"Errno (\d+)", said) or ["", "0"])[1])
        said = os.strerror(number) if number else said
    return said or type(error).__name__
