"""Errors as the user sees them: one sentence, what to do about it, and an exit code.

0 done; 1 checked and found wrong, or not there; 2 bad input or setup; 3 node unreachable or transaction
refused; 4 no device in service; 70 a bug in this program; 130 ended by Ctrl-C, 143 by SIGTERM.

What the system refuses (a full disk, no more processes, no memory) is no bug, wherever it happens.
"""

import errno
import os
import sys
import traceback
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

EXIT_WRONG = 1
EXIT_BAD_INPUT = 2
EXIT_NODE = 3
EXIT_NO_DEVICE = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def print_error(error: Exception) -> int:
    """Print the error to stderr and return its exit code."""
    code = _exit_code(error)
    if os.environ.get("CPC_DEBUG"):
        traceback.print_exception(error)
    if (said := _of_the_system(error)) is not None:
        sentence, advice = said
        stop_printing()
        _print(_("error: {error}").format(error=sentence))
        _print(advice)
        return EXIT_BAD_INPUT
    if code == EXIT_BUG:
        _print(_("error: {error}").format(error=f"{type(error).__name__}: {error}"))
        _print(_("This is a bug in cpc-engine. CPC_DEBUG=1 shows where; please report it."))
        return code
    _print(_("error: {error}").format(error=error))
    advice = getattr(error, "advice", "")
    if advice:
        _print(advice)
    return code


def _exit_code(error: Exception) -> int:
    from engine.runtime.errors import EngineError
    from kernels.errors import DeviceUnavailable, InvalidProof, KernelError, WrongResult
    from node_client.errors import NodeClientError, NodeError, NotFound, Refused

    match error:
        case EngineError():
            return error.exit_code
        case DeviceUnavailable():
            return EXIT_NO_DEVICE
        case WrongResult() | InvalidProof() | NotFound():
            return EXIT_WRONG
        case NodeError() | Refused():
            return EXIT_NODE
        case NodeClientError() | KernelError():
            return EXIT_BAD_INPUT
        case _:
            return EXIT_BUG


def _of_the_system(error: Exception) -> tuple[str, str] | None:
    """What happened and what to do, where the machine refused what any program needs; else None."""
    from engine.runtime.errors import EngineError
    from kernels.errors import KernelError
    from node_client.errors import NodeClientError

    match error:
        case EngineError() | KernelError() | NodeClientError():
            return None
        case OSError(errno=number) if number is not None:
            place = f": {error.filename}" if error.filename else ""
            return f"{error.strerror}{place}", _ADVICE.get(
                number, _("Look after that, and start again.")
            )
        case MemoryError():
            return _("memory ran out"), _("Free memory, or raise this process's limit.")
        case RuntimeError(args=("can't start new thread",)):
            return _("no thread can be started"), _ADVICE[errno.EAGAIN]
        case RuntimeError(args=("Could not determine home directory.",)):
            return _("the home directory is not known"), _(
                "Set HOME, or CPC_KEYS, CPC_STATE and CPC_CACHE."
            )
    return None


_ADVICE = {
    errno.ENOSPC: _("Free space on the disk that the output or the file is on."),
    errno.EAGAIN: _("Allow this user, or this container, more processes (ulimit -u, pids.max)."),
    errno.EMFILE: _("Allow more open files: ulimit -n 4096"),
    errno.ENFILE: _("The machine has no more open files to give: end other programs."),
    errno.ENOMEM: _("Free memory, or raise this process's limit."),
}


def stop_printing() -> None:
    """Send to /dev/null what may still be printed: stdout cannot be written."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the exit


def _print(line: str) -> None:
    from engine.runtime.printable import fit_to_show  # the error may quote a node
    from engine.runtime.systemd import is_journal

    priority = "<3>" if is_journal(sys.stderr) else ""
    shown = "\n".join(priority + fit_to_show(one) for one in line.split("\n"))
    with suppress(OSError, ValueError):  # nobody is there to read it
        print(shown, file=sys.stderr, flush=True)  # noqa: T201
