"""The two devices that the whole wing's tests share."""

from collections.abc import Iterator

import pytest

from kernels.device import Device
from kernels.devices import open_device


@pytest.fixture(scope="session")
def cpu() -> Iterator[Device]:
    with open_device("cpu", threads=2) as device:
        yield device


@pytest.fixture(scope="session")
def reference() -> Iterator[Device]:
    with open_device("reference") as device:
        yield device
