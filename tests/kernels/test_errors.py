"""Every error of this wing is in one tree, drawn at the top of its file, and says what to do."""

import importlib
import pkgutil

import kernels
from kernels import errors


def test_every_error_is_in_the_tree_and_has_advice():
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert all(issubclass(kind, errors.KernelError) for kind in classes.values())
    assert all(name in errors.__doc__ for name in classes)
    assert all(kind.advice for kind in classes.values() if kind is not errors.KernelError)


def test_there_is_no_other():
    for module in pkgutil.walk_packages(kernels.__path__, "kernels."):
        if not module.name.startswith("kernels.cuda"):  # needs the CUDA packages
            for kind in vars(importlib.import_module(module.name)).values():
                if isinstance(kind, type) and issubclass(kind, errors.KernelError):
                    assert kind.__module__ == "kernels.errors"
