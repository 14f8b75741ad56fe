"""Philox4x32-10 in vectors: rows of A one after the other, or B's panels of quads at once.

Each lane is one counter, and holds each of its four words in 64 bits whose upper half is whatever
was left there. So a round needs no masks and no shuffles: the multiplication (pmuludq, umull) reads
lower halves only, its product's upper half is one shift away, and its lower half is the product
itself. Six instructions a round and vector; `kernels.expand.reference` has the rounds to compare.

Lanes are neighbouring counters of a row for A, 16 bytes each, whose words are interleaved in the
end. For B they are the 32 rows of a panel, and then the four words are four lines of the packed
operand, as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import uint32

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value, copy_bytes
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES

LANES = 32
"""Counters at once: four AVX-512 vectors, so that one round's latency hides behind the others."""
M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = 0xFFFFFFFF
ROUNDS = 10
COUNTER_BYTES = 16


@dataclass(frozen=True, slots=True)
class ExpandKernels:
    """The compiled kernels. `words` are an operand's four: key, key, and half the counter."""

    rows: Any
    """(words, rows, pitch, out): rows of n int8, `pitch` bytes apart, from out's first byte."""
    panels: Any
    """(words, first row, n, B): all of B, [p][K / 4][32] int32, zero from column n on."""


def _lanes(builder: Builder, word: Value, step: int) -> Value:
    """An int32 in 64 bits, and `step` more in each lane than in the one before."""
    first = ir.broadcast(builder, builder.zext(word, I64), LANES)
    kind = ir.vector(I64, LANES)
    return builder.add(first, ir.lanes_from(kind, [step * lane for lane in range(LANES)]))


def _rounds(builder: Builder, c0: Value, c1: Value, operand: Sequence[Value]) -> list[Value]:
    """Four words for each lane, in the lower halves; an operand's four int32 are in every lane."""
    kind = c0.type
    low, half = ir.splat(kind, LOW), ir.splat(kind, 32)
    m0, m1 = ir.splat(kind, M0), ir.splat(kind, M1)
    k0, k1, *rest = operand
    c2, c3 = (_lanes(builder, word, 0) for word in rest)
    for _ in range(ROUNDS):
        key0, key1 = (_lanes(builder, k, 0) for k in (k0, k1))
        p0 = builder.mul(builder.and_(c0, low), m0)
        p1 = builder.mul(builder.and_(c2, low), m1)
        c0, c1 = builder.xor(builder.xor(builder.lshr(p1, half), c1), key0), p1
        c2, c3 = builder.xor(builder.xor(builder.lshr(p0, half), c3), key1), p0
        k0, k1 = builder.add(k0, I32(W0)), builder.add(k1, I32(W1))
    return [c0, c1, c2, c3]


@ir.inline
def counters_in_a_row(
    builder: Builder,
    target: Value,
    q: Value,
    row: Value,
    k0: Value,
    k1: Value,
    c2: Value,
    c3: Value,
) -> None:
    """Write the 16 bytes of each of the counters q ... q + 31 of a row, 512 bytes."""
    words = _rounds(builder, _lanes(builder, q, 1), _lanes(builder, row, 0), (k0, k1, c2, c3))
    kind = ir.vector(I64, LANES)
    low, half = ir.splat(kind, LOW), ir.splat(kind, 32)
    halves = [
        builder.or_(builder.and_(words[i], low), builder.shl(words[i + 1], half)) for i in (0, 2)
    ]
    order = [lane // 2 + LANES * (lane % 2) for lane in range(2 * LANES)]
    together = builder.shuffle_vector(*halves, ir.lanes_from(ir.vector(I32, 2 * LANES), order))
    ir.store(builder, together, target, 1)


@ir.inline
def counter_of_a_panel(
    builder: Builder,
    target: Value,
    q: Value,
    row: Value,
    k0: Value,
    k1: Value,
    c2: Value,
    c3: Value,
) -> None:
    """Write the four quads of counter q of the rows row ... row + 31, 4 lines of 128 bytes."""
    words = _rounds(builder, _lanes(builder, q, 0), _lanes(builder, row, 1), (k0, k1, c2, c3))
    for line, word in enumerate(words):
        narrow = builder.trunc(word, ir.vector(I32, LANES))
        ir.store(builder, narrow, ir.offset(builder, target, QUAD_BYTES * line), 64)


def build(jit: Jit) -> ExpandKernels:
    """The kernels; LLVM cuts 32 lanes into whatever vectors the CPU has."""

    @jit.kernel("void(uint32[::1], int64[::1], int64, int64, int64)")
    def expand_rows(words: Any, rows: Any, n: int, target: int, pitch: int) -> None:
        k0, k1, c2, c3 = words[0], words[1], words[2], words[3]
        block = COUNTER_BYTES * LANES
        rest = np.empty(block, np.uint8)
        for i in range(rows.shape[0]):
            place = target + i * pitch
            row = uint32(rows[i])
            for first in range(0, n - n % block, block):
                q = uint32(first // COUNTER_BYTES)
                counters_in_a_row(place + first, q, row, k0, k1, c2, c3)
            if n % block:
                first = n - n % block
                q = uint32(first // COUNTER_BYTES)
                counters_in_a_row(rest.ctypes.data, q, row, k0, k1, c2, c3)
                copy_bytes(place + first, rest.ctypes.data, n % block)

    @jit.kernel("void(uint32[::1], int64, int64, int32[:,:,::1])")
    def expand_panels(words: Any, first_row: int, n: int, B: Any) -> None:
        k0, k1, c2, c3 = words[0], words[1], words[2], words[3]
        whole, left = n // 4, n % 4
        panels, quads, _ = B.shape
        for panel in range(panels):
            target = B.ctypes.data + panel * quads * QUAD_BYTES
            row = uint32(first_row + panel * PANEL)
            for q in range((n + COUNTER_BYTES - 1) // COUNTER_BYTES):
                counter_of_a_panel(target + 4 * q * QUAD_BYTES, uint32(q), row, k0, k1, c2, c3)
            for quad in range(whole, quads):
                line = B[panel, quad]
                for i in range(PANEL):
                    keep = (1 << 8 * left) - 1 if quad == whole else 0
                    line[i] = line[i] & keep

    return ExpandKernels(expand_rows, expand_panels)
