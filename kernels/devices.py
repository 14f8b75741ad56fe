"""The one place where a device is chosen by its name.

    open_device("auto"), open_device("cpu", threads=4), open_device("reference")

What a device needs is imported when that device is opened, and not before: whoever only checks
proofs never loads Numba.
"""

import os
import re

from kernels.device import Device
from kernels.errors import DeviceUnavailable, KernelError

_CUDA = re.compile(r"cuda(:[0-9]{1,3})?")


def available_devices() -> list[str]:
    """Names that `open_device` takes on this machine, the best first."""
    return ["cpu", "reference"]


def open_device(name: str, threads: int | None = None) -> Device:
    """Open "auto", "cpu", "reference", "cuda" or "cuda:0". `threads` is for the CPU's kernels.

    Without `threads` every core that this process may run on is used. Raises DeviceUnavailable for
    a device that is not there, KernelError for a name that is none, or for less than one thread.
    """
    if threads is not None and threads < 1:
        raise KernelError(f"{threads} threads are out of range: it must be at least 1")
    check_device_name(name)
    if name == "reference":
        return _open_reference()
    return _open_cpu(usable_cores() if threads is None else threads)


def check_device_name(name: str) -> None:
    """Raise what `open_device` would raise for this name, and open nothing."""
    if _CUDA.fullmatch(name):
        raise DeviceUnavailable(
            f"device {name!r} cannot be used: this version has no CUDA kernels yet",
            advice="Use the device cpu.",
        )
    if name != "auto" and name not in available_devices():
        raise KernelError(
            f"there is no device {name[:40]!r}: known are auto, cpu, reference, cuda and cuda:0",
            advice=f"On this machine: {', '.join(available_devices())}.",
        )


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open_cpu(threads: int) -> Device:
    from kernels.commit import cpu as commit
    from kernels.expand import cpu as expand
    from kernels.host import HostDevice, Operations
    from kernels.product import cpu as product

    operations = Operations(
        expand.expand_rows, product.multiply_fold, commit.hash_leaves, commit.hash_level
    )
    return HostDevice("cpu", operations, threads)


def _open_reference() -> Device:
    from kernels.commit import reference as commit
    from kernels.expand import reference as expand
    from kernels.host import HostDevice, Operations
    from kernels.product import reference as product

    operations = Operations(
        expand.expand_rows,
        product.multiply_fold,
        commit.hash_leaves,
        commit.hash_level,
        scratch_bytes=8 * 8 * product.BLOCK_ENTRIES,
    )
    # One thread: BLAS brings its own, and numpy's other loops keep the GIL for the most part.
    return HostDevice("reference", operations, threads=1)
