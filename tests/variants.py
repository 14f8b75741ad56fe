"""Parameters of one test: some run in `make test`, the others of the same kind in `make test-all`."""

from typing import Any

import pytest


def quick_and_slow(quick: list[Any], slow: list[Any]) -> list[Any]:
    """Return the parameters for `parametrize`; a tuple of several stands for one call."""
    return [*quick, *(pytest.param(*_values(one), marks=pytest.mark.slow) for one in slow)]


def _values(parameters: Any) -> tuple[Any, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)
