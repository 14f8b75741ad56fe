"""A machine with NVIDIA cards, as far as NVML tells of it: `pynvml`'s functions, replaced."""

import os
from types import SimpleNamespace

import pynvml

REPLACED = (
    "nvmlInit",
    "nvmlShutdown",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetDeviceHandleFromMigDeviceHandle",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetName",
    "nvmlDeviceGetTemperature",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetFanSpeed",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetTotalEccErrors",
    "nvmlDeviceGetSupportedEventTypes",
    "nvmlDeviceRegisterEvents",
    "nvmlEventSetCreate",
    "nvmlEventSetFree",
    "nvmlEventSetWait_v2",
)


class Card:
    """One card; change its fields and NVML says so. None: this card lacks the sensor."""

    def __init__(self, index):
        self.uuid = f"GPU-{index}234abcd-0000-0000-0000-000000000000"
        self.temperature = 60
        self.power = 250_000
        self.fan = None
        self.ecc = 0
        self.events = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError


class Machine:
    """Install it with pytest's monkeypatch."""

    def __init__(self, monkeypatch, cards=1, mig=()):
        self.cards = [Card(index) for index in range(cards)]
        self.mig = dict(mig)
        self.told = []
        self.lost = False
        self.opened = 0
        for name in REPLACED:
            monkeypatch.setattr(pynvml, name, getattr(self, name))
        for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
            monkeypatch.setenv(name, "")  # so that it is put back afterwards
            del os.environ[name]

    def tell(self, card, kind, data=0):
        self.told.append(SimpleNamespace(device=card, eventType=kind, eventData=data))

    def xid(self, card, number):
        self.tell(card, pynvml.nvmlEventTypeXidCriticalError, number)

    def nvmlInit(self):  # noqa: N802
        if not self.cards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        self.opened += 1

    def nvmlShutdown(self):  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        if index >= len(self.cards):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        for card in self.cards:
            if card.uuid == uuid:
                return card
        if uuid in self.mig:
            return uuid
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, part):  # noqa: N802
        return self.cards[self.mig[part]]

    def nvmlDeviceGetUUID(self, card):  # noqa: N802
        return card.uuid

    def nvmlDeviceGetName(self, card):  # noqa: N802
        return f"NVIDIA Test Card {self.cards.index(card)}"

    def nvmlDeviceGetTemperature(self, card, _sensor):  # noqa: N802
        value = card.temperature() if callable(card.temperature) else card.temperature
        return _known(value)

    def nvmlDeviceGetPowerUsage(self, card):  # noqa: N802
        return _known(card.power)

    def nvmlDeviceGetEnforcedPowerLimit(self, _card):  # noqa: N802
        return 450_000

    def nvmlDeviceGetTotalEnergyConsumption(self, _card):  # noqa: N802
        return 5_000_000

    def nvmlDeviceGetMemoryInfo(self, _card):  # noqa: N802
        return SimpleNamespace(used=2**31, total=24 * 2**30)

    def nvmlDeviceGetUtilizationRates(self, _card):  # noqa: N802
        return SimpleNamespace(gpu=75, memory=10)

    def nvmlDeviceGetClockInfo(self, _card, _kind):  # noqa: N802
        return 2520

    def nvmlDeviceGetFanSpeed(self, card):  # noqa: N802
        return _known(card.fan)

    def nvmlDeviceGetTotalEccErrors(self, card, _kind, _counter):  # noqa: N802
        return _known(card.ecc)

    def nvmlDeviceGetSupportedEventTypes(self, card):  # noqa: N802
        return card.events

    def nvmlDeviceRegisterEvents(self, card, events, _set):  # noqa: N802
        if events & ~card.events:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlEventSetCreate(self):  # noqa: N802
        return "events"

    def nvmlEventSetFree(self, _set):  # noqa: N802
        return None

    def nvmlEventSetWait_v2(self, _set, _milliseconds):  # noqa: N802
        if self.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        if not self.told:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return self.told.pop(0)


def _known(value):
    if value is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return value
