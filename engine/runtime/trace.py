"""Spans of time, for Chrome's trace viewer: where a task's milliseconds go, over all processes.

    with span("check", ticket=7):
        ...

CPC_TRACE (`mine --trace FILE`) names the file; without it a span costs a comparison. Open the file in
ui.perfetto.dev or chrome://tracing. Each event is one line that is written whole, so parent and
children share a file; the array that they stand in is never closed, which the format allows. `tdur` is
the thread's CPU time, which tells work from waiting, for other threads of the process too. The file
grows by some 200 bytes a span, up to a gigabyte.

Source: Trace Event Format, "JSON Array Format", "Complete Events" and "Metadata Events",
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import errno
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from gettext import gettext as _
from pathlib import Path

VARIABLE = "CPC_TRACE"
MOST_BYTES = 10**9
"""A viewer reads no more, and an engine that is traced for weeks fills no disk."""
_BEGINNING = b"[\n"
_file = -1


def start_trace(path: Path) -> None:
    """Write spans of this process, and of those that it starts, to a new file.

    An older trace is replaced. Raises OSError, also for any other file that is there.
    """
    path = path.absolute()
    file = _open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        if os.read(file, len(_BEGINNING)) not in (b"", _BEGINNING):
            raise FileExistsError(errno.EEXIST, _("a file that is no trace has that name"))
        os.ftruncate(file, 0)
        os.pwrite(file, _BEGINNING, 0)
    finally:
        os.close(file)
    os.environ[VARIABLE] = str(path)
    _open()


@contextmanager
def span(name: str, **values: object) -> Iterator[None]:
    """Write down how long the block takes, with these values, if this run is traced."""
    if _file < 0:
        yield
        return
    began, cpu = time.monotonic_ns(), time.thread_time_ns()
    try:
        yield
    finally:
        event = {
            "name": name,
            "ph": "X",
            "ts": began / 1e3,
            "dur": (time.monotonic_ns() - began) / 1e3,
            "tdur": (time.thread_time_ns() - cpu) / 1e3,
            "args": values,
        }
        _write_event(event)


def _write_event(event: dict[str, object]) -> None:
    event |= {"pid": os.getpid(), "tid": threading.get_native_id()}
    _write((json.dumps(event, default=str) + ",\n").encode())


def _process_name() -> str:
    """Return what tells the engine's processes apart: a device, a checker, or the parent."""
    from multiprocessing import current_process  # not at every start of the program

    return current_process().name


def _write(line: bytes) -> None:
    """Write it whole. A full disk ends the trace, and nothing else."""
    global _file
    try:
        if os.fstat(_file).st_size + len(line) <= MOST_BYTES and os.write(_file, line) == len(line):
            return
    except OSError:
        pass
    _file = -1


def _open() -> None:
    global _file
    if path := os.environ.get(VARIABLE):
        with suppress(OSError):
            file = _open_regular(Path(path), os.O_RDWR | os.O_APPEND)
            if os.pread(file, len(_BEGINNING), 0) == _BEGINNING:
                _file = file
                _write_event({"name": "process_name", "ph": "M", "args": {"name": _process_name()}})
            else:  # the variable was set by hand, to some other file
                os.close(file)


def _open_regular(path: Path, flags: int) -> int:
    """Open a file that nobody has to read for this process to go on. Raises OSError."""
    file = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, _("it is no regular file"))
    return file


_open()
