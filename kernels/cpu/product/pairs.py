"""Pairs of int16: for every CPU without instructions for int8, in IR that names no CPU.

Two neighbours are multiplied as int16 and added to one int32, which is one instruction nearly
everywhere, and LLVM finds it: pmaddwd (SSE2), vpmaddwd (AVX2, AVX-512BW), vpdpwssd (AVX512_VNNI);
on AArch64 smull, smull2 and permutations. Intrinsics Guide: _mm256_madd_epi16. A product is at most
2^14, the sum of two 2^15: exact.

A quad x of int8 becomes two pairs without a shuffle, by shifts of its int16 halves:

    even = (x << 8) >> 8  ->  entries 0 and 2        odd = x >> 8  ->  entries 1 and 3

A is split so when it is packed. B, whose panels all tiers share, is split piece by piece, 64 quads
of a panel, before 8 panels of A are multiplied with it; `registers.py` has the order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.cpu import ir
from kernels.cpu.ir import I16, I32, I64, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, Microkernel
from kernels.cpu.product.registers import (
    RegisterTile,
    for_row_groups,
    load_columns,
    multiply_panel,
)

BLOCK_PANELS, BLOCK_QUADS = 4, 64
"""Half as many as others: C's block and A's piece take 128 KiB each, and fit where the L2 cache of
two threads is 512 KiB."""
TILES = {
    512: RegisterTile(lanes=16, vectors=2, rows=(12, 12, 8), entry_bytes=2),
    256: RegisterTile(lanes=8, vectors=2, rows=(6,) * 2 + (5,) * 4, entry_bytes=2),
    128: RegisterTile(lanes=4, vectors=2, rows=(6,) * 2 + (5,) * 4, entry_bytes=2),
}


def _split(builder: Builder, quads: Value) -> tuple[Value, Value]:
    """Even and odd entries of int8, as pairs of int16."""
    halves = ir.vector(I16, 2 * quads.type.count)
    eight = ir.splat(halves, 8)
    x = builder.bitcast(quads, halves)
    even, odd = builder.ashr(builder.shl(x, eight), eight), builder.ashr(x, eight)
    return builder.bitcast(even, quads.type), builder.bitcast(odd, quads.type)


def _dot(builder: Builder, sums: Value, x: Value, y: Value) -> Value:
    """Sums + x[2 lane] * y[2 lane] + x[2 lane + 1] * y[2 lane + 1]."""
    lanes = sums.type.count
    pairs, wide = ir.vector(I16, 2 * lanes), ir.vector(I32, 2 * lanes)
    x, y = (builder.sext(builder.bitcast(value, pairs), wide) for value in (x, y))
    products = builder.mul(x, y)
    first, second = (
        builder.shuffle_vector(
            products,
            ir.undefined(wide),
            ir.lanes_from(ir.vector(I32, lanes), range(start, 2 * lanes, 2)),
        )
        for start in (0, 1)
    )
    return builder.add(sums, builder.add(first, second))


def build(bits: int) -> Microkernel:
    """For vectors of 512, 256 or 128 bits."""
    tile = TILES[bits]
    width = 4 * tile.lanes

    @ir.inline
    def multiply(
        builder: Builder, a: Value, b: Value, c: Value, quads: Value, starts: Value
    ) -> None:
        """C (+)= A B^T of one panel."""
        multiply_panel(builder, tile, (a, b, c, quads, starts), _dot)

    @ir.inline
    def widen(builder: Builder, b: Value, quads: Value, target: Value) -> None:
        """A piece of a panel of B, int8, as int16."""

        def group(turn: Value, _: Sequence[Value]) -> list[Value]:
            left = builder.mul(turn, I64(4 * tile.columns))
            to = builder.add(target, builder.mul(builder.mul(left, quads), I64(2)))

            def quad(_: Value, places: Sequence[Value]) -> list[Value]:
                source, to = places
                for j, x in enumerate(load_columns(builder, tile, source)):
                    for half, part in enumerate(_split(builder, x)):
                        place = ir.offset(builder, to, width * (half * tile.vectors + j))
                        ir.store(builder, part, place, width)
                return [
                    ir.offset(builder, source, QUAD_BYTES),
                    ir.offset(builder, to, 8 * tile.columns),
                ]

            ir.loop(builder, quads, [builder.add(b, left), to], quad)
            return []

        ir.loop(builder, I64(PANEL // tile.columns), [], group)

    def make_pack(jit: Jit, pack_quads: Any) -> Any:
        return _make_pack(jit, pack_quads, tile)

    return Microkernel(
        multiply,
        make_pack,
        2 * QUAD_BYTES,
        ir.no_operation,
        ir.no_operation,
        widen=widen,
        block_panels=BLOCK_PANELS,
        block_quads=BLOCK_QUADS,
    )


def _split_rows(tile: RegisterTile) -> Any:
    @ir.inline
    def split_rows(builder: Builder, source: Value, quads: Value, target: Value) -> None:
        """A piece of a panel of quads, [quads][32] int32, as [group][quad][even, odd][rows][2]."""

        def group(rows: int, row: Value) -> None:
            def quad(_: Value, places: Sequence[Value]) -> list[Value]:
                source, to = places
                halves = _split(builder, ir.load(builder, ir.vector(I32, rows), source, 4))
                for half, part in enumerate(halves):
                    ir.store(builder, part, ir.offset(builder, to, 4 * rows * half), 4)
                return [
                    ir.offset(builder, source, QUAD_BYTES),
                    ir.offset(builder, to, 8 * rows),
                ]

            start = builder.add(source, builder.mul(row, I64(4)))
            to = builder.add(target, builder.mul(builder.mul(row, I64(8)), quads))
            ir.loop(builder, quads, [start, to], quad)

        for_row_groups(builder, tile, group)

    return split_rows


def _make_pack(jit: Jit, pack_quads: Any, tile: RegisterTile) -> Callable[[Any, int, Any], None]:
    """Quads first, which are then split in place, from the last piece on."""
    split_rows = _split_rows(tile)

    @jit.kernel("void(int32[::1], int64, int64)")
    def split_quads(packed: Any, panels: int, quads: int) -> None:
        held = np.empty(BLOCK_QUADS * PANEL, np.int32)
        pieces = (quads + BLOCK_QUADS - 1) // BLOCK_QUADS
        # What begins at x moves to 2 x: later pieces are out of the way already.
        for number in range(panels * pieces - 1, -1, -1):
            panel, piece = number // pieces, number % pieces
            first = piece * BLOCK_QUADS
            count = min(BLOCK_QUADS, quads - first)
            start = (panel * quads + first) * PANEL
            held[: count * PANEL] = packed[start : start + count * PANEL]
            split_rows(held.ctypes.data, count, packed.ctypes.data + 8 * start)

    def pack(X: Any, panels: int, packed: Any) -> None:
        pack_quads(X, panels, packed, np.int32(0))
        split_quads(packed.view(np.int32), panels, X.shape[1] // 4)

    return pack
