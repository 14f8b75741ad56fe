"""The examples in the docstrings run, the package's own first: a task in five lines."""

import doctest
import importlib
import pkgutil

import pytest

import kernels

NAMES = [
    module.name
    for module in pkgutil.walk_packages(kernels.__path__, "kernels.")
    if not module.name.startswith("kernels.cuda")  # needs the CUDA packages
]


def test_a_task_in_five_lines():
    done = doctest.testmod(kernels)
    assert done.failed == 0
    assert done.attempted > 5


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
