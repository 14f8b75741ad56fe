"""The operations that the whole wing's tests share."""

import pytest

from kernels.cpu.operations import CpuOperations
from kernels.operations import REFERENCE, Operations


@pytest.fixture(scope="session")
def fast() -> Operations:
    return CpuOperations()


@pytest.fixture(scope="session", params=["reference", "cpu"])
def operations(request) -> Operations:
    """Each implementation in turn."""
    return REFERENCE if request.param == "reference" else request.getfixturevalue("fast")
