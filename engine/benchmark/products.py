"""The products of one size on one GPU, each at its best: ours, cuBLASLt's, PyTorch's and Triton's.

    with Operands(card, kernels, 4096) as operands:
        for contender in contenders(operands):
            replay = contender.fastest(repeat=20)
            replay.seconds()

All multiply the same A and B of random bytes, C = A * transpose(B) exact in int32. Ours has them in its
tiles, the others row-major with both operands along k, as int8 asks for. Two outputs are compared, like
with like: C as int32, and its fold to int8, which is what a task needs. A library cannot fold, so it
gets the best that can be put behind it: a kernel that reads C and writes R at the speed of memory, on
bands of C that may stay in the L2 cache.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

from engine.benchmark.contender import Contender, Graph, Replay, TorchGraph, Variants
from engine.benchmark.cublaslt import WORKSPACE_BYTES, CublasLt
from engine.benchmark.product_table import CHECKED, CUBLASLT, FOLD, INT32, OURS, OUTPUTS
from kernels.cuda import layout, plain
from kernels.cuda.card import Card
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer, Stream
from kernels.cuda.expand import THREADS as EXPAND_THREADS
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.philox import words_of
from kernels.cuda.product.tiers import choose

TORCH, TRITON = "torch._int_mm", "Triton"
SEED = bytes(range(32))
BANDS = (1, 2, 4, 8)
"""Into how many bands of rows cuBLASLt's product is cut where its fold follows."""
LEAST_BAND = 1024


class Operands:
    """A and B of one size, in tiles and row-major, and room for every result. 16 divides n."""

    def __init__(self, card: Card, kernels: KernelCache, n: int) -> None:
        self.card, self.kernels, self.n, self.P = card, kernels, n, layout.padded(n)
        self._buffers: list[DeviceBuffer] = []
        P, stream = self.P, Stream()
        self.a, self.b, self.r = (self.buffer(P * P) for _once in range(3))
        self.c = self.buffer(4 * P * P)
        self.plain_a, self.plain_b = self.buffer(n * n), self.buffer(n * n)
        self.plain_r, self.reference_r = self.buffer(n * n), self.buffer(n * n)
        self.plain_c = self.buffer(4 * n * n)
        self.weights, self.sums, self.found = (self.buffer(4 * P) for _once in range(3))
        tiles = P // layout.TILE
        words = words_of(SEED)
        addresses = self.a.address, self.b.address, 0
        kernels.expand(
            stream, (tiles, 2 * tiles), EXPAND_THREADS, *addresses, n, tiles, *words, 0, 0, 0
        )
        self._unpack = CompiledKernel(plain.unpack_kernel, 5, key="unpack")
        self._fold = CompiledKernel(plain.fold_kernel, 3, key="plain fold")
        self._compare = CompiledKernel(plain.differences_kernel, 6, key="differences")
        self.unpack(stream, self.a, self.plain_a)
        self.unpack(stream, self.b, self.plain_b, as_b=True)
        stream.wait()
        stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the device memory."""
        for buffer in self._buffers:
            buffer.close()

    @staticmethod
    def bytes_needed(n: int) -> int:
        """Return the device memory that it takes, with the workspace."""
        return 7 * layout.padded(n) ** 2 + 8 * n * n + WORKSPACE_BYTES + 2**24

    def buffer(self, size: int) -> DeviceBuffer:
        """Return device memory that is freed with the operands."""
        made = DeviceBuffer(size)
        self._buffers.append(made)
        return made

    def unpack(
        self, stream: Stream, tiles: DeviceBuffer, to: DeviceBuffer, *, as_b: bool = False
    ) -> None:
        """Put an operand or R row-major into `to`."""
        count = self.P // layout.TILE
        grid, addresses = (count, count, 4), (tiles.address, to.address)
        self._unpack(stream, grid, plain.THREADS, *addresses, self.n, count, int(as_b))

    def fold(self, stream: Stream, c: int, r: int, entries: int) -> None:
        """Fold row-major entries of C at an address into R at another."""
        blocks = -(-entries // plain.FOLDED_A_BLOCK)
        self._fold(stream, (blocks,), plain.THREADS, c, r, entries)

    def differences(self, one: int, other: int, row_bytes: int, pitch: int) -> int:
        """Return how many words of n rows differ; rows of `one` begin `pitch` bytes apart."""
        stream, words = Stream(), row_bytes // 4
        stream.clear(self.found.address, 4)
        grid = (-(-words // plain.COMPARED_A_BLOCK), self.n)
        found = self.found.address
        self._compare(stream, grid, plain.THREADS, one, other, found, words, pitch, row_bytes)
        stream.wait()
        stream.close()
        return int.from_bytes(self.found.read(0, 4), "little")


def contenders(
    operands: Operands, library: CublasLt | None, *, triton: bool = True
) -> Iterator[Contender]:
    """Yield everything that this machine can multiply with."""
    yield from ours(operands)
    if library is not None:
        yield from cublaslt(operands, library)
    if importlib.util.find_spec("torch"):
        yield _torch(operands)
        if triton and importlib.util.find_spec("triton") and operands.n % 256 == 0:
            yield _triton(operands)


def ours(operands: Operands) -> Iterator[Contender]:
    """Yield our product with each output, in every tile configuration of the card's best tier."""
    o, tier = operands, choose(operands.card.capability)
    configs = {
        f"{tier.name} {config.name}": config for config in tier.configs(o.P, o.card.capability)
    }
    for output in OUTPUTS:
        yield _by_graph(OURS, output, list(configs), partial(_our_product, o, output, configs))


def _our_product(
    o: Operands, output: str, configs: dict[str, Any], variant: str, stream: Stream
) -> None:
    kind, to = (INT32, o.c) if output == INT32 else (FOLD, o.r)
    spec, kernel = o.kernels.product(kind, output == CHECKED, configs[variant])
    grid = spec.grid(o.P, o.P, o.card.multiprocessors)
    addresses = (x.address for x in (o.a, o.b, to, o.weights, o.sums))
    kernel(stream, grid, spec.threads, *addresses, o.P, o.P, o.P)


def cublaslt(operands: Operands, library: CublasLt) -> Iterator[Contender]:
    """Yield cuBLASLt's product, every answer of its heuristics, alone and with the fold behind it."""
    o, n = operands, operands.n
    workspace = o.buffer(WORKSPACE_BYTES)
    whole = library.matmul(n, n, n)
    answers = {f"{i}: {whole.name(found)}": found for i, found in enumerate(whole.algorithms, 1)}

    def product(variant: str, stream: Stream) -> None:
        addresses = (x.address for x in (o.plain_a, o.plain_b, o.plain_c, workspace))
        whole.enqueue(answers[variant], stream.handle, *addresses)

    yield _by_graph(CUBLASLT, INT32, list(answers), product)
    folded = {}
    for bands in BANDS:
        if bands > 1 and (n % bands or n // bands < LEAST_BAND):
            continue
        band = library.matmul(n // bands, n, n)
        for i, found in enumerate(band.algorithms, 1):
            name = f"{bands} band{'s' * (bands > 1)}, {i}: {band.name(found)}"
            folded[name] = (bands, band, found)

    def product_and_fold(variant: str, stream: Stream) -> None:
        bands, matmul, algorithm = folded[variant]
        rows = n // bands
        for first in range(0, n, rows):
            a, c = o.plain_a.address + first * n, o.plain_c.address + 4 * first * n
            matmul.enqueue(algorithm, stream.handle, a, o.plain_b.address, c, workspace.address)
            o.fold(stream, c, o.plain_r.address + first * n, rows * n)

    yield _by_graph(CUBLASLT, FOLD, list(folded), product_and_fold)


def _by_graph(
    name: str, output: str, variants: list[str], enqueue: Callable[[str, Stream], None]
) -> Contender:
    made: Variants = {
        variant: partial(Graph, variant, partial(enqueue, variant)) for variant in variants
    }
    return Contender(name, output, made, enqueue)


def _torch(operands: Operands) -> Contender:
    def replay(repeat: int) -> Replay:
        torch = importlib.import_module("torch")
        a, b = _random(torch, operands)
        return TorchGraph("", lambda: torch._int_mm(a, b.t()), repeat)

    return Contender(TORCH, INT32, {"": replay})


def _triton(operands: Operands) -> Contender:
    def replay(repeat: int) -> Replay:
        torch = importlib.import_module("torch")
        multiply = importlib.import_module("engine.benchmark.triton_matmul").multiply
        a, b = _random(torch, operands)
        c = torch.empty((operands.n, operands.n), dtype=torch.int32, device=a.device)
        return TorchGraph("", lambda: multiply(a, b, c), repeat)

    return Contender(TRITON, INT32, {"": replay})


def _random(torch: Any, operands: Operands) -> list[Any]:
    from kernels.cards import ordinal

    device, shape = f"cuda:{ordinal(operands.card.index)}", (operands.n, operands.n)
    torch.cuda.set_device(device)
    return [torch.randint(-128, 128, shape, dtype=torch.int8, device=device) for _once in "ab"]
