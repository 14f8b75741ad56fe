"""What an operator's fields may hold, declared beside them: checked once, for files and for code.

    @dataclass(frozen=True, slots=True, eq=False)
    class Pad(Operator):
        before: tuple[int, ...] = numbers(0, MAX_SIDE)
        value: int = number(-128, 127)

The same declarations write an operator into a file and read it back (file.py).
"""

from dataclasses import Field, dataclass, field, fields
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import InvalidNetwork
from kernels.network.safetensors import Tensor

MAX_RANK = 6
_KEY = "holds"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """As many whole numbers as `count` says; None: up to MAX_RANK."""

    least: int
    most: int
    count: int | None


@dataclass(frozen=True, slots=True)
class Array:
    """A tensor of this type ("i1", "u1", "i4", "i8") and rank; None: any rank up to MAX_RANK."""

    dtype: str
    rank: int | None


def number(least: int, most: int) -> Any:
    """Declare a whole number."""
    return field(metadata={_KEY: Number(least, most)})


def numbers(least: int, most: int, count: int | None = None) -> Any:
    """Declare whole numbers, a tuple."""
    return field(metadata={_KEY: Numbers(least, most, count)})


def array(dtype: str, rank: int | None = 1) -> Any:
    """Declare a tensor."""
    return field(metadata={_KEY: Array(dtype, rank)})


def declared(kind: type[Any]) -> list[tuple[Field[Any], Number | Numbers | Array]]:
    """Return an operator's fields with what they may hold."""
    return [(part, part.metadata[_KEY]) for part in fields(kind) if _KEY in part.metadata]


def check_fields(value: Any) -> None:
    """Raise InvalidNetwork where a field holds something else than declared."""
    for part, holds in declared(type(value)):
        given = getattr(value, part.name)
        match holds:
            case Number(least, most):
                _check_numbers(part.name, (given,), least, most)
            case Numbers(least, most, count):
                if (
                    not isinstance(given, tuple)
                    or len(given) > MAX_RANK
                    or len(given) != (len(given) if count is None else count)
                ):
                    raise InvalidNetwork(
                        _("{name} must be a list of {lengths} numbers").format(
                            name=part.name, lengths=count or f"0-{MAX_RANK}"
                        )
                    )
                _check_numbers(part.name, given, least, most)
            case Array(dtype, rank):
                _check_array(part.name, given, dtype, rank)


def _check_numbers(name: str, given: tuple[object, ...], least: int, most: int) -> None:
    for one in given:
        if type(one) is not int or not least <= one <= most:
            raise InvalidNetwork(
                _("{name} must be whole numbers from {least} to {most}").format(
                    name=name, least=least, most=most
                )
            )


def _check_array(name: str, given: object, dtype: str, rank: int | None) -> None:
    if (
        not isinstance(given, np.ndarray)
        or given.dtype.newbyteorder("<") != np.dtype(f"<{dtype}")
        or given.ndim != (given.ndim if rank is None else rank)
        or not 1 <= given.ndim <= MAX_RANK
        or given.size == 0
    ):
        raise InvalidNetwork(
            _("the tensor {name} has the wrong type or number of dimensions").format(name=name)
        )


__all__ = [
    "MAX_RANK",
    "Array",
    "Number",
    "Numbers",
    "Tensor",
    "array",
    "check_fields",
    "declared",
    "number",
    "numbers",
]
