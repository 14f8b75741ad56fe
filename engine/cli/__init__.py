"""The command line. `main` is what the `cpc-engine` script calls.

Nothing heavy is imported before it is needed: `cpc-engine --help` answers without numba, pydantic
or requests. One file a command group; `app.py` joins them, `failure.py` turns errors into sentences.
"""

import gc
import os
import signal
import sys
import threading
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command line and exit with its code."""
    for number in _ENDING:  # before anything else: for process 1 Linux ignores what has no handler
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end_now)
    from engine.runtime.hardening import restrict_files
    from engine.runtime.i18n import asked_language, replace_unencodable, speak
    from engine.runtime.packages import why_hidden
    from engine.runtime.streams import open_standard_streams

    open_standard_streams()
    if not os.environ.get("HOME", "unset"):  # empty is none: state would lie in the root directory
        del os.environ["HOME"]
    restrict_files()
    replace_unencodable()
    # A caller that ignores it (trap '' CHLD) leaves it ignored: no child's end would ever be seen.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    speak(asked_language(sys.argv[1:]))  # before the import: help texts are made by it
    if (reason := why_hidden()) is not None:  # before anything imports what it would not be
        print(reason, file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    from engine.cli.app import run

    # A market or a flood of jobs makes a thousand objects a job, hardly any in circles: looking through
    # the young ones every 700, and through all of the modules' with the old, took 7% of its CPU time.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    sys.unraisablehook = _end_again
    for number in _ENDING:  # from here on, what is open is closed first
        if signal.getsignal(number) == _end_now:
            signal.signal(number, _end_in_order)
    try:
        code = run()
    except KeyboardInterrupt:  # while its last words were printed
        code = 130
    finally:  # also where a library ends the program
        for number in _ENDING:
            signal.signal(number, _end_now)
        _flush()
    gc.freeze()  # the interpreter looks through all of them otherwise, before it ends
    raise SystemExit(code)


def _end_now(number: int, _frame: FrameType | None) -> None:
    """End without a word while there is nothing to save: the program is being loaded."""
    os._exit(128 + number)


def _end_in_order(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _end_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send a signal again whose exception a finalizer swallowed: it came while one was at work."""
    if isinstance(lost.exc_value, (KeyboardInterrupt, SystemExit)):
        interrupted = isinstance(lost.exc_value, KeyboardInterrupt)
        number = signal.SIGINT if interrupted else signal.SIGTERM
        threading.Timer(0.02, os.kill, (os.getpid(), number)).start()
    else:
        sys.__unraisablehook__(lost)


def _flush() -> None:
    """Write out what is left; what cannot be written would make Python complain, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())
