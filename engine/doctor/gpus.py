"""Check NVIDIA driver, CUDA packages and cards, through NVML and the packages' metadata.

Nothing here makes a CUDA context: a check must not take memory or time from a card that computes.
"""

import os
from gettext import gettext as _
from gettext import ngettext
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.monitor.formatting import gibibytes
from engine.node.preflight import Check
from engine.node.skipped_gpus import LEAST_CAPABILITY, PCI, cards_on_the_bus, started, text
from engine.runtime.packages import install_line


def check_cards(nvml: Any = None, *, pci: Path = PCI, wanted: bool = False) -> list[Check]:
    """Check driver, packages and each card. `wanted`: a GPU was named, so it must exist."""
    present = cards_on_the_bus(pci)
    try:
        with started(nvml) as library:
            return _look(library)
    except Exception as error:  # noqa: BLE001 - pynvml makes its classes of errors at run time
        reason = str(error)
    if not present and not wanted:
        return [Check("driver", "ok", _("no NVIDIA card here: the CPU computes"))]
    if not present:
        found = _("a GPU was asked for, and this machine has none ({reason})")
        fix = _("Use --device cpu, or make nvidia-smi work here; containers need --gpus all.")
        return [Check("driver", "fail", found.format(reason=reason), fix)]
    found = _("there is an NVIDIA card, but its driver does not answer ({reason})").format(
        reason=reason
    )
    if Path("/sys/module/nouveau").exists():
        found = _("there is an NVIDIA card, but nouveau uses it instead of NVIDIA's driver")
    fix = _("Install NVIDIA's driver (on Ubuntu: sudo ubuntu-drivers install) and restart.")
    return [Check("driver", "fail" if wanted else "warn", found, fix)]


def _look(nvml: Any) -> list[Check]:
    driver, cuda = text(nvml.nvmlSystemGetDriverVersion()), nvml.nvmlSystemGetCudaDriverVersion()
    count = nvml.nvmlDeviceGetCount()
    major, minor = cuda // 1000, cuda % 1000 // 10
    if count == 0:
        return [Check("driver", "ok", _("{driver}, without a card").format(driver=driver))]
    checks = [
        Check(
            "driver",
            "ok",
            _("{driver}, CUDA {major}.{minor}").format(driver=driver, major=major, minor=minor),
        ),
        check_cuda_packages(major),
    ]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        found = _("CUDA_VISIBLE_DEVICES={value} hides some of the cards, {count} in all").format(
            value=hidden, count=count
        )
        checks.append(Check("cards", "warn", found, _("Unset it to use every card.")))
    for index in range(count):
        checks.append(_check_card(nvml, index))
    return checks


def check_cuda_packages(driver_major: int) -> Check:
    """Check that numba-cuda is installed and made for a CUDA version that the driver supports."""
    fix = _("Install them: make setup CUDA={major}, or {command}").format(
        major=(major := min(max(driver_major, 12), 13)), command=install_line(f"cuda{major}")
    )
    try:
        compiler, bindings = metadata.version("numba-cuda"), metadata.version("cuda-bindings")
    except metadata.PackageNotFoundError as error:
        found = _("{name} is not installed: no card computes").format(name=error.name)
        return Check("cuda packages", "warn", found, fix)
    found = f"numba-cuda {compiler}, cuda-bindings {bindings}"
    if int(bindings.partition(".")[0]) > driver_major:
        found = _("{found}: newer than the driver's CUDA {major}").format(
            found=found, major=driver_major
        )
        return Check("cuda packages", "fail", found, fix)
    if driver_major < 12:
        return Check(
            "cuda packages", "fail", found, _("Update the NVIDIA driver: CUDA 12 is the least.")
        )
    return Check("cuda packages", "ok", found)


def _check_card(nvml: Any, index: int) -> Check:
    name = f"cuda:{index}"
    try:
        card = nvml.nvmlDeviceGetHandleByIndex(index)
        capability = tuple(nvml.nvmlDeviceGetCudaComputeCapability(card))
        memory = nvml.nvmlDeviceGetMemoryInfo(card)
        heat = nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)
        model = text(nvml.nvmlDeviceGetName(card))
    except Exception as error:  # noqa: BLE001 - as above
        found = _("does not answer: {reason}")
        fix = _("Look for Xid messages in dmesg; restart the machine; check power and cables.")
        return Check(name, "fail", found.format(reason=error), fix)
    found = _("{model}, compute capability {major}.{minor}, {free} of {total} free, {heat} °C")
    found = found.format(
        model=model,
        major=capability[0],
        minor=capability[1],
        free=gibibytes(memory.free),
        total=gibibytes(memory.total),
        heat=heat,
    )
    if capability < LEAST_CAPABILITY:
        return Check(name, "fail", found, _("Too old: 5.0 is the least. Use --device cpu."))
    if errors := _uncorrected_errors(nvml, card):
        found = ngettext(
            "{found}; {count} memory error that ECC could not correct",
            "{found}; {count} memory errors that ECC could not correct",
            errors,
        ).format(found=found, count=errors)
        fix = _("nvidia-smi -q -d ECC shows them; a card whose number grows should be replaced.")
        return Check(name, "warn", found, fix)
    return Check(name, "ok", found, _power_hint(nvml, card, index))


def _power_hint(nvml: Any, card: Any, index: int) -> str:
    """Return what a lower limit of power is good for, where the card runs at its highest."""
    try:
        now, (least, most) = (
            nvml.nvmlDeviceGetPowerManagementLimit(card),
            nvml.nvmlDeviceGetPowerManagementLimitConstraints(card),
        )
    except Exception:  # noqa: BLE001 - not every card has a limit
        return ""
    if now < most or least == most:
        return ""
    told = _(
        "Its power limit is the highest, {watts} W. Less often gives more tasks a joule, which the"
        " page shows: sudo nvidia-smi -i {index} -pl WATTS. Nothing here changes it."
    )
    return told.format(watts=most // 1000, index=index)


def _uncorrected_errors(nvml: Any, card: Any) -> int:
    try:
        return int(
            nvml.nvmlDeviceGetTotalEccErrors(
                card, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
            )
        )
    except Exception:  # noqa: BLE001 - most cards have no ECC
        return 0
