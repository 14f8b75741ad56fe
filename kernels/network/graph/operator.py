"""What an operator is: a value that knows its output's shape, its cost and how it is computed."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.fields import MAX_RANK, check_fields

if TYPE_CHECKING:
    from kernels.network.graph.backend import Backend

MAX_SIDE = 1 << 20
MAX_ENTRIES = 1 << 28
"""Most entries of a sample's value."""

Values = npt.NDArray[Any]
"""A value of a batch: N x the sample's shape, int8 or int32; N = 1 where it is the same for all."""


@dataclass(frozen=True, slots=True)
class Form:
    """Shape of one sample's value, as in a TFLite file, and bytes of an entry: 1 (int8), 4 (int32)."""

    shape: tuple[int, ...]
    entry_bytes: int = 1

    def __post_init__(self) -> None:
        if len(self.shape) > MAX_RANK or any(not 1 <= side <= MAX_SIDE for side in self.shape):
            raise InvalidNetwork(
                _("a value of {shape} is not possible").format(shape=text(self.shape))
            )
        if self.entries > MAX_ENTRIES:
            raise InvalidNetwork(
                _("a sample between two layers has too many entries: {count}").format(
                    count=self.entries
                )
            )

    @property
    def entries(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.entries * self.entry_bytes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Little-endian."""
        return np.dtype(f"<i{self.entry_bytes}")


class Operator(ABC):
    """One step of a graph. Subclasses are frozen dataclasses; making one checks its fields."""

    __slots__ = ()
    op: ClassVar[str]
    """Its name in a file."""
    least_inputs: ClassVar[int] = 1
    most_inputs: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        self.check()

    def check(self) -> None:
        """Raise InvalidNetwork where the fields contradict one another."""
        return

    @abstractmethod
    def output(self, *inputs: Form) -> Form:
        """Return the output's form. Raise InvalidNetwork for inputs that do not fit."""

    def cost(self, *inputs: Form) -> int:
        """Return multiply-adds, or entries touched, for one sample."""
        return self.output(*inputs).entries

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return the memory for one sample besides inputs and output."""
        return 16 * self.output(*inputs).entries

    @abstractmethod
    def run(self, do: "Backend", *inputs: Values) -> Values:
        """Compute the output of a batch."""


def text(shape: tuple[int, ...]) -> str:
    """Return a shape for a message."""
    return " x ".join(map(str, shape)) or "1"


def require(condition: bool, message: str) -> None:
    """Raise InvalidNetwork with the message unless the condition holds."""
    if not condition:
        raise InvalidNetwork(message)


def require_bytes(form: Form, what: str) -> None:
    """Raise InvalidNetwork unless the entries are int8."""
    if form.entry_bytes != 1:
        raise InvalidNetwork(_("{what} takes int8").format(what=what))


def require_image(form: Form, what: str) -> tuple[int, int, int, int]:
    """Return batch, height, width, channels of an int8 image."""
    require_bytes(form, what)
    if len(form.shape) != 4:
        raise InvalidNetwork(
            _("{what} takes batch, height, width and channels, and gets {shape}").format(
                what=what, shape=text(form.shape)
            )
        )
    batch, height, width, channels = form.shape
    return batch, height, width, channels
