"""Fixtures that every wing's tests share."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent / "vectors"


def load_vectors(name: str) -> Any:
    """The copied test vectors `name`.json (from the chain's own node and the task's specification)."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def vectors() -> Any:
    """`vectors("keys")` gives the parsed content of tests/vectors/keys.json."""
    return load_vectors


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, beside everything else."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)
