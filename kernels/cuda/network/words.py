"""Four neighbouring int8 in a 32-bit word: what kernels do with them, in 32-bit instructions.

A thread that takes four entries at a time reads and writes words; numba's own int64 arithmetic, with
its divisions, was what most of a network's time went into.
"""

from typing import Any

from kernels.cuda.check import signed_byte
from kernels.cuda.compiler import int32, int64, uint32
from kernels.cuda.intrinsics import add32, load4, mul32, unsigned_divide
from kernels.cuda.network.kernel import device
from kernels.cuda.ptx import U32, instruction, word
from kernels.network.graph.rounding import LEAST_INT32, MOST_INT32


def _signed(x: Any) -> int:
    return (int(x) - LEAST_INT32) % (1 << 32) + LEAST_INT32


def _scaled(x: Any, multiplier: Any, exponent: Any, zero: Any, low: Any, high: Any) -> Any:
    left, right = max(_signed(exponent), 0), max(-_signed(exponent), 0)
    product = (_signed(int(x) << left) * _signed(multiplier) + (1 << 30)) >> 31
    product = min(product, MOST_INT32)
    mask = (1 << right) - 1
    quotient = (product >> right) + ((product & mask) > (mask >> 1) + (product < 0))
    return word(min(max(quotient + _signed(zero), _signed(low)), _signed(high)))


scaled_word = instruction(
    "{ .reg .b64 p; .reg .b32 t, e, m, h, q; .reg .pred k;\n"
    "max.s32 e, $3, 0; shl.b32 t, $1, e; sub.s32 e, e, $3;\n"
    "mul.wide.s32 p, t, $2; add.s64 p, p, 0x40000000; shr.s64 p, p, 31; cvt.u32.u64 t, p;\n"
    "shl.b32 m, 1, e; sub.s32 m, m, 1; shr.u32 h, t, 31; shr.u32 q, m, 1; add.s32 h, h, q;\n"
    "and.b32 m, m, t; setp.gt.s32 k, m, h; shr.s32 q, t, e; @k add.s32 q, q, 1;\n"
    "add.s32 q, q, $4; max.s32 q, q, $5; min.s32 $0, q, $6; }",
    U32,
    [U32, U32, U32, U32, U32, U32],
    meaning=_scaled,
)
"""(x, multiplier, exponent, zero, low, high): `fixed.scale`, plus zero, clamped. A model whose sums,
shifted to the left, could leave int32 was refused, and a multiplier is not negative."""

packed_word = instruction(
    "{ .reg .b32 l, h; prmt.b32 l, $1, $2, 0x0040; prmt.b32 h, $3, $4, 0x0040;"
    " prmt.b32 $0, l, h, 0x5410; }",
    U32,
    [U32, U32, U32, U32],
    meaning=lambda *x: word(int.from_bytes(bytes(int(i) & 0xFF for i in x), "little")),
)
"""The low bytes of four words, the first one's lowest."""


@device
def add_products(sums: Any, x: Any, y: Any) -> Any:
    """The four sums plus the products of four int8 by four."""
    a = mul32(signed_byte(x, uint32(0)), signed_byte(y, uint32(0)))
    b = mul32(signed_byte(x, uint32(8)), signed_byte(y, uint32(8)))
    c = mul32(signed_byte(x, uint32(16)), signed_byte(y, uint32(16)))
    d = mul32(signed_byte(x, uint32(24)), signed_byte(y, uint32(24)))
    return add32(sums[0], a), add32(sums[1], b), add32(sums[2], c), add32(sums[3], d)


@device
def four_scaled(
    sums: Any, scaling: Any, four: Any, channels: Any, zero: Any, low: Any, high: Any
) -> Any:
    """Four neighbouring channels' sums as int8. `scaling`: bias, multiplier and exponent of each."""
    at, row = int64(four) * 16, int64(channels) * 4
    bias, m, e = load4(scaling, at), load4(scaling, at + row), load4(scaling, at + 2 * row)
    return packed_word(
        scaled_word(add32(sums[0], bias[0]), m[0], e[0], zero, low, high),
        scaled_word(add32(sums[1], bias[1]), m[1], e[1], zero, low, high),
        scaled_word(add32(sums[2], bias[2]), m[2], e[2], zero, low, high),
        scaled_word(add32(sums[3], bias[3]), m[3], e[3], zero, low, high),
    )


@device
def divided(x: Any, y: Any) -> Any:
    """Quotient and remainder of numbers from 0 to 2^31 - 1."""
    quotient = unsigned_divide(int32(x), int32(y))
    return quotient, int32(x - quotient * y)
