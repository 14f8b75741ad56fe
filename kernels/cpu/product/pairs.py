"""Pairs of int16: for every CPU without instructions for int8, in IR that names no CPU.

Two neighbours are multiplied as int16 and added to one int32, which is one instruction nearly
everywhere, and LLVM finds it: pmaddwd (SSE2), vpmaddwd (AVX2, AVX-512BW), vpdpwssd (AVX512_VNNI);
on AArch64 smull and addp. Intrinsics Guide: _mm256_madd_epi16. A product is at most 2^14, the sum
of two 2^15: exact.

A quad x of int8 becomes two pairs without a shuffle, by shifts of its int16 halves:

    even = (x << 8) >> 8  ->  entries 0 and 2        odd = x >> 8  ->  entries 1 and 3

B is split so in registers, once for all the rows that share it; A when it is packed:

    A[panel][k / 4][even, odd][32 rows][2]           int16
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.cpu import ir
from kernels.cpu.ir import I16, I32, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, Microkernel
from kernels.cpu.product.registers import RegisterTile, load_columns, multiply_panel

TILES = {
    512: RegisterTile(lanes=16, vectors=2, rows=(12, 12, 8)),
    256: RegisterTile(lanes=8, vectors=1, rows=(8,) * 4),
    128: RegisterTile(lanes=4, vectors=2, rows=(4,) * 8),
}


def _split(builder: Builder, quads: Value, lanes: int) -> tuple[Value, Value]:
    """Even and odd entries of int8, as <2 lanes x i16>."""
    halves = ir.vector(I16, 2 * lanes)
    eight = ir.splat(halves, 8)
    x = builder.bitcast(quads, halves)
    return builder.ashr(builder.shl(x, eight), eight), builder.ashr(x, eight)


def _dot(builder: Builder, lanes: int, sums: Value, x: Value, y: Value) -> Value:
    """Sums + x[2 lane] * y[2 lane] + x[2 lane + 1] * y[2 lane + 1]."""
    wide = ir.vector(I32, 2 * lanes)
    products = builder.mul(builder.sext(x, wide), builder.sext(y, wide))
    undefined = ir.undefined(wide)
    first, second = (
        builder.shuffle_vector(
            products,
            undefined,
            ir.lanes_from(ir.vector(I32, lanes), range(start, 2 * lanes, 2)),
        )
        for start in (0, 1)
    )
    return builder.add(sums, builder.add(first, second))


def build(bits: int) -> Microkernel:
    """For vectors of 512, 256 or 128 bits."""
    tile = TILES[bits]
    lanes = tile.lanes

    @ir.inline
    def multiply(
        builder: Builder, a: Value, b: Value, c: Value, quads: Value, starts: Value
    ) -> None:
        """C (+)= A B^T of one panel."""

        def step(
            builder: Builder, rows: int, a: Value, b: Value, sums: Sequence[Value]
        ) -> list[Value]:
            columns = [_split(builder, x, lanes) for x in load_columns(builder, tile, b)]
            results = list(sums)
            for i in range(rows):
                for half in (0, 1):
                    place = ir.offset(builder, a, QUAD_BYTES * half + 4 * i)
                    pair = ir.broadcast(builder, ir.load(builder, I32, place, 4), lanes)
                    row = builder.bitcast(pair, ir.vector(I16, 2 * lanes))
                    for j in range(tile.vectors):
                        k = i * tile.vectors + j
                        results[k] = _dot(builder, lanes, results[k], row, columns[j][half])
            return results

        multiply_panel(builder, tile, (a, b, c, quads, starts), 2 * QUAD_BYTES, step)

    return Microkernel(multiply, make_pack, 2 * QUAD_BYTES, ir.no_operation, ir.no_operation)


def make_pack(jit: Jit, pack_quads: Any) -> Callable[[Any, int, Any], None]:
    """Quads first, which are then split in place, from the last one on."""

    @jit.kernel("void(int16[::1], int64)")
    def split_quads(halves: Any, quads: int) -> None:
        line = 2 * PANEL
        held = np.empty(line, np.int16)
        # Quad q moves to where 2 q and 2 q + 1 lie: later ones are out of the way already.
        for quad in range(quads - 1, -1, -1):
            held[:] = halves[quad * line : (quad + 1) * line]
            even = halves[2 * quad * line : (2 * quad + 1) * line]
            odd = halves[(2 * quad + 1) * line : (2 * quad + 2) * line]
            for i in range(line):
                even[i] = np.int16(np.int16(held[i] << 8) >> 8)
                odd[i] = np.int16(held[i] >> 8)

    def pack(X: Any, panels: int, packed: Any) -> None:
        pack_quads(X, panels, packed, np.int32(0))
        split_quads(packed.view(np.int16), panels * (X.shape[1] // 4))

    return pack
