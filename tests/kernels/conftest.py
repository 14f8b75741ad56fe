"""The devices and operations that the whole wing's tests share."""

from collections.abc import Iterator

import pytest

from kernels.cpu.operations import CpuOperations
from kernels.device import Device
from kernels.devices import open_device
from kernels.operations import REFERENCE, Operations


@pytest.fixture(scope="session")
def cpu() -> Iterator[Device]:
    with open_device("cpu", threads=2) as device:
        yield device


@pytest.fixture(scope="session")
def reference() -> Iterator[Device]:
    with open_device("reference") as device:
        yield device


@pytest.fixture(scope="session")
def fast() -> Operations:
    return CpuOperations()


@pytest.fixture(scope="session", params=["reference", "cpu"])
def operations(request) -> Operations:
    """Each implementation in turn."""
    return REFERENCE if request.param == "reference" else request.getfixturevalue("fast")
