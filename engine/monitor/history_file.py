"""Keeps the charts of a run for the next one, in a file beside the ledger.

    with kept_history(monitor, path): ...

It is written every few minutes and at the end, whole or not at all. Nothing depends on it: a file that
cannot be read is put aside, one that cannot be written is tried again, and the charts begin anew.
"""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.monitor.history import STEP_SECONDS, Kept
from engine.monitor.state import Monitor
from node_client.secret import Secret
from node_client.whole_files import replace_whole

WRITE_SECONDS = STEP_SECONDS["day"]
_MOST_BYTES = 64 * 2**20


@contextlib.contextmanager
def kept_history(monitor: Monitor, path: Path, every: float = WRITE_SECONDS) -> Iterator[None]:
    """Restore what the file has, and write it again every `every` seconds and at the end."""
    if (kept := _read(path)) is not None:
        monitor.restore_history(kept)
    ended = threading.Event()

    def write_often() -> None:
        while not ended.wait(every):
            _write(monitor, path)

    writer = threading.Thread(target=write_often, name="charts", daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join(timeout=1.0)  # its disk may hang
        if not writer.is_alive():
            _write(monitor, path)


def _read(path: Path) -> Kept | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=Kept)
    except OSError:
        return None
    except (msgspec.DecodeError, RecursionError):
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return None


def _write(monitor: Monitor, path: Path) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(path, Secret(monitor.kept_history()))
