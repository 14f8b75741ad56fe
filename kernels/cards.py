"""Number the GPUs by UUID once, and leave each child process its own GPU only.

    number_cards()      # in the parent, before it starts children
    pin("cuda:1")       # in the child, before CUDA starts there

CUDA and nvidia-smi may number GPUs in different orders, and a GPU that falls off the bus shifts the
numbers of those behind it: a child restarted by number could then share its neighbour's GPU. So the
parent writes UUIDs into CUDA_VISIBLE_DEVICES, which its children inherit, and a child keeps one of
them. NVML creates no CUDA context, so the parent may use it.
"""

import importlib
import os
from contextlib import suppress
from typing import Any

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_UUIDS = ("GPU-", "MIG-")
_pinned: int | None = None


def number_cards() -> None:
    """Put UUIDs in the place of numbers in CUDA_VISIBLE_DEVICES, all cards where it is not set.

    Without NVML, or where it does not know a card that is named, nothing is changed.
    """
    # A number means NVML's, which is the order on the bus, unless the operator decided.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    named = visible_cards()
    if named is not None and all(name.startswith(_UUIDS) for name in named):
        return
    uuids = _uuids()
    if not uuids or os.environ["CUDA_DEVICE_ORDER"] != "PCI_BUS_ID":
        return
    if named is None:
        os.environ[_VISIBLE] = ",".join(uuids)
        return
    chosen = [_uuid_of(name, uuids) for name in named]
    if all(chosen):
        os.environ[_VISIBLE] = ",".join(chosen)


def visible_cards() -> list[str] | None:
    """The names in CUDA_VISIBLE_DEVICES, cuda:0 first; None where it is not set."""
    visible = os.environ.get(_VISIBLE)
    if visible is None:
        return None
    return [name.strip() for name in visible.split(",") if name.strip()]


def pin(device: str) -> None:
    """Hide every GPU but that of the device "cuda:N" from this process. Call it before CUDA starts.

    For other devices, and for a number beyond the cards, nothing is changed.
    """
    global _pinned
    named = visible_cards()
    if not device.startswith("cuda") or named is None:
        return
    index = int(device.partition(":")[2] or 0)
    if index < len(named):
        os.environ[_VISIBLE] = named[index]
        _pinned = index


def card_of(device: str) -> str | None:
    """Return a name that two devices share if they are one card; None for what is no card.

    As far as can be told: a card may be visible twice, and slices (MIG) do not say whose they are, so
    that all count as one.
    """
    if not device.startswith("cuda"):
        return None
    index = int(device.partition(":")[2] or 0)
    named = visible_cards() or []
    name = named[index] if index < len(named) else str(index)
    return "MIG" if name.startswith("MIG-") else name


def ordinal(index: int) -> int:
    """CUDA's number, in this process, of the device cuda:`index`."""
    return 0 if index == _pinned else index


def _uuids() -> list[str]:
    """Every card's UUID in the order on the bus, or nothing."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # noqa: BLE001 - pynvml makes its classes of errors at run time
        return []
    found: list[str] = []
    with suppress(Exception):
        for index in range(nvml.nvmlDeviceGetCount()):
            uuid = nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index))
            found.append(uuid.decode() if isinstance(uuid, bytes) else uuid)
    nvml.nvmlShutdown()
    return found


def _uuid_of(name: str, uuids: list[str]) -> str:
    """The UUID of a card by number, UUID or the beginning of one; "" for none."""
    if name.isdecimal():
        return uuids[int(name)] if int(name) < len(uuids) else ""
    if name.startswith("MIG-"):
        return name
    fitting = [uuid for uuid in uuids if uuid.startswith(name)]
    return fitting[0] if len(fitting) == 1 else ""
