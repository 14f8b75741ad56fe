"""The loops around a microkernel: blocks of C that stay in the cache, folded or stored from there.

A strip of A, up to 8 panels of it, meets B block by block. A block of C, 256 x 256 sums at the most,
is 256 KiB of scratch that a thread keeps in its L2 cache; k goes in pieces of 512 at the most, so
that a panel of B (16 KiB of it) stays in the L1 cache while all panels of the strip are multiplied
with it. This is the order of Goto and van de Geijn (Anatomy of High-Performance Matrix
Multiplication, TOMS 2008). A panel of C is folded into int8 as soon as its last piece is added, out of
the L1 cache, and C is never written to memory; or it is stored, past the caches where its rows are
aligned, while the next one is multiplied.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value, copy_bytes
from kernels.cpu.jit import Jit
from kernels.cpu.memory import LINE
from kernels.cpu.product.microkernel import (
    BLOCK_PANELS,
    BLOCK_QUADS,
    PANEL,
    QUAD_BYTES,
    Microkernel,
)

STRIP_PANELS = 8
"""Most panels of A that go together."""
BLOCK_SUMS = STRIP_PANELS * BLOCK_PANELS * PANEL * PANEL
SCRATCH_SIZE = BLOCK_SUMS + 2 * BLOCK_QUADS * PANEL
"""A block of C, and a piece of a panel of B in twice as many bytes, in int32."""


@dataclass(frozen=True, slots=True)
class ProductKernels:
    """The compiled kernels of one microkernel. Shapes: X is padded, m x K; B is [p][K / 4][32]."""

    pack: Callable[[Any, int, Any], None]
    """(X, panels, packed): rows into panels of A."""
    multiply: Any
    """(packed, panels, B, starts, scratch, out, pitch, m, n, folded): the rows of C are `pitch` bytes
    apart, from the address `out` on. Folded: of int8, 32 * panels rows of 32 * p, whatever m and n
    are. Else of int32, m rows of n."""
    sum_panels: Any
    """(B, starts): the numbers that sums start from; None where they start from 0."""
    a_quad_bytes: int


def build(jit: Jit, microkernel: Microkernel, pack_quads: Any) -> ProductKernels:
    """The kernels of one microkernel; `pack_quads` is compiled already (`packing.py`)."""
    begin, end, multiply_panel = microkernel.begin, microkernel.end, microkernel.multiply
    a_quad_bytes = microkernel.a_quad_bytes
    block_panels, block_quads = microkernel.block_panels, microkernel.block_quads
    widened = microkernel.widen is not None
    widen = microkernel.widen or keep

    @jit.kernel(
        "void(uint8[::1], int64, int32[:,:,::1], int32[::1], int32[::1],"
        " int64, int64, int64, int64, boolean)"
    )
    def multiply(
        packed: Any,
        panels: int,
        B: Any,
        starts: Any,
        scratch: Any,
        out: int,
        pitch: int,
        m: int,
        n: int,
        folded: bool,
    ) -> None:
        quads = B.shape[1]
        a, b, c, start = packed.ctypes.data, B.ctypes.data, scratch.ctypes.data, starts.ctypes.data
        wide = c + 4 * BLOCK_SUMS
        aligned = out % LINE == 0 and pitch % LINE == 0
        begin()
        for first in range(0, B.shape[0], block_panels):
            last = min(first + block_panels, B.shape[0])
            for quad in range(0, quads, block_quads):
                count = min(block_quads, quads - quad)
                for j in range(first, last):
                    piece = b + (j * quads + quad) * QUAD_BYTES
                    widen(piece, count, wide)
                    for i in range(panels):
                        sums = c + ((j - first) * panels + i) * PANEL * QUAD_BYTES
                        multiply_panel(
                            a + (i * quads + quad) * a_quad_bytes,
                            wide if widened else piece,
                            sums,
                            count,
                            start + j * QUAD_BYTES if quad == 0 else 0,
                        )
                        if quad + count < quads:
                            continue
                        rows, columns = min(PANEL, m - i * PANEL), min(PANEL, n - j * PANEL)
                        if folded:
                            fold_panel(sums, out + i * PANEL * pitch + j * PANEL, pitch)
                            continue
                        place = out + i * PANEL * pitch + j * QUAD_BYTES
                        if aligned and rows == PANEL and columns == PANEL:
                            stream_panel(sums, place, pitch)
                            continue
                        for row in range(rows):
                            copy_bytes(place + row * pitch, sums + row * QUAD_BYTES, 4 * columns)
        end()
        fence()

    return ProductKernels(
        microkernel.make_pack(jit, pack_quads),
        multiply,
        _build_sum_panels(jit, microkernel.sum_quads) if microkernel.sum_quads else None,
        a_quad_bytes,
    )


def _build_sum_panels(jit: Jit, sum_quads: Any) -> Any:
    @jit.kernel("void(int32[:,:,::1], int32[::1])")
    def sum_panels(B: Any, starts: Any) -> None:
        panels, quads, _ = B.shape
        b, start = B.ctypes.data, starts.ctypes.data
        for panel in range(panels):
            sum_quads(b + panel * quads * QUAD_BYTES, quads, start + panel * QUAD_BYTES)

    return sum_panels


@ir.inline
def keep(_builder: Builder, _b: Value, _quads: Value, _target: Value) -> None:
    """Nothing: for a microkernel that takes panels of B as they are."""


def row_by_row(move: Callable[[Builder, Value, Value], None]) -> Any:
    """The intrinsic (source, target, pitch) that moves the 32 rows of a panel of C."""

    @ir.inline
    def move_panel(builder: Builder, source: Value, target: Value, pitch: Value) -> None:
        def row(_turn: Value, places: Sequence[Value]) -> list[Value]:
            move(builder, *places)
            source, target = places
            return [ir.offset(builder, source, QUAD_BYTES), builder.add(target, pitch)]

        ir.loop(builder, I64(PANEL), [source, target], row)

    return move_panel


def fold_row(builder: Builder, source: Value, target: Value) -> None:
    """32 sums into 32 entries of the next R: the low byte of C XOR (C >> 8)."""
    kind = ir.vector(I32, PANEL)
    c = ir.load(builder, kind, source, 64)
    folded = builder.xor(c, builder.ashr(c, ir.splat(kind, 8)))
    ir.store(builder, builder.trunc(folded, ir.vector(I8, PANEL)), target, 1)


def stream_row(builder: Builder, source: Value, target: Value) -> None:
    """Copy 128 bytes, both aligned to 64, past the caches."""
    kind = ir.vector(I32, 16)
    for place in (0, 64):
        value = ir.load(builder, kind, ir.offset(builder, source, place), 64)
        kept = ir.store(builder, value, ir.offset(builder, target, place), 64)
        kept.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))


fold_panel, stream_panel = row_by_row(fold_row), row_by_row(stream_row)


@ir.inline
def fence(builder: Builder) -> None:
    """Stores past the caches are seen by other threads from here on."""
    builder.fence("seq_cst")
