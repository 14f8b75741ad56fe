"""How a product kernel is described and launched: its grid, its threads, and which tile a block takes.

A tier builds a `KernelSpec`; `kernel_cache.py` compiles it. Nothing here emits assembly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernels.cuda.compiler import SIMULATED, cuda, int32
from kernels.cuda.intrinsics import unsigned_divide


@dataclass(frozen=True)
class KernelSpec:
    """A product kernel and how it is launched.

    C, M x N, is A, M x K, times the transpose of B, N x K; all three are padded sizes, multiples of
    256. The kernel's arguments, all int64: a, b, out, weights, sums (buffers), M, N, K; and where
    it `leaves` (hashes R's leaves beside the product) also tree, n, tables and 1, as
    `commit.leaves` takes them. `shared_bytes` is dynamic shared memory. `grid(M, N,
    multiprocessors)` is the launch's grid.
    """

    kernel: Any
    threads: int
    shared_bytes: int
    grid: Callable[[int, int, int], tuple[int, ...]]
    cluster: int = 1
    """Blocks a cluster (Hopper); the grid is a multiple of it."""
    leaves: bool = False
    early: bool = False
    """It can be launched before the kernel before it has ended (`CompiledKernel`)."""

    @property
    def arguments(self) -> int:
        """How many the kernel takes."""
        return 12 if self.leaves else 8


def jit(threads: int, blocks: int = 1) -> Any:
    """cuda.jit for kernels with this many threads, `blocks` of which share a multiprocessor.

    The compiler gives a thread the registers that this leaves it. (The simulator knows no such thing.)
    """
    return cuda.jit if SIMULATED else cuda.jit(launch_bounds=(threads, blocks))


def grid_of_blocks(rows: int, columns: int) -> Callable[[int, int, int], tuple[int, ...]]:
    """One block of threads for every `rows` x `columns` of C, in one dimension (see `raster`)."""
    return lambda M, N, _multiprocessors: ((M // rows) * (N // columns),)


@cuda.jit(device=True)
def raster(number: Any, rows: Any, columns: Any, group: Any) -> Any:
    """Row and column of tile `number`, where the product has `rows` x `columns` tiles.

    Tiles are counted down the columns of a band of `group` rows, then in the next band: those that
    are computed at the same time lie together and share their operands in the L2 cache.
    """
    in_band = int32(group * columns)
    band = unsigned_divide(number, in_band)
    within = int32(number - band * in_band)
    height = min(int32(rows - band * group), int32(group))
    column = unsigned_divide(within, height)
    return int32(band * group + within - column * height), column
