"""The customers' products: any two int8 matrices in, C = A * transpose(B) out, exact, as int32.

The same tiers as a task's product, with int32 out, and the same check (`check.py`): both operands are
packed into tiles, the product adds up the weighted sums of its rows, and these must be what A times the
weighted B gives. Rows of A are taken in bands, so that C may be larger than the card's memory.
"""

import os
from dataclasses import dataclass
from gettext import gettext as _

import numpy as np
from numpy.typing import NDArray

from kernels.cuda import check as freivalds
from kernels.cuda import pack
from kernels.cuda.card import Card
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer, Stream, free_memory
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.layout import PAD, TILE, padded
from kernels.cuda.philox import words_of
from kernels.cuda.product.tiers import TileConfig
from kernels.errors import DeviceFault, TaskTooLarge

_RESERVE = 256 * 2**20
_TICKET = 1


@dataclass(frozen=True, slots=True)
class _Sizes:
    """C is m x n, rows are k long; capitals are padded. `band`: rows of C at a time, padded."""

    m: int
    n: int
    k: int
    N: int
    K: int
    band: int


def multiply(
    kernels: KernelCache, card: Card, config: TileConfig, A: NDArray[np.int8], B: NDArray[np.int8]
) -> NDArray[np.int32]:
    """C, m x n, of A, m x k, and B, n x k. Raises TaskTooLarge before it allocates, DeviceFault."""
    (m, k), n = A.shape, B.shape[0]
    N, K = padded(n), padded(k)
    fixed = N * K + n * k + 4 * (N + K) + 2**20
    each = 4 * N + K + k + 4  # bytes for a row of C
    room = free_memory() - _RESERVE - fixed
    band = min(padded(m), room // each // PAD * PAD)
    if band < PAD:
        raise TaskTooLarge(
            _(
                "a product of {m} x {k} and {k} x {n} needs {number:.2f} GiB on cuda:{index}"
                " ({name}) for its second operand and {PAD} rows, and {number_2:.2f} GiB are"
                " free"
            ).format(
                m=m,
                k=k,
                n=n,
                number=(fixed + PAD * each) / 2**30,
                index=card.index,
                name=card.name,
                PAD=PAD,
                number_2=max(room + fixed, 0) / 2**30,
            )
        )
    with _Work(kernels, card, config, _Sizes(m, n, k, N, K, band)) as work:
        C = np.empty((m, n), np.int32)
        work.load_b(np.ascontiguousarray(B))
        for first in range(0, m, band):
            last = min(first + band, m)
            work.band(np.ascontiguousarray(A[first:last]), C[first:last])
        return C


class _Work:
    """Buffers of one product. Close it, or use it as a context manager."""

    def __init__(self, kernels: KernelCache, card: Card, config: TileConfig, sizes: _Sizes) -> None:
        self._kernels, self._card, self._s = kernels, card, sizes
        s = sizes
        self._product = kernels.int32_product(config, s.band, s.N, s.K, card.multiprocessors)
        self._stream = Stream()
        self._buffers: list[DeviceBuffer] = []
        self._raw = self._buffer(max(s.n, s.band) * s.k)
        self._a = self._buffer(s.band * s.K)
        self._b = self._buffer(s.N * s.K)
        self._c = self._buffer(4 * s.band * s.N)
        self._weights = self._buffer(4 * s.N)
        self._u = self._buffer(4 * s.K)
        self._sums = self._buffer(4 * s.band)
        self._ticket = self._buffer(16)
        self._verdict = self._buffer(16)

    def __enter__(self) -> "_Work":
        return self

    def __exit__(self, *_: object) -> None:
        for buffer in self._buffers:
            buffer.close()
        self._stream.close()

    def load_b(self, B: NDArray[np.int8]) -> None:
        """Pack B, draw the weights, and weight it."""
        s, stream = self._s, self._stream
        self._pack(B, self._b, s.N, as_b=True)
        self._ticket.from_host(np.array([_TICKET], np.uint32))
        stream.clear(self._u.address, s.K)
        weights, u = self._weights.address, self._u.address
        blocks = -(-s.N // (4 * freivalds.THREADS))
        fresh = words_of(os.urandom(16))
        self._kernels.weights(stream, (blocks,), freivalds.THREADS, weights, *fresh, s.N)
        self._check(self._kernels.project, s.N, self._b.address, weights, u)

    def band(self, A: NDArray[np.int8], out: NDArray[np.int32]) -> None:
        """Rows of C into `out`, contiguous. Raises DeviceFault where the check failed."""
        s, stream = self._s, self._stream
        rows = padded(len(A))
        self._pack(A, self._a, rows, as_b=False)
        stream.clear(self._sums.address, rows)
        stream.clear(self._verdict.address, 4)
        a, sums = self._a.address, self._sums.address
        spec, product = self._product
        product(
            stream,
            spec.grid(rows, s.N, self._card.multiprocessors),
            spec.threads,
            a,
            self._b.address,
            self._c.address,
            self._weights.address,
            sums,
            rows,
            s.N,
            s.K,
        )
        self._check(self._kernels.subtract, rows, a, self._u.address, sums)
        threads, verdict = freivalds.VERDICT_THREADS, self._verdict.address
        self._kernels.verdict(stream, (1,), threads, sums, rows, verdict, self._ticket.address)
        stream.wait()
        if int.from_bytes(self._verdict.read(0, 4), "little") != _TICKET:
            raise DeviceFault(
                _("a customer's product failed Freivalds' check on the card: it is wrong"),
                advice=_(
                    "Check the card: overclocking, heat, memory errors (nvidia-smi -q -d ECC)."
                ),
            )
        self._c.rows_to_host(out, 4 * s.N)

    def _check(self, kernel: CompiledKernel, rows: int, *buffers: int) -> None:
        tiles = self._s.K // TILE
        count = tiles * (rows // 256)
        grid = freivalds.grid_for(count, self._card.multiprocessors)
        threads = freivalds.THREADS * freivalds.GROUPS
        kernel(self._stream, grid, threads, *buffers, tiles, count)

    def _pack(self, matrix: NDArray[np.int8], to: DeviceBuffer, rows: int, *, as_b: bool) -> None:
        self._raw.from_host(matrix)
        tiles = self._s.K // TILE
        grid = (tiles, rows // TILE, 4)
        self._kernels.pack(
            self._stream, grid, pack.THREADS,
            self._raw.address, to.address, *matrix.shape, tiles, int(as_b),
        )  # fmt: skip
        self._stream.wait()  # what is packed next comes through the same buffer

    def _buffer(self, size: int) -> DeviceBuffer:
        buffer = DeviceBuffer(size)
        self._buffers.append(buffer)
        return buffer
