"""A device for one command, with a bar on the terminal while the CPU's kernels are compiled.

That happens once per CPU and version of this program, and takes some seconds; afterwards the machine
code is on disk. Nothing is drawn if stderr is not a terminal.
"""

import sys
from gettext import gettext as _
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from kernels.device import Device
    from kernels.operations import Operations


def open_device_shown(name: str, threads: int | None, tier: str | None = None) -> "Device":
    """Call `kernels.devices.open_device` with the bar."""
    from kernels.devices import open_device

    _tell_where_nothing_is_kept()
    with CompilationBar() as bar:
        return open_device(name, threads, tier, bar)


def operations_shown(tier: str | None = None) -> "Operations":
    """Call `kernels.devices.cpu_operations` with the bar."""
    from kernels.devices import cpu_operations

    _tell_where_nothing_is_kept()
    with CompilationBar() as bar:
        return cpu_operations(tier, bar)


def _tell_where_nothing_is_kept() -> None:
    from kernels.cache import cache_problem

    if reason := cache_problem():
        print(_("warning: {reason}").format(reason=reason), file=sys.stderr)  # noqa: T201


class CompilationBar:
    """Draws a bar; called with the numbers of kernels compiled and to be compiled.

    Nothing is imported or drawn before the first call, and the bar is removed at the end.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> "CompilationBar":
        return self

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if not sys.stderr.isatty():
                return
            self._start(total)
        assert self._bar is not None
        self._bar.update(self._bar.task_ids[0], completed=done)

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn(_("compiling kernels for this CPU, once")),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.add_task("", total=total)
        self._bar.start()
