"""The GPU that this process computes on: selected, and asked what it is.

card = Card.select(0)  # its primary context is current now
"""

import importlib.metadata
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Self

from cuda.bindings import driver as cu
from numba import cuda

from kernels.cards import ordinal
from kernels.cuda.driver import check
from kernels.errors import DeviceUnavailable


@dataclass(frozen=True, slots=True)
class Card:
    """What the program needs to know about a GPU."""

    index: int
    name: str
    uuid: str
    capability: tuple[int, int]
    multiprocessors: int
    shared_bytes_a_block: int
    clock_khz: int

    @classmethod
    def select(cls, index: int) -> Self:
        """Make the card's primary context current. Raises DeviceUnavailable."""
        try:
            count = len(cuda.gpus)
            require_driver(driver_version(), importlib.metadata.version("cuda-bindings"))
            if ordinal(index) >= count:
                raise DeviceUnavailable(
                    _("there is no GPU {index}: this machine shows {count}").format(
                        index=index, count=count
                    ),
                    advice=_("nvidia-smi -L lists them; CUDA_VISIBLE_DEVICES may hide some."),
                )
            cuda.select_device(ordinal(index))
        except (cuda.cudadrv.error.CudaSupportError, cuda.cudadrv.driver.CudaAPIError) as error:
            raise DeviceUnavailable(
                _("CUDA cannot start: {value}").format(value=" ".join(str(error).split())[:200]),
                advice=_(
                    "Install the NVIDIA driver (nvidia-smi must work), or use the device cpu."
                ),
            ) from error
        device = check(cu.cuCtxGetDevice())
        attribute = cu.CUdevice_attribute
        return cls(
            index=index,
            name=check(cu.cuDeviceGetName(128, device)).split(b"\0")[0].decode(),
            uuid=bytes(check(cu.cuDeviceGetUuid(device)).bytes).hex(),
            capability=capability(),
            multiprocessors=_ask(attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
            shared_bytes_a_block=_ask(
                attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
            ),
            clock_khz=_ask(attribute.CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        )


def require_driver(driver: int, packages: str) -> None:
    """Raise DeviceUnavailable where the driver is older than the packages' CUDA.

    `driver`: the CUDA version that it can run, 13000 for 13.0; `packages`: version of cuda-bindings.
    """
    wanted = int(packages.partition(".")[0])
    can = f"{driver // 1000}.{driver % 1000 // 10}"
    if driver // 1000 < wanted:
        raise DeviceUnavailable(
            _(
                "the NVIDIA driver can run CUDA {can}, and the installed packages are for"
                " CUDA {wanted}"
            ).format(can=can, wanted=wanted),
            advice=_(
                "Update the driver, or install the packages for it: make setup CUDA={number}."
            ).format(number=driver // 1000),
        )


def _ask(which: Any) -> int:
    """An attribute of the current device."""
    return int(check(cu.cuDeviceGetAttribute(which, check(cu.cuCtxGetDevice()))))


def capability() -> tuple[int, int]:
    attribute = cu.CUdevice_attribute
    return (
        _ask(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
        _ask(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
    )


def driver_version() -> int:
    """The CUDA version that the driver can run, 13000 for 13.0."""
    return int(check(cu.cuDriverGetVersion()))
