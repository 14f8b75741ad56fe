"""Spans of time, for Chrome's trace viewer: where a task's milliseconds go, over all processes.

    with span("check", ticket=7):
        ...

CPC_TRACE (`mine --trace FILE`) names the file; without it a span costs a comparison. Open the file in
ui.perfetto.dev or chrome://tracing. Each event is one line that is written whole, so parent and
children share a file; the array that they stand in is never closed, which the format allows. `tdur` is
the thread's CPU time, which tells work from waiting, for other threads of the process too.

Source: Trace Event Format, "JSON Array Format" and "Complete Events",
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "CPC_TRACE"
_file = -1


def start_trace(path: Path) -> None:
    """Write spans of this process, and of those that it starts, to a new file. Raises OSError."""
    path = path.absolute()
    path.write_text("[\n", encoding="utf-8")
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
            "pid": os.getpid(),
            "tid": threading.get_native_id(),
            "args": values,
        }
        with suppress(OSError):  # a full disk ends the trace, and nothing else
            os.write(_file, (json.dumps(event, default=str) + ",\n").encode())


def _open() -> None:
    global _file
    if path := os.environ.get(VARIABLE):
        with suppress(OSError):
            _file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


_open()
