"""Devices, kinds and a cache for the tests of job kinds."""

from collections.abc import Iterator

import pytest

from engine.jobs.blobs import BlobCache
from engine.jobs.registry import Kinds, load_kinds
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


@pytest.fixture(scope="session")
def kinds() -> Kinds:
    return load_kinds()


@pytest.fixture
def cache(tmp_path) -> BlobCache:
    return BlobCache(tmp_path / "blobs", max_bytes=1 << 20)
