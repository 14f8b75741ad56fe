"""Start processes that never import from the working directory.

    with safe_path():
        process.start()

A file `socket.py` that lies where somebody types a command must not run with that command's rights.
Python started with `-c`, as multiprocessing does, looks there first unless PYTHONSAFEPATH is set, and a
spawned child takes over the `sys.path` of its parent, in which "" means the working directory.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VARIABLE = "PYTHONSAFEPATH"
_HOME = Path(__file__).resolve().parents[2]
"""The directory that this program itself is imported from."""
_lock = threading.RLock()


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep the working directory out of the module path of what is started meanwhile.

    Where the program itself lives in the working directory (a checkout), that stays in the path.
    """
    with _lock:
        before, path = os.environ.get(_VARIABLE), sys.path
        os.environ[_VARIABLE] = "1"
        try:
            here = Path.cwd().resolve()
        except OSError:  # it was removed: nothing can be imported from there
            here = _HOME
        if here != _HOME:
            sys.path = [entry for entry in path if Path(entry).resolve() != here]
        try:
            yield
        finally:
            sys.path = path
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
