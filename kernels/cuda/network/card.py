"""The driver's machine: memory of the card, launches on one stream, the product of the card's tier.

`trial.py` decides on each card whether it may be used.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cuda import check as freivalds
from kernels.cuda import pack
from kernels.cuda.card import Card
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer, Graph, Stream, free_memory
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.layout import TILE, padded
from kernels.cuda.network import verdicts
from kernels.cuda.network.kernel import NUMBER, WORDS, NetworkKernel
from kernels.cuda.network.machine import (
    Array,
    Block,
    CannotRecord,
    CardSums,
    Machine,
    Recording,
    Right,
)
from kernels.cuda.network.memory import CardMemory, Pool
from kernels.cuda.philox import words_of
from kernels.cuda.pinned import WORTH, WORTH_SENDING, PinnedRing
from kernels.cuda.product.tiers import TileConfig
from kernels.errors import DeviceFault, TaskTooLarge

THREADS = 256
BLOCKS_A_PROCESSOR = 16
MOST_TILES_DOWN = 65_535
"""Blocks of a grid along y (CUDA C++ Programming Guide, "Technical Specifications")."""
MOST_ENTRIES = (1 << 31) - 1
"""That a kernel takes at a time: it divides their numbers as 32-bit words."""
_VERDICTS = 1024
_RESERVE = 512 * 2**20
_ITEM_BYTES = {"i1[]": 1, "i4[]": 4, "i8[]": 8}


class CardRecording(Recording):
    """A graph of launches, the memory that they use, and of each product how many sums it checks."""

    def __init__(self, machine: "CardMachine", pool: Pool, graph: Graph, sums: list[int]) -> None:
        self._machine, self._pool, self._graph, self._sums = machine, pool, graph, sums

    def replay(self) -> None:
        """Launch the graph. Raises DeviceFault."""
        self._machine.launch_graph(self._graph, self._sums)

    def __del__(self) -> None:
        self._machine.forget(self._graph, self._pool)


class CardRight(Right):
    """B in tiles, the check's random weights for its rows, and B weighted by them."""

    def __init__(self, machine: "CardMachine", rows: Array) -> None:
        self.n, self.k = rows.shape
        self.N, self.K = padded(self.n), padded(self.k)
        self.tiles = machine.memory(self.N * self.K)
        self.weights = machine.memory(4 * self.N)
        self.u = machine.memory(4 * self.K)


class CardMachine(Machine):
    """One stream of a card. Close it."""

    def __init__(
        self, kernels: KernelCache, card: Card, config: Callable[[int], TileConfig]
    ) -> None:
        """`config`: the product's tile configuration for a padded size."""
        self._kernels, self._card, self._config = kernels, card, config
        self._stream = Stream()
        self._common = self._pool = Pool()
        self._configs: dict[int, TileConfig] = {}
        self._ring: PinnedRing | None = None
        self._all: set[DeviceBuffer] = set()
        self._verdicts = self.memory(4 * _VERDICTS)
        self._expected: list[
            int
        ] = []  # of each product since the last wait, its sums that must be zero

    @property
    def free_bytes(self) -> int:
        """What the driver has, and what lies ready here, but for a reserve."""
        ready = sum(size * len(buffers) for size, buffers in self._common.free.items())
        return max(0, free_memory() + ready - _RESERVE)

    def empty(self, size: int) -> Block:
        """Return `size` bytes. Raises TaskTooLarge."""
        return self.memory(size)

    def memory(self, size: int) -> CardMemory:
        """The same, of this machine's own type: eight sizes for each power of two."""
        step = max(256, 1 << max(0, size.bit_length() - 4))
        rounded = max(1, -(-size // step)) * step
        for pool in (self._pool, self._common):
            if ready := pool.free.get(rounded):
                return CardMemory(self, self._pool, ready.pop())
        if rounded > free_memory() - _RESERVE:
            self.trim()
        if rounded > free_memory() - _RESERVE:
            raise TaskTooLarge(_("the card has too little free memory for this task"))
        buffer = DeviceBuffer(rounded)
        self._all.add(buffer)
        return CardMemory(self, self._pool, buffer)

    def trim(self) -> None:
        """Give memory back that nobody holds."""
        self._stream.wait()
        for buffers in self._common.free.values():
            for buffer in buffers:
                buffer.close()
                self._all.discard(buffer)
        self._common.free.clear()

    def record(self, work: Callable[[], None]) -> Recording:
        """Capture what `work` launches. Raises CannotRecord, TaskTooLarge."""
        self.wait()
        pool = self._pool = Pool()
        try:
            with self._stream.capture(may_allocate=True) as graph:
                work()
            return CardRecording(self, pool, graph, self._expected)
        except BaseException:
            pool.end(self._common)
            raise
        finally:
            self._pool, self._expected = self._common, []

    def launch_graph(self, graph: Graph, sums: list[int]) -> None:
        """Replay a graph whose products have so many sums each."""
        if self._expected:
            self.wait()
        self._stream.launch(graph)
        self._expected = list(sums)

    def forget(self, graph: Graph, pool: Pool) -> None:
        """Release a graph; its memory is anybody's."""
        if not self.closed:
            with suppress(DeviceFault):  # whoever waits for the work itself is told
                self._stream.wait()
            pool.end(self._common)
        graph.close()

    def copy(self, block: Block, size: int) -> Block:
        """Return a copy, made on the stream."""
        made = self.memory(size)
        self._stream.copy(made.address, self._buffer(block).address, size)
        return made

    def close(self) -> None:
        """Give all memory back, held or not. May be called twice."""
        if self.closed:
            return
        self.closed = True
        for buffer in self._all:
            buffer.close()
        self._all.clear()
        self._common.free.clear()
        if self._ring is not None:
            with suppress(DeviceFault):  # the card may be lost
                self._stream.wait()
            self._ring.close()
        self._stream.close()

    def write(self, block: Block, array: npt.NDArray[Any]) -> None:
        """Copy an array's bytes into the block, when nothing on the stream reads it any more."""
        self._refuse_to_record()
        buffer = self._buffer(block)
        if array.nbytes >= WORTH_SENDING:
            self._pinned().send(buffer.address, array)
            return
        self._stream.wait()
        buffer.from_host(array)

    def read(self, block: Block, rows: int, row_bytes: int, pitch: int) -> npt.NDArray[np.uint8]:
        """Return rows, `pitch` bytes apart, one below the other. Raises DeviceFault."""
        self.wait()
        buffer = self._buffer(block)
        if rows * row_bytes >= WORTH:
            content = self._pinned().rows(buffer.address, rows, row_bytes, pitch)
            return np.frombuffer(content, np.uint8).reshape(rows, row_bytes)
        out = np.empty((rows, row_bytes), np.uint8)
        if rows == 1:
            out[0] = np.frombuffer(buffer.read(0, row_bytes), np.uint8)
        else:
            buffer.rows_to_host(out, pitch)
        return out

    def launch(self, kernel: NetworkKernel, count: int, *arguments: Block | int) -> None:
        """Run a kernel over `count` entries."""
        if count > MOST_ENTRIES:
            raise TaskTooLarge(_("the card has too little free memory for this task"))
        compiled = self._kernels.network(kernel)
        most = self._card.multiprocessors * BLOCKS_A_PROCESSOR
        grid = (max(1, min(-(-count // THREADS), most)),)
        longs: list[int] = []
        for kind, value in zip(kernel.kinds, arguments, strict=True):
            if kind == NUMBER:
                longs.append(int(value))  # type: ignore[arg-type]
                continue
            assert isinstance(value, Block)
            if kind == WORDS:
                longs.append(self._buffer(value).address)
                continue
            # numba's array of one dimension: two owners, entries, their size, address, shape, strides.
            size = _ITEM_BYTES[kind]
            entries = value.size // size
            longs += [0, 0, entries, size, self._buffer(value).address, entries, size]
        compiled(self._stream, grid, THREADS, *longs)

    def launch_grid(
        self, kernel: Any, grid: tuple[int, ...], threads: int, *arguments: Block | int
    ) -> None:
        """Run one of the commitment's kernels, which want a certain grid and take addresses."""
        compiled = self._kernels.commit(kernel, len(arguments))
        longs = [self._buffer(x).address if isinstance(x, Block) else x for x in arguments]
        compiled(self._stream, grid, threads, *longs)

    def right(self, rows: Array) -> Right:
        """Pack B, draw the weights, and weight it."""
        made = CardRight(self, rows)
        weights, u = made.weights.address, made.u.address
        self._pack(rows, made.tiles, made.N, made.K, as_b=True)
        self._stream.clear(u, made.K)
        blocks = -(-made.N // (4 * freivalds.THREADS))
        fresh = words_of(os.urandom(16))
        self._kernels.weights(self._stream, (blocks,), freivalds.THREADS, weights, *fresh, made.N)
        self._check(self._kernels.project, made.K, made.N, made.tiles.address, weights, u)
        return made

    def multiply(self, A: Array, B: Right) -> CardSums:
        """Return A B^T; its check is on the stream behind it, and `wait` looks at what it said."""
        assert isinstance(B, CardRight)
        m, M = A.shape[0], padded(A.shape[0])
        if M // TILE > MOST_TILES_DOWN:
            raise TaskTooLarge(_("the card has too little free memory for this task"))
        if len(self._expected) == _VERDICTS:
            self.wait()
        a, c, sums = self.memory(M * B.K), self.memory(4 * M * B.N), self.memory(4 * M)
        verdict = self._verdicts.address + 4 * len(self._expected)
        stream, processors = self._stream, self._card.multiprocessors
        if not self._expected:
            stream.clear(self._verdicts.address, _VERDICTS)
        self._pack(A, a, M, B.K, as_b=False)
        stream.clear(sums.address, M)
        size = padded(max(m, B.n))
        config = self._configs.get(size)
        if config is None:
            config = self._configs[size] = self._config(size)
        spec, product = self._kernels.int32_product(config, M, B.N, B.K, processors)
        product(
            stream, spec.grid(M, B.N, processors), spec.threads,
            a.address, B.tiles.address, c.address, B.weights.address, sums.address, M, B.N, B.K,
        )  # fmt: skip
        self._check(self._kernels.subtract, B.K, M, a.address, B.u.address, sums.address)
        kernel = self._kernels.commit(verdicts.zero_sums_kernel, 3)
        blocks = min(-(-M // (verdicts.THREADS * verdicts.EACH)), processors)
        kernel(stream, (blocks,), verdicts.THREADS, sums.address, verdict, M)
        self._expected.append(M)
        return CardSums(c, m, B.n, B.N)

    def wait(self) -> None:
        """Wait for everything. Raises DeviceFault where a product failed its check."""
        self._refuse_to_record()
        self._stream.wait()
        expected, self._expected = self._expected, []
        if not expected:
            return
        said = self._verdicts.buffer.to_host(np.uint32)[: len(expected)]
        if (said != expected).any():
            raise DeviceFault(
                _("a customer's product failed Freivalds' check on the card: it is wrong"),
                advice=_(
                    "Check the card: overclocking, heat, memory errors (nvidia-smi -q -d ECC)."
                ),
            )

    def _pinned(self) -> PinnedRing:
        if self._ring is None:
            self._ring = PinnedRing(self._stream)
        return self._ring

    def _refuse_to_record(self) -> None:
        if self._pool is not self._common:
            raise CannotRecord

    def _check(self, kernel: CompiledKernel, K: int, rows: int, *buffers: int) -> None:
        tiles = K // TILE
        count = tiles * (rows // 256)
        grid = freivalds.grid_for(count, self._card.multiprocessors)
        threads = freivalds.THREADS * freivalds.GROUPS
        kernel(self._stream, grid, threads, *buffers, tiles, count)

    def _pack(self, matrix: Array, to: CardMemory, rows: int, K: int, *, as_b: bool) -> None:
        grid = (K // TILE, rows // TILE, 4)
        source = self._buffer(matrix.block).address
        self._kernels.pack(
            self._stream, grid, pack.THREADS,
            source, to.address, *matrix.shape, K // TILE, int(as_b),
        )  # fmt: skip

    @staticmethod
    def _buffer(block: Block) -> DeviceBuffer:
        assert isinstance(block, CardMemory)
        return block.buffer
