"""The launches that hash R of a task, and the buffers that they share.

    for launch in plan(n):
        launch.kernel[launch.grid, launch.threads, stream](*launch.bind(addresses))

Nothing is allocated and nothing waits, so a stream can capture them. Their order is the stream's.
All arguments are int64: numbers, or the addresses of these buffers, which start at multiples of 16:

* `r`: R, n x n, in A's tiles (`layout.py`), P * P bytes;
* `tree`: `tree_bytes(n)`; level l begins at `level_offsets(leaves)[l]`, the leaves at 0. A digest is
  eight words, the values of SHA-256's words (`digest_bytes` gives bytes);
* `root`: the 32 bytes of the root, here as they are; may be pinned host memory;
* `tables`: a copy of `TABLES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernels.commit.tree import level_sizes
from kernels.cuda.commit.leaf_tree import leaf_tree_kernel
from kernels.cuda.commit.leaves import leaves_kernel
from kernels.cuda.commit.sha256 import TABLES, digest_bytes
from kernels.cuda.commit.tree import MOST_LANES, reduce_kernel, two_levels_kernel
from kernels.cuda.layout import TILE, padded
from kernels.digest import DIGEST_BYTES
from kernels.task import LEAF_BYTES

THREADS = 128


@dataclass(frozen=True)
class Launch:
    """A kernel, its grid and threads a block, and its arguments: numbers, or names of buffers."""

    kernel: Any
    grid: tuple[int, ...]
    threads: int
    arguments: tuple[int | str, ...]

    def bind(self, buffers: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments, with each buffer's address in place of its name."""
        return tuple(
            buffers[value] if isinstance(value, str) else value for value in self.arguments
        )


def leaf_count(n: int) -> int:
    """Leaves of an n x n result."""
    return n * -(-n // LEAF_BYTES)


def level_offsets(leaves: int) -> list[int]:
    """Where each level of the tree begins in its buffer, in bytes; the leaves' first."""
    offsets = [0]
    for size in level_sizes(leaves)[:-1]:
        offsets.append(offsets[-1] + DIGEST_BYTES * size)
    return offsets


def tree_bytes(n: int) -> int:
    """Size of the tree's buffer."""
    return DIGEST_BYTES * sum(level_sizes(leaf_count(n)))


def plan(n: int, *, threads: int = THREADS, lanes: int = MOST_LANES) -> list[Launch]:
    """What hashes an n x n result, in order. The two sizes are smaller in the simulator only."""
    leaves = leaf_count(n)
    if leaves <= 2 * lanes * lanes:
        tiles, grid = padded(n) // TILE, -(-leaves // lanes)
        arguments = ("r", "tree", n, leaves, tiles, "root", "tables", 1)
        small = Launch(leaf_tree_kernel, (grid,), 2 * lanes, arguments)
        level = lanes.bit_length() - 1
        above = plan_tree(leaves, level=level, threads=threads, lanes=lanes) if grid > 1 else []
        return [small, *above]
    return [
        plan_leaves(n, threads=threads),
        *plan_tree(leaves, threads=threads, lanes=lanes),
    ]


def plan_leaves(n: int, *, threads: int = THREADS) -> Launch:
    """The launch that hashes the leaves."""
    grid = (-(-n // threads), -(-n // LEAF_BYTES))
    arguments = ("r", "tree", n, n, padded(n) // TILE, "tables", 1)
    return Launch(leaves_kernel, grid, threads, arguments)


def plan_tree(
    leaves: int, *, level: int = 0, threads: int = THREADS, lanes: int = MOST_LANES
) -> list[Launch]:
    """The launches that make the tree above `level`, at first from its leaves' digests."""
    launches = []
    sizes, offsets = level_sizes(leaves), level_offsets(leaves)
    share = 2 * lanes  # nodes that a block of the reduction takes, without its two wider levels
    while sizes[level] > 4 * share * share:
        grid = (-(-sizes[level + 2] // threads),)
        arguments = ("tree", offsets[level], sizes[level], "tables", 1)
        launches.append(Launch(two_levels_kernel, grid, threads, arguments))
        level += 2
    while True:
        quads = int(sizes[level] > share * share)
        nodes = share << 2 * quads
        grid = (-(-sizes[level] // nodes),)
        reduced = ("tree", offsets[level], sizes[level], quads, "root", "tables", 1)
        launches.append(Launch(reduce_kernel, grid, share, reduced))
        if sizes[level] <= nodes:
            return launches
        level += nodes.bit_length() - 1


__all__ = [
    "TABLES",
    "Launch",
    "digest_bytes",
    "leaf_count",
    "level_offsets",
    "plan",
    "plan_leaves",
    "plan_tree",
    "tree_bytes",
]
