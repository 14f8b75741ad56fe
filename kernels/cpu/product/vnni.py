"""VNNI: one instruction adds four products of int8 to each of 16 (or 8) int32.

Intel SDM, volume 2, VPDPBUSD; Intrinsics Guide: _mm512_dpbusd_epi32 (AVX512_VNNI) and
_mm256_dpbusd_avx_epi32 (AVX-VNNI):

    sum[lane] += a[4 lane] * b[4 lane] + ... + a[4 lane + 3] * b[4 lane + 3]      a unsigned, b signed

and sums wrap around, nothing saturates. A is signed, too, so its panels hold A + 128 (the top bit
flipped), and the sums start from -128 * (the sum of B's row), which comes once from B and serves
every row of A:

    sum over k of (A + 128) * B  -  128 * sum over k of B  =  sum over k of A * B

    A[panel][k / 4][32 rows][4]          one quad of a row goes into all lanes (vpbroadcastd)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, Microkernel
from kernels.cpu.product.registers import RegisterTile, multiply_panel

FEATURES_512 = frozenset({"avx512f", "avx512bw", "avx512vnni"})
FEATURES_256 = frozenset({"avx2", "avxvnni"})
TILE_512 = RegisterTile(lanes=16, vectors=2, rows=(11, 11, 10))
TILE_256 = RegisterTile(lanes=8, vectors=2, rows=(6,) * 2 + (5,) * 4)
FLIP = 0x80808080 - 2**32
"""Adds 128 to each of four int8, as an int32."""


def _dot(builder: Builder, sums: Value, unsigned: Value, signed: Value) -> Value:
    lanes = sums.type.count
    kind, bytes_of_it = ir.vector(I32, lanes), ir.vector(I8, 4 * lanes)
    a, b = (builder.bitcast(x, bytes_of_it) for x in (unsigned, signed))
    return ir.call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", kind, sums, a, b)


def _build(tile: RegisterTile) -> Microkernel:
    lanes, width = tile.lanes, 4 * tile.lanes

    @ir.inline
    def multiply(
        builder: Builder, a: Value, b: Value, c: Value, quads: Value, starts: Value
    ) -> None:
        """C (+)= A B^T of one panel."""
        multiply_panel(builder, tile, (a, b, c, quads, starts), _dot)

    @ir.inline
    def sum_quads(builder: Builder, b: Value, quads: Value, starts: Value) -> None:
        """What the sums over one panel of B start from: -128 * the sum of each of its rows."""
        kind = ir.vector(I32, lanes)
        ones = ir.splat(ir.vector(I32, lanes), 0x01010101)
        count = PANEL // lanes

        def step(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            b, *sums = carried
            for j in range(count):
                column = ir.load(builder, kind, ir.offset(builder, b, width * j), width)
                sums[j] = _dot(builder, sums[j], ones, column)
            return [ir.offset(builder, b, QUAD_BYTES), *sums]

        _, *sums = ir.loop(builder, quads, [b] + [ir.splat(kind, 0)] * count, step)
        for j, total in enumerate(sums):
            scaled = builder.mul(total, ir.splat(kind, -128))
            ir.store(builder, scaled, ir.offset(builder, starts, width * j), width)

    return Microkernel(multiply, make_pack, QUAD_BYTES, ir.no_operation, ir.no_operation, sum_quads)


def make_pack(_jit: Jit, pack_quads: Any) -> Callable[[Any, int, Any], None]:
    """Quads, with 128 added to every entry."""
    return lambda X, panels, packed: pack_quads(X, panels, packed, np.int32(FLIP))


def build_512() -> Microkernel:
    """AVX512_VNNI: 16 lanes and 32 registers; 22 sums, two vectors of B, a row of A."""
    return _build(TILE_512)


def build_256() -> Microkernel:
    """AVX-VNNI, for CPUs without AVX-512: 8 lanes and 16 registers, 6 x 2 sums."""
    return _build(TILE_256)
