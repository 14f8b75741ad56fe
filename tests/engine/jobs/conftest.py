"""Kinds and a cache for the tests of job kinds."""

import pytest

from engine.jobs.blobs import BlobCache
from engine.jobs.registry import Kinds, load_kinds


@pytest.fixture(scope="session")
def kinds() -> Kinds:
    return load_kinds()


@pytest.fixture
def cache(tmp_path) -> BlobCache:
    return BlobCache(tmp_path / "blobs", max_bytes=1 << 20)
