"""A thread's unexpected error, on its way to the main thread.

A thread that dies alone leaves a traceback on the terminal and a run that goes on without it. So
watcher and sender put what they did not expect into the inbox, and the mining loop ends with it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crashed:
    """The thread `thread` ended with `error`."""

    thread: str
    error: Exception
