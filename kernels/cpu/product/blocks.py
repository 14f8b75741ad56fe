"""The loops around a microkernel: blocks of C that stay in the cache, folded or stored from there.

A strip of A, up to 8 panels of it, meets B block by block. A block of C, 256 x 256 sums, is 256 KiB
of scratch that a thread keeps in its L2 cache; k goes in pieces of 512, so that a panel of B (16
KiB of it) stays in the L1 cache while all panels of the strip are multiplied with it. This is the
order of Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication, TOMS 2008). Then
the block is folded into int8, and C is never written to memory; or it is stored, past the caches
where its rows are aligned.
"""

from dataclasses import dataclass
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, Microkernel
from kernels.cpu.product.packing import build_pack_quads

STRIP_PANELS = 8
"""Most panels of A that go together."""
BLOCK_PANELS = 8
"""Panels of B that go together."""
BLOCK_QUADS = 128
"""Quads of k that go together."""
SCRATCH_SUMS = STRIP_PANELS * BLOCK_PANELS * PANEL * PANEL


@dataclass(frozen=True, slots=True)
class ProductKernels:
    """The compiled kernels of one microkernel. Shapes: X is padded, m x K; B is [p][K / 4][32]."""

    pack: Any
    """(X, panels, packed): rows into panels of A ..."""
    pack_quads: Any
    """(X, panels, packed, flip): ... and of B, with flip 0."""
    multiply_fold: Any
    """(packed, panels, B, starts, scratch, out, pitch): out is an address, rows are `pitch` bytes
    apart; written are 32 * panels rows, of 32 * p entries."""
    multiply: Any
    """(packed, panels, B, starts, scratch, out): out, int32, may have fewer rows and columns."""
    sum_panels: Any
    """(B, starts): the numbers that sums start from."""
    a_quad_bytes: int


def build(jit: Jit, microkernel: Microkernel, bits: int) -> ProductKernels:
    """The kernels of one microkernel, for a CPU with vectors of so many bits."""
    begin, end, multiply_panel = microkernel.begin, microkernel.end, microkernel.multiply
    a_quad_bytes, sum_quads = microkernel.a_quad_bytes, microkernel.sum_quads

    pack_quads = build_pack_quads(jit, bits)

    @jit.helper
    def multiply_block(
        packed: Any, panels: int, B: Any, starts: Any, scratch: Any, first: int, last: int
    ) -> None:
        """Sums of all rows of the strip and of B's panels first ... last - 1, panel by panel."""
        quads = B.shape[1]
        a, b, c, start = packed.ctypes.data, B.ctypes.data, scratch.ctypes.data, starts.ctypes.data
        begin()
        for quad in range(0, quads, BLOCK_QUADS):
            count = min(BLOCK_QUADS, quads - quad)
            for j in range(first, last):
                for i in range(panels):
                    multiply_panel(
                        a + (i * quads + quad) * a_quad_bytes,
                        b + (j * quads + quad) * QUAD_BYTES,
                        c + ((j - first) * panels + i) * PANEL * QUAD_BYTES,
                        count,
                        start + j * QUAD_BYTES if quad == 0 else 0,
                    )
        end()

    arguments = "uint8[::1], int64, int32[:,:,::1], int32[::1], int32[::1]"

    @jit.kernel(f"void({arguments}, int64, int64)")
    def multiply_fold(
        packed: Any, panels: int, B: Any, starts: Any, scratch: Any, out: int, pitch: int
    ) -> None:
        sums = scratch.ctypes.data
        for first in range(0, B.shape[0], BLOCK_PANELS):
            last = min(first + BLOCK_PANELS, B.shape[0])
            multiply_block(packed, panels, B, starts, scratch, first, last)
            for row in range(panels * PANEL):
                for j in range(first, last):
                    line = ((j - first) * panels * PANEL + row) * QUAD_BYTES
                    fold_line(sums + line, out + row * pitch + j * PANEL)

    @jit.kernel(f"void({arguments}, int32[:,::1])")
    def multiply(packed: Any, panels: int, B: Any, starts: Any, scratch: Any, out: Any) -> None:
        m, n = out.shape
        from_here, to, pitch = scratch.ctypes.data, out.ctypes.data, out.strides[0]
        aligned = to % QUAD_BYTES == 0 and pitch % QUAD_BYTES == 0
        for first in range(0, B.shape[0], BLOCK_PANELS):
            last = min(first + BLOCK_PANELS, B.shape[0])
            multiply_block(packed, panels, B, starts, scratch, first, last)
            for row in range(m):
                for j in range(first, last):
                    at = ((j - first) * panels * PANEL + row) * PANEL
                    if aligned:
                        stream(from_here + 4 * at, to + row * pitch + j * QUAD_BYTES)
                    else:
                        width = min(PANEL, n - j * PANEL)
                        target = out[row, j * PANEL : j * PANEL + width]
                        for column in range(width):
                            target[column] = scratch[at + column]
        fence()

    return ProductKernels(
        microkernel.pack(jit, pack_quads),
        pack_quads,
        multiply_fold,
        multiply,
        None if sum_quads is None else _build_sum_panels(jit, sum_quads),
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
def fold_line(builder: Builder, source: Value, target: Value) -> None:
    """32 sums into 32 entries of the next R: the low byte of C XOR (C >> 8)."""
    kind = ir.vector(I32, PANEL)
    c = ir.load(builder, kind, source, 64)
    folded = builder.xor(c, builder.ashr(c, ir.splat(kind, 8)))
    ir.store(builder, builder.trunc(folded, ir.vector(I8, PANEL)), target, 1)


@ir.inline
def stream(builder: Builder, source: Value, target: Value) -> None:
    """Copy 128 bytes, both aligned to 64, past the caches."""
    kind = ir.vector(I32, 16)
    for place in (0, 64):
        value = ir.load(builder, kind, ir.offset(builder, source, place), 64)
        kept = ir.store(builder, value, ir.offset(builder, target, place), 64)
        kept.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))


@ir.inline
def fence(builder: Builder) -> None:
    """Stores past the caches are seen by other threads from here on."""
    builder.fence("seq_cst")
