"""Which GPUs of this machine do not compute, and why: nobody has to guess what became of a card.

    for one in skipped_gpus(("auto",)):
        print(one.device, one.reason, one.fix)

NVML makes no CUDA context. A card that fails its known-answer test is told of by the pool.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.monitor.formatting import gibibytes
from engine.runtime.packages import install_line
from kernels.cards import visible_cards

LEAST_CAPABILITY = (5, 0)
LEAST_CUDA = 12
PCI = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", "0x03"


@dataclass(frozen=True, slots=True)
class SkippedGpu:
    """A GPU that computes nothing. `device`: cuda:N, or its place where it has no such name.

    `by_choice`: the operator left it out.
    """

    device: str
    model: str
    reason: str
    fix: str = ""
    by_choice: bool = False


@dataclass(frozen=True, slots=True)
class _Machine:
    """What holds for every card."""

    asked: Sequence[str]
    needed: int
    cuda: int
    driver: str
    compiler: bool
    visible: list[str] | None


def skipped_gpus(
    asked: Sequence[str], *, needed: int = 0, nvml: Any = None, pci: Path = PCI
) -> list[SkippedGpu]:
    """Return those that `asked`, the devices of --device, or the machine's state leaves out.

    `needed`: bytes on a card that a task takes.
    """
    present = cards_on_the_bus(pci)
    try:
        with started(nvml) as library:
            return list(_look(library, asked, needed, present))
    except Exception as error:  # noqa: BLE001 - pynvml makes its classes of errors at run time
        reason = _("its driver does not answer ({reason})").format(reason=error)
        fix = _("Install NVIDIA's driver (on Ubuntu: sudo ubuntu-drivers install) and restart.")
        return [SkippedGpu(f"GPU {place}", "NVIDIA", reason, fix) for place in present]


def cards_on_the_bus(pci: Path = PCI) -> list[str]:
    """Return the places of NVIDIA's cards on the PCI bus, with a driver or without."""
    try:
        return sorted(
            device.name
            for device in pci.iterdir()
            if (device / "vendor").read_text().strip() == _NVIDIA
            and (device / "class").read_text().startswith(_DISPLAY)
        )
    except OSError:
        return []


@contextmanager
def started(nvml: Any = None) -> Iterator[Any]:
    """Give NVML between its beginning and its end. Raises what it and its import raise."""
    library = import_module("pynvml") if nvml is None else nvml
    library.nvmlInit()
    try:
        yield library
    finally:
        library.nvmlShutdown()


def _look(nvml: Any, asked: Sequence[str], needed: int, present: list[str]) -> Iterator[SkippedGpu]:
    machine = _Machine(
        asked,
        needed,
        cuda=nvml.nvmlSystemGetCudaDriverVersion() // 1000,
        driver=text(nvml.nvmlSystemGetDriverVersion()),
        compiler=importlib.util.find_spec("numba_cuda") is not None,
        visible=visible_cards(),
    )
    count = nvml.nvmlDeviceGetCount()
    for index in range(count):
        if (found := _look_at(nvml, index, machine)) is not None:
            yield found
    if len(present) > count > 0:
        reason = _("{more} more are on the PCI bus, and the driver does not list them")
        fix = _("Look for Xid messages in dmesg; restart the machine; check power and cables.")
        yield SkippedGpu("GPU", "NVIDIA", reason.format(more=len(present) - count), fix)


def _look_at(nvml: Any, index: int, machine: _Machine) -> SkippedGpu | None:
    try:
        card = nvml.nvmlDeviceGetHandleByIndex(index)
        model, uuid = text(nvml.nvmlDeviceGetName(card)), text(nvml.nvmlDeviceGetUUID(card))
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(card))
        memory = nvml.nvmlDeviceGetMemoryInfo(card).total
    except Exception as error:  # noqa: BLE001 - as above
        reason = _("it does not answer: {reason}").format(reason=error)
        fix = _("Look for Xid messages in dmesg; restart the machine; check power and cables.")
        return SkippedGpu(f"cuda:{index}", "NVIDIA", reason, fix)
    device = _device_of(index, uuid, machine.visible)
    if device is None:
        reason = _("CUDA_VISIBLE_DEVICES hides it")
        return SkippedGpu(f"GPU {index}", model, reason, _("Unset it to use every card."), True)
    asked = machine.asked
    if "auto" not in asked and device not in asked and not (device == "cuda:0" and "cuda" in asked):
        reason = _("--device {names} leaves it out").format(names=" ".join(asked))
        return SkippedGpu(device, model, reason, _("Name it, too, or auto."), True)
    reason, fix = _unfit(capability, memory, machine)
    return SkippedGpu(device, model, reason, fix) if reason else None


def _unfit(capability: tuple[int, ...], memory: int, machine: _Machine) -> tuple[str, str]:
    """Return why a card cannot compute, and what helps; nothing where it can."""
    if capability < LEAST_CAPABILITY:
        reason = _("compute capability {capability} is too old, 5.0 is the least")
        said = ".".join(map(str, capability))
        return reason.format(capability=said), _("Use --device cpu, or another card.")
    if machine.cuda < LEAST_CUDA:
        reason = _("the driver {driver} is too old: it has CUDA {cuda}, and {least} is the least")
        said = reason.format(driver=machine.driver, cuda=machine.cuda, least=LEAST_CUDA)
        return said, _("Update the NVIDIA driver.")
    if not machine.compiler:
        fix = _("Install it: {command}")
        command = install_line(f"cuda{min(machine.cuda, 13)}")
        return _("numba-cuda is not installed"), fix.format(command=command)
    if machine.needed > memory:
        reason = _("no room: a task needs {needed} on it, and it has {memory}")
        said = reason.format(needed=gibibytes(machine.needed), memory=gibibytes(memory))
        return said, _("Use a smaller --size.")
    return "", ""


def _device_of(index: int, uuid: str, visible: list[str] | None) -> str | None:
    """Return the name of NVML's card number `index`; None where it is hidden."""
    if visible is None:
        return f"cuda:{index}"
    for place, name in enumerate(visible):
        if name == str(index) or (not name.isdecimal() and uuid.startswith(name)):
            return f"cuda:{place}"
    return None


def text(value: bytes | str) -> str:
    """Return what NVML says, whose versions differ in this."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
