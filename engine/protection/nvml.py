"""Reads NVIDIA cards through NVML: sensors, ECC counts, Xid events. Sets nothing.

    with Cards.open(["cuda:0", "cpu"]) as cards:
        cards.read()    # {"cuda:0": Reading(name="NVIDIA ...", temperature=61.0, ...)}
        cards.faults()  # what the driver told of since

NVML makes no CUDA context, so that the parent may use it. Where there is no driver, no card, or a
card that lacks a sensor, that part is silent: an unknown temperature does not stop the engine.

Which card is cuda:N, `kernels/cards.py` decides, for the children and for this file alike.
"""

import os
from collections.abc import Callable, Iterable
from gettext import gettext as _
from typing import Any, Self

import pynvml

from engine.monitor.events.protection import Reading
from engine.protection.readings import DriverFault
from engine.protection.xid import needs_reset
from engine.runtime.closing import Closing
from kernels.cards import number_cards, visible_cards

_EVENTS = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError


class Cards(Closing):
    """The cards behind some of the devices. Not thread-safe."""

    def __init__(self, handles: dict[str, Any]) -> None:
        self._handles = handles
        self._ecc = {device: _uncorrected(handle) for device, handle in handles.items()}
        self._names = {device: _ask(_name, handle) or "" for device, handle in handles.items()}
        self._events = self._register()

    @classmethod
    def open(cls, devices: Iterable[str]) -> Self:
        """Find the cards of the devices cuda:N. None is found where NVML does not work."""
        wanted = [device for device in devices if device.startswith("cuda:")]
        if not wanted:
            return cls({})
        number_cards()
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return cls({})
        handles = {}
        for device in wanted:
            handle = _ask(_handle_of, int(device.removeprefix("cuda:")))
            if handle is not None:
                handles[device] = handle
        if not handles:
            pynvml.nvmlShutdown()
        return cls(handles)

    def close(self) -> None:
        """Release the driver. It may be called twice."""
        if self._handles:
            self._handles = {}
            if self._events is not None:
                _ask(pynvml.nvmlEventSetFree, self._events)
            _ask(pynvml.nvmlShutdown)

    def read(self) -> dict[str, Reading]:
        """Every card's sensors."""
        return {
            device: _read(self._names[device], handle) for device, handle in self._handles.items()
        }

    def faults(self) -> list[DriverFault]:
        """What the driver told of since the last call, and errors that it counted since."""
        faults: list[DriverFault] = []
        while self._events is not None:
            try:
                event = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError_Timeout:
                break
            except pynvml.NVMLError as error:  # the driver is gone, or tells nothing here
                self._events = None
                message = _("the driver tells of no more errors: {error}").format(error=error)
                faults += [DriverFault(device, message, fatal=False) for device in self._handles]
                break
            faults += self._fault_of(event)
        return faults + self._count_ecc()

    def _register(self) -> Any:
        if not self._handles:
            return None
        events = _ask(pynvml.nvmlEventSetCreate)
        registered = False
        for handle in self._handles.values():
            supported = _ask(pynvml.nvmlDeviceGetSupportedEventTypes, handle) or 0
            if supported & _EVENTS and events is not None:
                try:
                    pynvml.nvmlDeviceRegisterEvents(handle, supported & _EVENTS, events)
                except pynvml.NVMLError:
                    continue
                registered = True
        return events if registered else None

    def _fault_of(self, event: Any) -> list[DriverFault]:
        uuid = _ask(pynvml.nvmlDeviceGetUUID, event.device)
        for device, handle in self._handles.items():
            if uuid is not None and _ask(pynvml.nvmlDeviceGetUUID, handle) != uuid:
                continue
            if uuid is None and len(self._handles) > 1:
                continue  # a card fallen off the bus cannot say which it is; its child will
            if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                return [xid_fault(device, event.eventData)]
            return [DriverFault(device, _("a double bit ECC error in its memory"), fatal=True)]
        return []

    def _count_ecc(self) -> list[DriverFault]:
        faults = []
        for device, handle in self._handles.items():
            before, now = self._ecc[device], _uncorrected(handle)
            if before is not None and now is not None and now > before:
                message = _("uncorrected ECC errors in its memory: {count}")
                faults.append(DriverFault(device, message.format(count=now - before), fatal=True))
            if now is not None:
                self._ecc[device] = now
        return faults


def xid_fault(device: str, number: int) -> DriverFault:
    """What an Xid means for its device."""
    wrong = needs_reset(number)
    if wrong is None:
        return DriverFault(
            device, _("the driver reported Xid {number}").format(number=number), False
        )
    message = _("Xid {number}: {wrong}; the card needs a reset")
    return DriverFault(device, message.format(number=number, wrong=wrong), True)


def _handle_of(index: int) -> Any:
    """NVML's handle of the device cuda:`index`, None where it is not known which card that is."""
    named = visible_cards()
    if named is None:
        return pynvml.nvmlDeviceGetHandleByIndex(index) if _counts_like_cuda() else None
    if index >= len(named):
        return None
    name = named[index]
    if name.isdecimal():
        return pynvml.nvmlDeviceGetHandleByIndex(int(name)) if _counts_like_cuda() else None
    handle = pynvml.nvmlDeviceGetHandleByUUID(name)
    if name.startswith("MIG-"):
        return pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
    return handle


def _counts_like_cuda() -> bool:
    return pynvml.nvmlDeviceGetCount() == 1 or os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def _read(name: str, handle: Any) -> Reading:
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    utilization = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    return Reading(
        name=name,
        temperature=_scaled(
            _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU), 1.0
        ),
        power=_scaled(_ask(pynvml.nvmlDeviceGetPowerUsage, handle), 1e-3),
        power_limit=_scaled(_ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle), 1e-3),
        energy=_scaled(_ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle), 1e-3),
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        utilization=None if utilization is None else utilization.gpu / 100,
        fan=_scaled(_ask(pynvml.nvmlDeviceGetFanSpeed, handle), 0.01),
        clock=_scaled(_ask(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM), 1e6),
    )


def _name(handle: Any) -> str:
    name = pynvml.nvmlDeviceGetName(handle)
    return name.decode() if isinstance(name, bytes) else str(name)


def _uncorrected(handle: Any) -> int | None:
    count = _ask(
        pynvml.nvmlDeviceGetTotalEccErrors,
        handle,
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        pynvml.NVML_VOLATILE_ECC,
    )
    return None if count is None else int(count)


def _ask(question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, None where this card or driver has none."""
    try:
        return question(*arguments)
    except pynvml.NVMLError:
        return None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
