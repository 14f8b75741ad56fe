"""How a kernel of a network is declared: what its arguments are, once, for card, simulator and CI.

    @network_kernel("i1[]", "i1[]", "n")
    def negate(x, out, count):
        for i in range(first(), count, step()):
            out[i] = -x[i]

Plain numba.cuda, but for what `words.py` has: "i1[]" is a flat array of int8 (also i4, i8), "w" memory
for `intrinsics.load4` and its like (an address, or words in the simulator), "n" a number (int64). Every
kernel goes over its entries with `range(first(), count, step())`, so that any grid does, one thread of
the simulator's, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernels.cuda.compiler import SIMULATED, cuda, int64, types

NUMBER, WORDS = "n", "w"
_ENTRIES = {"i1[]": types.int8, "i4[]": types.int32, "i8[]": types.int64}


@dataclass(frozen=True, slots=True)
class NetworkKernel:
    """A kernel with its name and its arguments' kinds."""

    name: str
    kernel: Any
    kinds: tuple[str, ...]

    @property
    def signature(self) -> tuple[Any, ...]:
        """Numba's types of the arguments."""
        return tuple(
            types.Array(_ENTRIES[kind], 1, "C") if kind in _ENTRIES else types.int64
            for kind in self.kinds
        )


KERNELS: dict[str, NetworkKernel] = {}
"""All of them by name: for the compiler's check in CI, and for tests of each."""


def network_kernel(
    *kinds: str, name: str | None = None
) -> Callable[[Callable[..., None]], NetworkKernel]:
    """Declare a kernel with arguments of these kinds; its name is the function's unless given."""

    def declare(function: Callable[..., None]) -> NetworkKernel:
        made = NetworkKernel(name or function.__name__, cuda.jit(function), kinds)
        KERNELS[made.name] = made
        return made

    return declare


def device(function: Callable[..., Any]) -> Any:
    """Make a function that kernels call; under the simulator it is itself, which is far quicker."""
    return function if SIMULATED else cuda.jit(device=True)(function)


@cuda.jit(device=True)
def first() -> Any:
    """Return this thread's first entry."""
    return int64(cuda.grid(1))


@cuda.jit(device=True)
def step() -> Any:
    """Return how many threads there are: the distance of a thread's entries."""
    return int64(cuda.gridsize(1))
