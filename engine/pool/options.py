"""What computes: devices, CPU threads, and the memory of the worker processes."""

import os
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engine.runtime.errors import BadInput
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from engine.pool.limits import Limits


@dataclass(frozen=True, kw_only=True)
class ThreadOptions:
    """The CPU's threads."""

    heading: ClassVar[str] = _("Devices")

    threads: int | None = setting(None, _("CPU threads. [all cores]"), least=1)


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """The devices."""

    heading: ClassVar[str] = _("Devices")

    device: tuple[str, ...] = setting(
        ("auto",),
        _("auto, cpu, reference or cuda:N; several times for several."),
        metavar="DEVICE",
    )


@dataclass(frozen=True, kw_only=True)
class TuningOptions(ThreadOptions):
    """Threads, and whether GPUs are tuned."""

    no_tune: bool = setting(
        False, _("Use a card's usual tile shapes instead of measuring which are fastest.")
    )

    def apply(self) -> None:
        """Tell this process and its children whether GPUs may be tuned (`kernels.cuda.tuning`)."""
        if self.no_tune:
            os.environ["CPC_TUNE"] = "0"


@dataclass(frozen=True, kw_only=True)
class PoolOptions(TuningOptions, DeviceOptions):
    """Devices: what computes, and how much memory it may take."""

    child_memory: str | None = setting(
        None,
        _("Memory at which a worker process is replaced, such as 4G. [most of this machine's]"),
        metavar="SIZE",
    )

    device_failures: int = setting(
        5,
        _(
            "Failures of a device within 5 minutes, after more of which it gets no work for 10"
            " minutes, and for twice as long each time."
        ),
        least=0,
        most=1000,
    )

    no_confine: bool = setting(
        False, _("Let worker processes open sockets, and the key directory, as this user may.")
    )

    trace: Path | None = setting(
        None,
        _(
            "Write what each step takes to this file, for Chrome's trace viewer: a gigabyte at most."
        ),
    )

    def apply(self) -> None:
        """Tell this process and its children what `apply` does above, and how they run."""
        from engine.runtime.confinement import SWITCH
        from engine.runtime.trace import start_trace

        super().apply()
        if self.no_confine:
            os.environ[SWITCH] = "0"
        if self.trace is not None:
            try:
                start_trace(self.trace)
            except OSError as error:
                raise BadInput(
                    _("the trace {path} cannot be written: {reason}").format(
                        path=self.trace, reason=error.strerror
                    ),
                    advice=_("Name another file with --trace."),
                ) from None

    def check(self) -> None:
        """Raise the error of a name that no device has."""
        from kernels.devices import check_device_name

        for name in self.device:
            check_device_name(name)

    def limits(self) -> "Limits":
        """Return the limits of a child. Raises BadInput."""
        from engine.pool.limits import Limits, memory_limit

        return Limits(memory=memory_limit(self.child_memory), restarts=self.device_failures)
