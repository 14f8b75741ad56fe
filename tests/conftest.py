"""Fixtures that every wing's tests share."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

# Before numpy is imported: tests run side by side, and BLAS's threads wait for each other by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from kernels.private_path import exposure
from tests.processes import adopt_orphans, end_leftovers, own_children, ticks

if TYPE_CHECKING:
    from kernels.device import Device

# How long an example takes beside other tests says nothing.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

GRACE_SECONDS = 20.0
"""For processes that a test has ended and that are not gone yet."""
VECTORS = Path(__file__).parent / "vectors"


def load_vectors(name: str) -> Any:
    """The copied test vectors `name`.json (from the chain's own node and the task's specification)."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def vectors() -> Any:
    """`vectors("keys")` gives the parsed content of tests/vectors/keys.json."""
    return load_vectors


@pytest.fixture(scope="session")
def cpu() -> "Iterator[Device]":
    """The CPU's device. Imported here, and not before: most wings' tests need no kernels."""
    from kernels.devices import open_device

    with open_device("cpu", threads=2) as device:
        yield device


@pytest.fixture(scope="session")
def reference() -> "Iterator[Device]":
    """The device that computes in plain numpy."""
    from kernels.devices import open_device

    with open_device("reference") as device:
        yield device


def pytest_configure(config: pytest.Config) -> None:
    """Let this process, pytest's workers and every child keep and find what is costly to make.

    Machine code for this CPU: tests with a HOME of their own would compile it again. Bytecode, also
    where PYTHONDONTWRITEBYTECODE is set: tests are collected in half of the time then, and each process
    that they start has less to compile. Files that tests write stand for what the program and its users
    make: for this user alone.
    """
    os.umask(0o077)
    kept = config.cache.mkdir("cpc-engine")
    if exposure(kept):  # a checkout of another user, as some CI has it: nothing is kept there
        kept = Path(tempfile.gettempdir()) / f"cpc-engine-tests-{os.getuid()}"
        kept.mkdir(mode=0o700, exist_ok=True)
    os.environ["CPC_CACHE"] = str(kept)
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """Fail a test after which a process still runs that it, or something that it started, started.

    Shared fixtures of a wider scope are set up before this one, so what they started may stay.
    """
    adopt_orphans()
    since, before = ticks(), own_children()
    yield
    left = end_leftovers(before, since, grace=GRACE_SECONDS)
    assert left == [], "processes left over"


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long is slow, too; what takes minutes begins first, beside everything else."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
