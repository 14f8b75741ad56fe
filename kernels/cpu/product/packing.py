"""Rows into panels of quads, [panel][k / 4][32 rows][4]: squares of int32, transposed."""

from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES
from kernels.cpu.transpose import transpose


def turn_over(lanes: int) -> Any:
    """The intrinsic that turns a square of quads over."""

    @ir.inline
    def turn_over_quads(
        builder: Builder, source: Value, pitch: Value, target: Value, flip: Value
    ) -> None:
        """`lanes` rows of as many quads, `pitch` bytes apart -> quads, 128 bytes apart."""
        flips = ir.broadcast(builder, flip, lanes)
        kind = ir.vector(I32, lanes)
        rows = [
            ir.load(builder, kind, builder.add(source, builder.mul(pitch, I64(row))), 4)
            for row in range(lanes)
        ]
        for number, quads in enumerate(transpose(builder, rows)):
            place = ir.offset(builder, target, QUAD_BYTES * number)
            ir.store(builder, builder.xor(quads, flips), place, 4 * lanes)

    return turn_over_quads


def build_pack_quads(jit: Jit, bits: int) -> Any:
    """Makes the kernel (X, panels, packed, flip): X is padded to 32 rows and 64 columns.

    `flip` is an int32 that every quad is XORed with.
    """
    lanes = bits // 32
    turn_over_quads = turn_over(lanes)

    @jit.kernel("void(int8[:,::1], int64, uint8[::1], int32)")
    def pack_quads(X: Any, panels: int, packed: Any, flip: Any) -> None:
        pitch = X.shape[1]
        quads = pitch // 4
        source, target = X.ctypes.data, packed.ctypes.data
        for panel in range(panels):
            for first in range(0, PANEL, lanes):
                for quad in range(0, quads, lanes):
                    turn_over_quads(
                        source + (panel * PANEL + first) * pitch + 4 * quad,
                        pitch,
                        target + (panel * quads + quad) * QUAD_BYTES + 4 * first,
                        flip,
                    )

    return pack_quads
