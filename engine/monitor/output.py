"""A stream for the log that outlives its disk and its reader.

    output = Output(sys.stdout)
    output.report = monitor            # what is told of it: a trouble, in status and metrics
    run_node(..., output.attend)       # ends the run where its reader went away

Mining does not depend on who reads of it. A line that cannot be written is counted and left out, the
next one is tried again, and the trouble `log_unwritten` lasts meanwhile. A pipe or a terminal that
nobody reads any more is the end of a run that somebody watched; what outlives its terminal
(`is_service`) goes on without it.
"""

import contextlib
import errno
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING, TextIO

from engine.monitor.control import Control
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded, TroubleKind
from engine.runtime.errors import reason_of
from engine.runtime.systemd import is_journal

if TYPE_CHECKING:
    from engine.monitor.reporter import Reporter

_READER_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ENXIO})
"""Of a pipe, of a terminal that hung up."""
PATIENCE_SECONDS = 2.0
"""How long a line waits for a reader that stands still, as a terminal does after Ctrl-S."""
KIND: TroubleKind = "log_unwritten"


def is_service(stream: TextIO) -> bool:
    """Whether this program outlives whoever started it: a service, a container, `nohup`."""
    if os.environ.get("NOTIFY_SOCKET") or os.getpid() == 1:
        return True
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return True
    return is_journal(stream)


class Output:
    """Writes lines; never raises. Thread-safe."""

    def __init__(self, stream: TextIO, *, service: bool | None = None) -> None:
        """`service`: whether to go on without a reader; else what `is_service` says."""
        self._stream = stream
        self.is_journal = is_journal(stream)
        self._service = is_service(stream) if service is None else service
        self._lock = threading.RLock()
        self._control: Control | None = None
        self._failing = False
        self._lost = 0
        self._before = ""
        self.report: Reporter | None = None
        self.reader_gone = False

    def line(self, text: str) -> None:
        """Write a line, or count it as lost."""
        with self._lock:
            if self.reader_gone:
                return
            try:
                self._write(text)
            except (OSError, ValueError) as error:
                self._lost += 1
                self._fail(error)
                return
            failed, self._failing = self._failing, False
            lost, self._lost = self._lost, 0
        if failed:
            message = ngettext(
                "the log was not written; {count} line is missing",
                "the log was not written; {count} lines are missing",
                lost,
            ).format(count=lost)
            self._tell(TroubleEnded(KIND, message))

    def look(self) -> None:
        """Find out whether a reader is there still, as nothing may be written for long."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            poll = select.poll()
            poll.register(self._stream.fileno(), 0)
            if any(told & (select.POLLERR | select.POLLHUP) for _fd, told in poll.poll(0)):
                self._lose_reader()

    @contextlib.contextmanager
    def attend(self, control: Control) -> Iterator[None]:
        """End what `control` controls where nobody reads any more, unless it is a service."""
        self._control = control
        if self.reader_gone:
            self._lose_reader()
        try:
            yield
        finally:
            self._control = None

    def _fail(self, error: Exception) -> None:
        if isinstance(error, OSError) and error.errno in _READER_GONE:
            self._lose_reader()
        elif not self._failing:
            self._failing = True
            message = _("the log cannot be written: {reason}").format(reason=reason_of(error))
            advice = _("The engine goes on. Free space on the log's disk; writing is tried again.")
            self._tell(TroubleBegan(KIND, message, advice, stops=False))
            with contextlib.suppress(OSError, ValueError, AttributeError):
                print(f"{message}. {advice}", file=sys.stderr, flush=True)  # noqa: T201

    def _lose_reader(self) -> None:
        first, self.reader_gone = not self.reader_gone, True
        if self._service:
            if first:
                message = _("nobody reads the output any more")
                advice = _("The engine goes on. Its state: cpc-engine status")
                self._tell(TroubleBegan(KIND, message, advice, stops=False))
        elif (control := self._control) is not None:
            control.stop()

    def _tell(self, event: TroubleBegan | TroubleEnded) -> None:
        if self.report is not None:
            self.report(event)

    def _write(self, text: str) -> None:
        """Write past the stream's buffer, in which what failed once would be tried for ever."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, AttributeError):  # no file, but a buffer of a test
            print(text, file=self._stream, flush=True)
            return
        self._stream.flush()
        encoding, errors = self._stream.encoding, self._stream.errors or "strict"
        rest = memoryview((self._before + text + "\n").encode(encoding, errors))
        while rest:
            if not _has_room(descriptor, 0.0 if self._failing else PATIENCE_SECONDS):
                raise BlockingIOError(errno.EAGAIN, _("its reader stands still"))
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
            self._before = "\n"  # if this is all that is written, half a line stands there
        self._before = ""


def _has_room(descriptor: int, seconds: float) -> bool:
    """Whether a write would not wait: a stopped terminal or a full pipe must not stop the mining."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(1000 * seconds))
