"""32-bit words byte by byte: four products of theirs in one instruction (PTX ISA, prmt, dp4a).

A word times a signed byte is four products, one for each byte of the word, and a shift. Four words by
bytes times four signed bytes are four dp4a, where a multiply-add for each takes eight instructions.
"""

from typing import Any

from kernels.cuda.check import (
    place_of_piece,
    signed_byte,
    subtract_totals,
)
from kernels.cuda.compiler import cuda, uint32
from kernels.cuda.intrinsics import add32, load4, mul32
from kernels.cuda.ptx import U32, instruction, word


def _permutation(selector: int) -> Any:
    """An instruction: four bytes of two words, named by the selector's digits, lowest first."""

    def meaning(x: Any, y: Any) -> Any:
        both = int(x) | int(y) << 32
        names = [selector >> 4 * i & 7 for i in range(4)]
        return word(sum((both >> 8 * name & 0xFF) << 8 * i for i, name in enumerate(names)))

    text = f"prmt.b32 $0, $1, $2, {selector:#06x};"
    return instruction(text, U32, [U32, U32], meaning=meaning)


bytes_0_1, bytes_2_3 = _permutation(0x5140), _permutation(0x7362)
halves_0, halves_1 = _permutation(0x5410), _permutation(0x7632)
"""A transposition of 4 x 4 bytes: first of pairs of words, then of pairs of pairs."""


def _dot4_bytes(x: Any, y: Any, total: Any) -> Any:
    pairs = [(int(x) >> 8 * i & 0xFF, int(signed_byte(y, 8 * i))) for i in range(4)]
    return word(int(total) + sum(a * b for a, b in pairs))


dot4_bytes = instruction("dp4a.u32.s32 $0, $1, $2, $3;", U32, [U32, U32, U32], meaning=_dot4_bytes)
"""(x, y, total): plus the bytes of x, without sign, times those of y, with."""


@cuda.jit(device=True)
def by_bytes(u: Any) -> Any:
    """Four words, byte by byte: word b of the result holds byte b of each, the first one's lowest."""
    left_low, left_high = bytes_0_1(u[0], u[1]), bytes_2_3(u[0], u[1])
    right_low, right_high = bytes_0_1(u[2], u[3]), bytes_2_3(u[2], u[3])
    return (
        halves_0(left_low, right_low), halves_1(left_low, right_low),
        halves_0(left_high, right_high), halves_1(left_high, right_high),
    )  # fmt: skip


@cuda.jit(device=True)
def dot16_by_bytes(chunk: Any, u0: Any, u1: Any, u2: Any, u3: Any) -> Any:
    """`dot16` with words by bytes: one instruction for four products, half as many as there."""
    a, b, c, d = chunk
    t0 = t1 = t2 = t3 = uint32(0)
    t0, t1 = dot4_bytes(u0[0], a, t0), dot4_bytes(u0[1], a, t1)
    t2, t3 = dot4_bytes(u0[2], a, t2), dot4_bytes(u0[3], a, t3)
    t0, t1 = dot4_bytes(u1[0], b, t0), dot4_bytes(u1[1], b, t1)
    t2, t3 = dot4_bytes(u1[2], b, t2), dot4_bytes(u1[3], b, t3)
    t0, t1 = dot4_bytes(u2[0], c, t0), dot4_bytes(u2[1], c, t1)
    t2, t3 = dot4_bytes(u2[2], c, t2), dot4_bytes(u2[3], c, t3)
    t0, t1 = dot4_bytes(u3[0], d, t0), dot4_bytes(u3[1], d, t1)
    t2, t3 = dot4_bytes(u3[2], d, t2), dot4_bytes(u3[3], d, t3)
    low = add32(t0, mul32(t1, uint32(1 << 8)))
    return add32(low, add32(mul32(t2, uint32(1 << 16)), mul32(t3, uint32(1 << 24))))


@cuda.jit(device=True)
def subtract_piece_by_bytes(r: Any, u: Any, sums: Any, tiles: Any, piece: Any, thread: Any) -> None:
    """`subtract_piece` in fewer instructions, which begin later."""
    at, column, row = place_of_piece(tiles, piece, thread)
    totals = cuda.local.array(8, uint32)
    c0, c1 = load4(r, at), load4(r, at + 1024)
    c2, c3 = load4(r, at + 2048), load4(r, at + 3072)
    c4, c5 = load4(r, at + 4096), load4(r, at + 5120)
    c6, c7 = load4(r, at + 6144), load4(r, at + 7168)
    u0, u1 = by_bytes(load4(u, column)), by_bytes(load4(u, column + 16))
    u2, u3 = by_bytes(load4(u, column + 32)), by_bytes(load4(u, column + 48))
    totals[0], totals[1] = dot16_by_bytes(c0, u0, u1, u2, u3), dot16_by_bytes(c1, u0, u1, u2, u3)
    totals[2], totals[3] = dot16_by_bytes(c2, u0, u1, u2, u3), dot16_by_bytes(c3, u0, u1, u2, u3)
    totals[4], totals[5] = dot16_by_bytes(c4, u0, u1, u2, u3), dot16_by_bytes(c5, u0, u1, u2, u3)
    totals[6], totals[7] = dot16_by_bytes(c6, u0, u1, u2, u3), dot16_by_bytes(c7, u0, u1, u2, u3)
    subtract_totals(sums, row, totals, thread)
