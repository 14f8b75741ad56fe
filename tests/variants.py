"""Parameters of one test: some run in `make test`, others in `make test-all` or `make test-long`."""

from typing import Any

import pytest


def quick_and_slow(quick: list[Any], slow: list[Any]) -> list[Any]:
    """Return the parameters for `parametrize`; a tuple of several stands for one call."""
    return [*quick, *(pytest.param(*_values(one), marks=pytest.mark.slow) for one in slow)]


def seeds(first: int = 0) -> list[Any]:
    """Return ranges for `parametrize`: up to 100 for `test-all`, from there to 1000 for `test-long`."""
    return [
        pytest.param(range(first, 100), marks=pytest.mark.slow, id="hundred"),
        pytest.param(range(100, 1000), marks=pytest.mark.long, id="thousand"),
    ]


def _values(parameters: Any) -> tuple[Any, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)
