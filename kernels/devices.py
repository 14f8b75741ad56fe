"""Choose and open a device by its name.

    open_device("auto"), open_device("cpu", threads=4), open_device("cuda:0", tier="mma")

A device's packages are imported when it is opened, so a process that only checks proofs never loads
Numba.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import TYPE_CHECKING

from kernels import numba_settings
from kernels.allowance import core_quota
from kernels.device import Device
from kernels.errors import DeviceUnavailable, KernelError

if TYPE_CHECKING:
    from kernels.operations import Operations

Progress = Callable[[int, int], None]
"""Called with how many kernels are compiled, and how many there are to compile."""

_CUDA = re.compile(r"cuda(:[0-9]{1,3})?")


def available_devices() -> list[str]:
    """Return the names that `open_device` takes on this machine, the best first."""
    return [*(f"cuda:{index}" for index in range(count_gpus())), "cpu", "reference"]


def open_device(
    name: str,
    threads: int | None = None,
    tier: str | None = None,
    progress: Progress | None = None,
) -> Device:
    """Open "auto", "cpu", "reference", "cuda" or "cuda:N". `threads` is for the CPU's kernels.

    "auto" is the first GPU, or the CPU without one. `tier` forces how the device multiplies
    (`kernels.cuda.product.tiers`, `kernels.cpu.product.tiers`). Without `threads` every core that
    this process may run on is used. `progress` is called while the CPU's kernels are compiled, the
    first time on a machine. Raises DeviceUnavailable for a device or a tier that is not there,
    KernelError for an unknown name or less than one thread.
    """
    if threads is not None and threads < 1:
        raise KernelError(
            ngettext(
                "{threads} thread is out of range: it must be at least 1",
                "{threads} threads are out of range: it must be at least 1",
                threads,
            ).format(threads=threads)
        )
    check_device_name(name)
    if name == "auto":
        name = available_devices()[0]
    if _CUDA.fullmatch(name):
        return _open_cuda(int(name.partition(":")[2] or 0), tier)
    if name == "cpu":
        return _open_cpu(usable_cores() if threads is None else threads, tier, progress)
    if tier is not None:
        raise KernelError(
            _("the device {name} has no tiers").format(name=name),
            advice=_("--tier is for cuda and cpu."),
        )
    return _open_reference()


def cpu_operations(tier: str | None = None, progress: Progress | None = None) -> "Operations":
    """Return the CPU's fast operations without a device, for a verifier (`kernels.check`); one thread.

    Raises what `open_device` raises for the tier.
    """
    with numba_settings.explained():
        from kernels.cpu.operations import CpuOperations

    return CpuOperations(tier, progress)


def chosen_devices(asked: Sequence[str]) -> tuple[str, ...]:
    """Return each device's name once; "auto" stands for every GPU of the machine, or else the CPU."""
    if "auto" not in asked:
        return tuple(asked)
    found = [name for name in available_devices() if name.startswith("cuda:")] or ["cpu"]
    return tuple(dict.fromkeys([*(name for name in asked if name != "auto"), *found]))


def check_device_name(name: str) -> None:
    """Raise what `open_device` would raise for this name, and open nothing."""
    if _CUDA.fullmatch(name):
        _require_cuda()
    elif name not in ("auto", "cpu", "reference"):
        raise KernelError(
            _(
                "there is no device {name!r}: known are auto, cpu, reference, cuda and cuda:N"
            ).format(name=name[:40]),
            advice=_("On this machine: {names}.").format(names=", ".join(available_devices())),
        )


def count_gpus() -> int:
    """Return how many GPUs the NVIDIA driver shows, 0 where driver or packages are missing.

    Reads the driver's list of devices and creates no CUDA context, so a parent process may call it
    and leave the GPUs to its children.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        return 0
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not hidden.strip():
        return 0
    cards = len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) or _count_by_nvidia_smi()
    return cards if hidden is None else min(cards, len(hidden.split(",")))


def _count_by_nvidia_smi() -> int:
    """Count GPUs with nvidia-smi, for containers that do not show the driver's files."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def usable_cores() -> int:
    """Return how many cores this process may run on, and has time of, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    cores = (os.cpu_count() or 1) if affinity is None else len(affinity(0))
    quota = core_quota()
    return cores if quota is None else min(quota, cores)


def _require_cuda() -> None:
    """Raise DeviceUnavailable, with what to install, where the CUDA packages are missing."""
    if importlib.util.find_spec("numba_cuda") is None:
        raise DeviceUnavailable(
            _("CUDA needs the package numba-cuda, which is not installed"),
            advice=_("make setup CUDA=13 (or CUDA=12, as nvidia-smi says), or use the device cpu."),
        )


def _open_cuda(index: int, tier: str | None) -> Device:
    _require_cuda()
    try:
        with numba_settings.explained():
            from kernels.cuda.device import CudaDevice
    except (ImportError, AttributeError) as error:  # the latter where numpy is too new for numba
        raise DeviceUnavailable(
            _("the CUDA packages do not fit together: {value}").format(
                value=" ".join(str(error).split())[:200]
            ),
            advice=_("Install the pinned ones: make setup CUDA=13, or CUDA=12."),
        ) from error
    return CudaDevice(index, tier)


def _open_cpu(threads: int, tier: str | None, progress: Progress | None) -> Device:
    from kernels.host import HostDevice

    return HostDevice(cpu_operations(tier, progress), threads)


def _open_reference() -> Device:
    from kernels.host import HostDevice
    from kernels.operations import REFERENCE

    # One thread: BLAS brings its own, and numpy's other loops keep the GIL for the most part.
    return HostDevice(REFERENCE, threads=1)
