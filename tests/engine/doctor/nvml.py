"""NVML on machines that a test describes, and their PCI bus."""

# ruff: noqa: N802 - NVML's own names

from types import SimpleNamespace


class NvmlError(Exception):
    pass


class Nvml(SimpleNamespace):
    """NVML as nvidia-ml-py has it, with cards that a test describes."""

    NVML_TEMPERATURE_GPU = 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
    NVML_VOLATILE_ECC = 0

    def __init__(self, cards=(), driver="570.86.15", cuda=12080, broken=""):
        super().__init__(cards=cards, driver=driver, cuda=cuda, broken=broken, ended=0)

    def nvmlInit(self):
        if self.broken:
            raise NvmlError(self.broken)

    def nvmlShutdown(self):
        self.ended += 1

    def nvmlSystemGetDriverVersion(self):
        return self.driver.encode()

    def nvmlSystemGetCudaDriverVersion(self):
        return self.cuda

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        if self.cards[index] is None:
            raise NvmlError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetCudaComputeCapability(self, card):
        return card["capability"]

    def nvmlDeviceGetMemoryInfo(self, card):
        return SimpleNamespace(free=20 << 30, total=24 << 30)

    def nvmlDeviceGetTemperature(self, card, sensor):
        return 41

    def nvmlDeviceGetPowerManagementLimit(self, card):
        return card["watts"][0] * 1000

    def nvmlDeviceGetPowerManagementLimitConstraints(self, card):
        return [watts * 1000 for watts in card["watts"][1:]]

    def nvmlDeviceGetName(self, card):
        return card["name"]

    def nvmlDeviceGetUUID(self, card):
        return f"GPU-{self.cards.index(card)}000"

    def nvmlDeviceGetTotalEccErrors(self, card, kind, since):
        if "ecc" not in card:
            raise NvmlError("Not Supported")
        return card["ecc"]


ADA = {"name": "NVIDIA GeForce RTX 4090", "capability": (8, 9)}
KEPLER = {"name": "Tesla K80", "capability": (3, 7)}
HOPPER = {"name": "NVIDIA H100", "capability": (9, 0), "ecc": 3}


def bus(tmp_path, vendor="0x10de"):
    card = tmp_path / "pci" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text(vendor + "\n")
    (card / "class").write_text("0x030000\n")
    return tmp_path / "pci"
