"""Errors as the user sees them: one sentence, what to do about it, and an exit code.

0 done; 1 checked and found wrong; 2 bad input or setup; 3 node unreachable or transaction refused;
4 no device in service; 70 a bug in this program; 130 ended by Ctrl-C.
"""

import os
import sys
import traceback
from gettext import gettext as _

EXIT_WRONG = 1
EXIT_BAD_INPUT = 2
EXIT_NODE = 3
EXIT_NO_DEVICE = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def print_error(error: Exception) -> int:
    """Print the error to stderr and return its exit code."""
    code = _exit_code(error)
    if os.environ.get("CPC_DEBUG"):
        traceback.print_exception(error)
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
    from node_client.errors import NodeClientError, NodeError, Refused

    match error:
        case EngineError():
            return error.exit_code
        case DeviceUnavailable():
            return EXIT_NO_DEVICE
        case WrongResult() | InvalidProof():
            return EXIT_WRONG
        case NodeError() | Refused():
            return EXIT_NODE
        case NodeClientError() | KernelError():
            return EXIT_BAD_INPUT
        case _:
            return EXIT_BUG


def _print(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
