"""Measure tasks a second of several devices together and of each alone, in one run.

    report = measure_rig(["cuda:0", "cuda:1"], Task(bytes(range(32)), 4096))
    report.share_of_linear      # 1.0: together they do what they do alone, added up

One child process a device, as when mining: pinned to its card, opened and tuned before the clock runs.
Each turn every device works alone for some seconds, then all together; medians of the turns count.
"""

import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from gettext import gettext as _
from math import isfinite
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from engine.runtime.child_entry import ChildEntry
from engine.runtime.errors import SetupError
from engine.runtime.safe_path import safe_path
from kernels.cards import number_cards, pin
from kernels.devices import open_device
from kernels.errors import KernelError
from kernels.known_answer import known_answer_test
from kernels.task import Task

SECONDS = 2.0
"""Seconds of a device's work per turn."""
_START_SECONDS = 300.0
"""Seconds until a child is ready: it may have to compile kernels."""
_MOST_BYTES = 4096
"""Bytes of what a child says: JSON, a number or a sentence about what went wrong."""


@dataclass(frozen=True, slots=True)
class RigReport:
    """Tasks a second by device, and `total` for all together."""

    size: int
    iterations: int
    turns: int
    alone: dict[str, float]
    together: dict[str, float]
    total: float
    share_of_linear: float

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self)


def measure_rig(
    devices: Sequence[str], task: Task, *, threads: int | None = None, turns: int = 3
) -> RigReport:
    """Measure one or more devices. Raise SetupError for one that does not start or fails."""
    alone: dict[str, list[float]] = {device: [] for device in devices}
    together: dict[str, list[float]] = {device: [] for device in devices}
    with _workers(devices, task, threads) as lines:
        for _turn in range(turns):
            for device in devices:
                alone[device].append(_rates(lines, [device])[device])
            for device, rate in _rates(lines, devices).items():
                together[device].append(rate)
    rates = {device: median(values) for device, values in together.items()}
    by_themselves = {device: median(values) for device, values in alone.items()}
    total = sum(rates.values())
    return RigReport(
        size=task.n,
        iterations=task.iterations,
        turns=turns,
        alone=by_themselves,
        together=rates,
        total=total,
        share_of_linear=total / sum(by_themselves.values()),
    )


@contextmanager
def _workers(
    devices: Sequence[str], task: Task, threads: int | None
) -> Iterator[dict[str, Connection]]:
    number_cards()
    context = multiprocessing.get_context("spawn")
    lines: dict[str, Connection] = {}
    processes = []
    try:
        for device in devices:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=ChildEntry(_work), args=(device, threads, task, theirs), daemon=True
            )
            with safe_path():
                process.start()
            theirs.close()
            processes.append(process)
            lines[device] = ours
        for device in devices:
            _hear(device, lines[device], _START_SECONDS)
        yield lines
    finally:
        for line in lines.values():
            line.close()
        for process in processes:
            process.join(1.0)
            process.kill()
            process.join()


def _rates(lines: dict[str, Connection], devices: Sequence[str]) -> dict[str, float]:
    """Return tasks a second of these devices, working at the same time."""
    for device in devices:
        lines[device].send_bytes(json.dumps(SECONDS).encode())
    return {device: _hear(device, lines[device], 60 * SECONDS) for device in devices}


def _hear(device: str, line: Connection, patience: float) -> float:
    said: object = _("it printed nothing")
    try:
        if line.poll(patience):
            said = json.loads(line.recv_bytes(_MOST_BYTES))
    except (EOFError, OSError):
        said = _("its process ended")
    except (ValueError, RecursionError):
        said = _("its output is not JSON")
    if isinstance(said, float) and isfinite(said) and said >= 0:
        return said
    reason = "".join(c if c.isprintable() else " " for c in str(said))
    raise SetupError(_("device {device}: {reason}").format(device=device, reason=reason))


def _work(device: str, threads: int | None, task: Task, line: Connection) -> None:
    """The child: says 0 when it is ready, and a rate for every number of seconds that it is told."""
    pin(device)
    try:
        with open_device(device, threads) as opened:
            known_answer_test(opened)
            opened.prepare(task)
            opened.compute(task)
            _say(line, 0.0)
            while True:
                seconds = json.loads(line.recv_bytes())
                done, started = 0, time.perf_counter()
                while (spent := time.perf_counter() - started) < seconds or done == 0:
                    opened.compute(task)
                    done += 1
                _say(line, done / spent)
    except KernelError as error:
        _say(line, str(error)[: _MOST_BYTES // 8])
    except (EOFError, OSError):
        return


def _say(line: Connection, what: float | str) -> None:
    line.send_bytes(json.dumps(what).encode())
