"""Numbers for an addition in 32 bits (add.py), found and then tried on every pair of bytes."""

import numpy as np

from kernels.cpu.network.add import LINE_SHIFT
from kernels.network.graph.elementwise import Add
from kernels.network.graph.kernels import Side
from kernels.network.graph.products import one_scale
from kernels.network.graph.reference import add

NUDGES = (0, 64, -64, 512, -512)


def line_of(op: Add) -> tuple[int, int, int] | None:
    """Return left, right and constant that give what `op` gives for all bytes, or None."""
    values = np.arange(-128, 128, dtype=np.int8)
    a, b = (x.reshape(-1) for x in np.meshgrid(values, values, indexing="ij"))
    sides = (
        Side(a, op.left_zero, op.left_multiplier, op.left_exponent),
        Side(b, op.right_zero, op.right_multiplier, op.right_exponent),
    )
    right_answer = add(*sides, op.sign, one_scale(op)).astype(np.int64) + 128
    whole = op.multiplier * 2.0 ** (op.exponent - 31 + 20 + LINE_SHIFT)
    left = round(whole * op.left_multiplier * 2.0 ** (op.left_exponent - 31))
    right = op.sign * round(whole * op.right_multiplier * 2.0 ** (op.right_exponent - 31))
    if max(abs(left), abs(right)) >= 1 << 30:
        return None
    zero = ((op.output_zero + 128) << LINE_SHIFT) + (1 << (LINE_SHIFT - 1))
    x, z = a.astype(np.int64) + 128, b.astype(np.int64) + 128
    for nudge in NUDGES:
        constant = zero + nudge - left * (op.left_zero + 128) - right * (op.right_zero + 128)
        total = x * left + z * right + constant
        if np.abs(total).max() >= 1 << 31 or abs(constant) >= 1 << 31:
            return None
        y = np.clip(total >> LINE_SHIFT, op.low + 128, op.high + 128)
        if np.array_equal(y, right_answer):
            return left, right, constant
    return None
