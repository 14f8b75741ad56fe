"""The fast operations: compiled kernels, and the buffers that each thread keeps for them."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.commit import Digests
from kernels.commit import reference as by_hashlib
from kernels.commit.sha256 import BLOCK_BYTES, State, padding_words, state_after_prefix
from kernels.compiling import Progress
from kernels.cpu import philox
from kernels.cpu.commit import choose as choose_hash
from kernels.cpu.features import vector_bits
from kernels.cpu.jit import Jit, finish
from kernels.cpu.memory import aligned, round_up
from kernels.cpu.product import blocks, tiers
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, STEP
from kernels.cpu.product.packing import build_pack_quads
from kernels.digest import DIGEST_BYTES, LEAF_TAG, NODE_TAG
from kernels.expand import Matrix, Operand, Rows
from kernels.network import NetworkOperations
from kernels.network.graph.graph import Graph
from kernels.network.graph.kernels import GraphKernels
from kernels.network.graph.prepared import Prepared
from kernels.operations import Operations, RowsOfB
from kernels.product import Sums
from kernels.task import LEAF_BYTES
from kernels.team import Team


@dataclass(frozen=True, slots=True)
class PanelsOfB:
    """Rows of B as panels of quads, [p / 32][K / 4][32] int32, zero where B has no columns."""

    rows: int
    n: int
    quads: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    """What the sums of each column of C start from."""

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, rows: slice, /) -> "PanelsOfB":
        first, last, _ = rows.indices(self.rows)
        assert first % PANEL == 0
        panels = slice(first // PANEL, -(-last // PANEL))
        columns = slice(first, round_up(last, PANEL))
        return PanelsOfB(last - first, self.n, self.quads[panels], self.starts[columns])


class CpuOperations(Operations):
    """Everything by compiled kernels, in one tier of the product. Compiles what is not on disk yet."""

    name = "cpu"
    most_strip_rows = blocks.STRIP_PANELS * PANEL

    def __init__(self, tier: str | None = None, progress: Progress | None = None) -> None:
        chosen = tiers.choose() if tier is None else tiers.by_name(tier)
        self.tier = chosen.name
        self._common, self._product = _compile(chosen, progress)
        self._thread = _Kept()

    @property
    def network(self) -> NetworkOperations:
        """By `network.cpu`."""
        from kernels.network.cpu import compiled

        return compiled()[0]

    @property
    def graph(self) -> GraphKernels:
        """By `network.cpu`."""
        from kernels.network.cpu import compiled

        return compiled()[1]

    def prepare_graph(self, graph: Graph, team: Team) -> Prepared | None:
        """By `cpu.network`, in the way of this tier."""
        from kernels.cpu.network.runner import prepare

        return prepare(graph, self.tier, team)

    def scratch_bytes(self, n: int) -> int:
        """Packed panels of A, a block of C, and a piece of B."""
        row = round_up(n, STEP) * self._product.a_quad_bytes // QUAD_BYTES
        return self.most_strip_rows * row + 4 * blocks.SCRATCH_SIZE

    def empty_rows(self, m: int, n: int) -> Matrix:
        """Padded to whole panels, and to whole steps along k."""
        return aligned((round_up(m, PANEL), round_up(n, STEP)), np.int8)

    def empty_b(self, p: int, n: int) -> PanelsOfB:
        """Panels for p rows."""
        panels = -(-p // PANEL)
        starts = aligned((panels * PANEL,), np.int32)
        starts[:] = 0
        quads = aligned((panels, round_up(n, STEP) // 4, PANEL), np.int32)
        return PanelsOfB(p, n, quads, starts)

    def expand_rows(self, operand: Operand, rows: Rows, out: Matrix) -> None:
        """Rows of n, wherever they lie, entries side by side."""
        _require_rows(out)
        self._common.expand.rows(
            np.array(operand, np.uint32),
            np.ascontiguousarray(rows, np.int64),
            out.shape[1],
            out.ctypes.data,
            out.strides[0],
        )

    def expand_b(self, operand: Operand, first: int, B: RowsOfB) -> None:
        """Straight into panels."""
        assert isinstance(B, PanelsOfB)
        self._common.expand.panels(np.array(operand, np.uint32), first, B.n, B.quads)
        self._sum_panels(B)

    def load_b(self, rows: Matrix, B: RowsOfB) -> None:
        """Pack whole panels where they lie, and what is left over out of a padded copy."""
        assert isinstance(B, PanelsOfB)
        whole = 0 if rows.shape[1] % STEP else len(rows) // PANEL
        if whole:
            self._pack_quads(rows[: whole * PANEL], B.quads[:whole])
        for panel in range(whole, len(B.quads)):
            some = rows[panel * PANEL : (panel + 1) * PANEL]
            padded = np.zeros((PANEL, 4 * B.quads.shape[1]), np.int8)
            padded[: len(some), : B.n] = some
            self._pack_quads(padded, B.quads[panel : panel + 1])
        self._sum_panels(B)

    def multiply_fold(self, R: Matrix, B: RowsOfB, out: Matrix) -> None:
        """A strip at a time: packed, multiplied block by block, folded out of each block."""
        assert isinstance(B, PanelsOfB)
        _require_rows(out)
        if out.shape[0] % PANEL or out.strides[0] < len(B.starts):
            raise ValueError("out has no room for whole panels: make it with empty_rows")
        for first in range(0, len(R), self.most_strip_rows):
            strip = R[first : first + self.most_strip_rows]
            place = out[first : first + len(strip)]
            self._multiply(strip, B, place, len(strip), folded=True)

    def multiply(self, A: Matrix, B: RowsOfB, out: Sums) -> None:
        """The same, stored as it is."""
        assert isinstance(B, PanelsOfB)
        for first in range(0, len(A), self.most_strip_rows):
            strip = A[first : first + self.most_strip_rows]
            if len(strip) % PANEL or strip.shape[1] % STEP:
                padded = self.empty_rows(*strip.shape)
                padded[: len(strip), : strip.shape[1]] = strip
                strip = padded
            place = out[first : first + self.most_strip_rows]
            self._multiply(strip, B, place, len(place), folded=False)

    def hash_leaves(self, R: Matrix, out: Digests) -> None:
        """All leaves of a strip together where they lie side by side, else one column of them."""
        if self._common.hash_messages is None:
            by_hashlib.hash_leaves(R, out)
            return
        _require_rows(R)
        (m, n), pitch = R.shape, R.strides[0]
        parts = -(-n // LEAF_BYTES)
        if n % LEAF_BYTES == 0 and pitch == n:
            self._hash(LEAF_TAG, R.ctypes.data, LEAF_BYTES, LEAF_BYTES, out, 1, m * parts)
            return
        for part in range(parts):
            first = part * LEAF_BYTES
            size = min(LEAF_BYTES, n - first)
            data = R.ctypes.data + first
            self._hash(LEAF_TAG, data, pitch, size, out[part:], parts, m)

    def hash_level(self, nodes: Digests, out: Digests) -> None:
        """Pairs, and an odd last one as it is."""
        if self._common.hash_messages is None:
            by_hashlib.hash_level(nodes, out)
            return
        pair = 2 * DIGEST_BYTES
        self._hash(NODE_TAG, nodes.ctypes.data, pair, pair, out, 1, len(nodes) // 2)
        if len(nodes) % 2:
            out[-1] = nodes[-1]

    def _hash(
        self, tag: str, data: int, stride: int, size: int, out: Digests, apart: int, count: int
    ) -> None:
        padding = padding_words(size) if size % BLOCK_BYTES == 0 else _NO_PADDING
        state = state_after_prefix(tag)
        flat, apart = out.reshape(-1), apart * DIGEST_BYTES
        self._common.hash_messages(state, padding, data, stride, size, flat, apart, count)

    def _pack_quads(self, rows: Matrix, quads: npt.NDArray[np.int32]) -> None:
        target = quads.reshape(-1).view(np.uint8)
        self._common.pack_quads(rows, len(quads), target, np.int32(0))

    def _sum_panels(self, B: PanelsOfB) -> None:
        if self._product.sum_panels is not None:
            self._product.sum_panels(B.quads, B.starts)

    def _multiply(
        self, strip: Matrix, B: PanelsOfB, out: npt.NDArray[Any], m: int, *, folded: bool
    ) -> None:
        """One strip, padded; with a block of C and packed panels that this thread keeps."""
        panels = len(strip) // PANEL
        needed = strip.size * self._product.a_quad_bytes // QUAD_BYTES
        kept = self._thread
        if kept.packed.size < needed:
            kept.packed = aligned((needed,), np.uint8)
        self._product.pack(strip, panels, kept.packed)
        place, pitch, n = out.ctypes.data, out.strides[0], len(B)
        self._product.multiply(
            kept.packed, panels, B.quads, B.starts, kept.scratch, place, pitch, m, n, folded
        )


class _Kept(threading.local):
    """Each thread's block of C and its packed panels of A."""

    def __init__(self) -> None:
        self.scratch = aligned((blocks.SCRATCH_SIZE,), np.int32)
        self.packed = aligned((0,), np.uint8)


_NO_PADDING: State = np.zeros(64, np.uint32)


def _require_rows(matrix: Matrix) -> None:
    if matrix.strides[1] != 1 and matrix.shape[1] > 1:
        raise ValueError("the entries of a row must lie side by side")


@dataclass(frozen=True, slots=True)
class _Common:
    """Kernels that every tier shares."""

    expand: philox.ExpandKernels
    pack_quads: Any
    hash_messages: Any
    """None: hashlib is faster here."""


_compiling = threading.Lock()


def _compile(tier: tiers.Tier, progress: Progress | None) -> tuple[_Common, blocks.ProductKernels]:
    """The kernels for this CPU and this tier: compiled, loaded, or as an earlier call left them."""
    with _compiling:
        bits = vector_bits()
        shared, own = Jit(f"{bits}"), Jit(f"{tier.name}")
        common = _compiled_common.get(bits) or _Common(
            philox.build(shared), build_pack_quads(shared, bits), choose_hash.build(shared)
        )
        product = _compiled.get(tier.name) or blocks.build(own, tier.build(), common.pack_quads)
        finish([shared, own], progress)
        _compiled_common[bits], _compiled[tier.name] = common, product
        return common, product


_compiled_common: dict[int, _Common] = {}
_compiled: dict[str, blocks.ProductKernels] = {}
