"""A sign of life while a command waits or computes, so that nobody thinks it hangs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_SECONDS = 2.0


@contextmanager
def sign_of_life(every: float = EVERY_SECONDS) -> Iterator[None]:
    """Print a dot now and then to stderr, where that is a terminal, until the end of the block."""
    if not sys.stderr.isatty():
        yield
        return
    ended, shown = threading.Event(), threading.Event()

    def dots() -> None:
        while not ended.wait(every):
            print(".", end="", file=sys.stderr, flush=True)  # noqa: T201
            shown.set()

    thread = threading.Thread(target=dots, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if shown.is_set():
            print(file=sys.stderr, flush=True)  # noqa: T201
