"""The examples in the docstrings run, the package's own first: a block and a transfer in five lines.

Those of the devnet are in devnet/test_server.py.
"""

import doctest
import importlib
import pkgutil

import pytest

import node_client

NAMES = [module.name for module in pkgutil.iter_modules(node_client.__path__, "node_client.")]


def test_a_block_and_a_transaction_in_five_lines() -> None:
    done = doctest.testmod(node_client)
    assert done.failed == 0
    assert done.attempted > 5


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
