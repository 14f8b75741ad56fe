"""SHA-256 (FIPS 180-4) on the device: small functions that the compiler puts together in registers.

A state is a tuple of eight words, a message block four tuples of four. What takes time is one thread's
chain of 64 rounds, so the code is kept small rather than unrolled: 16 rounds stand in a loop whose
trip count is a multiple of an argument `one`, always 1, which the compiler cannot know. The constants
come from shared memory, 16 bytes at a time (`copy_constants`). `factor` is what `plus` takes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.commit.sha256 import INITIAL, K
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    add32,
    choose,
    load4,
    majority,
    rotate_right,
    shift_right,
    store4,
    xor3,
)
from kernels.cuda.ptx import I32, U32, Code, instruction, operation, tuple_of, word
from kernels.digest import LEAF_TAG, NODE_TAG, tag_prefix
from kernels.task import LEAF_BYTES

Words = tuple[int, ...]

# ---------------------------------------------------------------------------------------------------
# On the host: constants, and digests as bytes.


def _rotated(x: int, n: int) -> int:
    return (x >> n | x << (32 - n)) & 0xFFFFFFFF


def schedule(block: Sequence[int]) -> Words:
    """The schedule of a message block of 16 words: 64 words."""
    w = list(block)
    for t in range(16, 64):
        x, y = w[t - 15], w[t - 2]
        s0 = _rotated(x, 7) ^ _rotated(x, 18) ^ x >> 3
        s1 = _rotated(y, 17) ^ _rotated(y, 19) ^ y >> 10
        w.append((w[t - 16] + s0 + w[t - 7] + s1) & 0xFFFFFFFF)
    return tuple(w)


def midstate(tag: str) -> Words:
    """SHA-256's state after the 64 bytes of a tag's prefix."""
    initial = INITIAL.tolist()
    a, b, c, d, e, f, g, h = initial
    prefix = np.frombuffer(tag_prefix(tag), ">u4").tolist()
    for k, w in zip(K.tolist(), schedule(prefix), strict=True):
        s1 = _rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)
        s0 = _rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)
        t1 = h + s1 + ((e & f) ^ (~e & g)) + k + w
        t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
        a, b, c, d, e, f, g, h = (t1 + t2) & 0xFFFFFFFF, a, b, c, (d + t1) & 0xFFFFFFFF, e, f, g
    return tuple(
        (x + y) & 0xFFFFFFFF for x, y in zip(initial, (a, b, c, d, e, f, g, h), strict=True)
    )


def padding(message_bytes: int) -> Words:
    """The last block of a message that fills the blocks before it, the tag's prefix among them."""
    return (0x80000000, *[0] * 14, 8 * message_bytes)


LEAF_START = tuple(map(np.uint32, midstate(LEAF_TAG)))
NODE_START = tuple(map(np.uint32, midstate(NODE_TAG)))


def _added(message_bytes: int) -> list[int]:
    """A padding block's schedule with the rounds' constants added: it is the same in every hash."""
    return [
        (w + k) & 0xFFFFFFFF
        for w, k in zip(schedule(padding(message_bytes)), K.tolist(), strict=True)
    ]


TABLES = np.array([*K.tolist(), *_added(64 + LEAF_BYTES), *_added(64 + 64)], np.uint32)
"""What kernels take as `tables`: SHA-256's constants K, then for leaves and for nodes the schedule of
the padding block, K added."""
LEAF_PADDING_AT = 256
NODE_PADDING_AT = 512
"""Where in `TABLES` a padding block's schedule begins, in bytes."""

CONSTANT_BYTES = 512
"""Of K and one padding block's schedule, which a kernel keeps in shared memory."""
SCHEDULE_AT = 256
"""Where in them the schedule begins, in bytes."""


def digest_bytes(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Digests, m x 32 bytes, of 8 * m words of a tree's buffer (the values of SHA-256's words)."""
    return words.astype(">u4").view(np.uint8).reshape(-1, 32)


# ---------------------------------------------------------------------------------------------------
# Instructions.


def _emit_shared_words(code: Code, array: Any) -> Any:
    text = "{ .reg .u64 t; cvta.to.shared.u64 t, $1; cvt.u32.u64 $0, t; }"
    (start,) = code.asm(text, 1, [code.address_of(array)])
    return code.asm("add.u32 $0, $1, 15; and.b32 $0, $0, 0xfffffff0;", 1, [start])


shared_words = operation(I32, [None], _emit_shared_words, meaning=lambda array: array)
"""shared_words(array): its first multiple of 16 bytes, as an address for the two below.

Ask for SPARE_WORDS more words than are used. In the simulator it is the array.
"""
SPARE_WORDS = 3
CONSTANTS_ARRAY = CONSTANT_BYTES // 4 + SPARE_WORDS
"""Words of a shared array for the constants alone."""


def _shared_load4(array: Any, offset: Any) -> Any:
    first = int(offset) // 4
    return tuple(word(array[first + i]) for i in range(4))


def _shared_store4(array: Any, offset: Any, *values: Any) -> None:
    first = int(offset) // 4
    for i, value in enumerate(values):
        array[first + i] = value


def _emit_shared_load4(code: Code, address: Any, offset: Any) -> Any:
    text = "ld.shared.v4.u32 {$0, $1, $2, $3}, [$4];"
    return code.asm(text, 4, [code.add(address, offset)], effect=True, memory=True)


def _emit_shared_store4(code: Code, address: Any, offset: Any, *values: Any) -> None:
    text = "st.shared.v4.u32 [$0], {$1, $2, $3, $4};"
    code.asm(text, 0, [code.add(address, offset), *values], memory=True)


shared_load4 = operation(tuple_of(4, U32), [I32, I32], _emit_shared_load4, meaning=_shared_load4)
"""(address, offset in bytes): four words of shared memory."""
shared_store4 = operation(
    None, [I32, I32, U32, U32, U32, U32], _emit_shared_store4, meaning=_shared_store4
)
"""(address, offset in bytes, four words)."""

plus = instruction(
    "mad.lo.u32 $0, $1, $3, $2;",
    U32,
    [U32, U32, U32],
    meaning=lambda x, y, one: word(int(x) * int(one) + int(y)),
)
"""plus(x, y, one): x + y by the multipliers, where `one` is 1 and the compiler cannot know it."""


# ---------------------------------------------------------------------------------------------------
# Compression.


@cuda.jit(device=True)
def sums_of_bits(a: Any, e: Any) -> Any:
    """The two functions of FIPS 180-4 (4.4, 4.5): of `a`, and of `e`."""
    return (
        xor3(rotate_right(a, uint32(2)), rotate_right(a, uint32(13)), rotate_right(a, uint32(22))),
        xor3(rotate_right(e, uint32(6)), rotate_right(e, uint32(11)), rotate_right(e, uint32(25))),
    )


@cuda.jit(device=True)
def one_round(state: Any, wk: Any, one: Any) -> Any:
    """A round with a word of the schedule, its constant added, for a thread that does nothing else.

    A scheduler's integer unit takes a warp's instruction every two cycles, its multipliers another:
    so of the additions only the last of `e` (three operands, one instruction) goes to the integer
    unit, beside ten rotations and bitwise functions: 22 cycles is the least a round takes. With that
    one on the multipliers, too, ptxas finds no order as short as this one's.
    """
    a, b, c, d, e, f, g, h = state
    x = plus(choose(e, f, g), plus(h, wk, one), one)
    s0, s1 = sums_of_bits(a, e)
    return (
        plus(plus(plus(x, s1, one), majority(a, b, c), one), s0, one),
        a,
        b,
        c,
        add32(add32(x, d), s1),
        e,
        f,
        g,
    )


@cuda.jit(device=True)
def round_beside_schedule(state: Any, wk: Any, one: Any) -> Any:
    """The same, for a thread that makes its schedule as well: every addition on the multipliers."""
    a, b, c, d, e, f, g, h = state
    x = plus(choose(e, f, g), plus(h, wk, one), one)
    s0, s1 = sums_of_bits(a, e)
    return (
        plus(plus(plus(x, s1, one), majority(a, b, c), one), s0, one),
        a,
        b,
        c,
        plus(s1, plus(x, d, one), one),
        e,
        f,
        g,
    )


@cuda.jit(device=True)
def four_rounds(state: Any, wk: Any, one: Any) -> Any:
    """Four rounds with four words of the schedule, their constants added."""
    state = one_round(state, wk[0], one)
    state = one_round(state, wk[1], one)
    state = one_round(state, wk[2], one)
    return one_round(state, wk[3], one)


@cuda.jit(device=True)
def fourteen_rounds(shared: Any, at: Any, stride: Any, ahead: Any, state: Any, factor: Any) -> Any:
    """Rounds with the sixteen words of a schedule at `at`, but for the last two; and these two.

    `ahead`: the first four words, which were read before.
    """
    w1 = shared_load4(shared, int32(at + stride))
    w2 = shared_load4(shared, int32(at + 2 * stride))
    w3 = shared_load4(shared, int32(at + 3 * stride))
    state = four_rounds(state, ahead, factor)
    state = four_rounds(state, w1, factor)
    state = four_rounds(state, w2, factor)
    return one_round(one_round(state, w3[0], factor), w3[1], factor), w3[2:]


@cuda.jit(device=True)
def add_four(x: Any, y: Any) -> Any:
    """Word by word."""
    return add32(x[0], y[0]), add32(x[1], y[1]), add32(x[2], y[2]), add32(x[3], y[3])


@cuda.jit(device=True)
def four_with_constants(state: Any, w: Any, k: Any, one: Any) -> Any:
    """Four rounds with four words and their constants."""
    state = round_beside_schedule(state, plus(w[0], k[0], one), one)
    state = round_beside_schedule(state, plus(w[1], k[1], one), one)
    state = round_beside_schedule(state, plus(w[2], k[2], one), one)
    return round_beside_schedule(state, plus(w[3], k[3], one), one)


@cuda.jit(device=True)
def next_word(w16: Any, w15: Any, w7: Any, w2: Any, one: Any) -> Any:
    """A word of the schedule from those that stand 16, 15, 7 and 2 before it."""
    s0 = xor3(
        rotate_right(w15, uint32(7)), rotate_right(w15, uint32(18)), shift_right(w15, uint32(3))
    )
    s1 = xor3(
        rotate_right(w2, uint32(17)), rotate_right(w2, uint32(19)), shift_right(w2, uint32(10))
    )
    return add32(add32(plus(w16, w7, one), s0), s1)


@cuda.jit(device=True)
def next_four(w0: Any, w1: Any, w2: Any, w3: Any, one: Any) -> Any:
    """Four words of the schedule from the sixteen before them."""
    a = next_word(w0[0], w0[1], w2[1], w3[2], one)
    b = next_word(w0[1], w0[2], w2[2], w3[3], one)
    c = next_word(w0[2], w0[3], w2[3], a, one)
    d = next_word(w0[3], w1[0], w3[0], b, one)
    return a, b, c, d


@cuda.jit(device=True)
def sum_of_states(x: Any, y: Any) -> Any:
    """Word by word."""
    return add_four(x[:4], y[:4]) + add_four(x[4:], y[4:])


@cuda.jit(device=True)
def compress(start: Any, w0: Any, w1: Any, w2: Any, w3: Any, constants: Any, one: Any) -> Any:
    """The state after one more block of a message; `constants` is where they lie in shared memory."""
    u = uint32(one)
    state = four_with_constants(start, w0, shared_load4(constants, int32(0)), u)
    state = four_with_constants(state, w1, shared_load4(constants, int32(16)), u)
    state = four_with_constants(state, w2, shared_load4(constants, int32(32)), u)
    state = four_with_constants(state, w3, shared_load4(constants, int32(48)), u)
    at = int32(64)
    for _ in range(3 * one):
        w0 = next_four(w0, w1, w2, w3, u)
        state = four_with_constants(state, w0, shared_load4(constants, at), u)
        w1 = next_four(w1, w2, w3, w0, u)
        state = four_with_constants(state, w1, shared_load4(constants, int32(at + 16)), u)
        w2 = next_four(w2, w3, w0, w1, u)
        state = four_with_constants(state, w2, shared_load4(constants, int32(at + 32)), u)
        w3 = next_four(w3, w0, w1, w2, u)
        state = four_with_constants(state, w3, shared_load4(constants, int32(at + 48)), u)
        at = int32(at + 64)
    return sum_of_states(start, state)


@cuda.jit(device=True)
def compress_padding(start: Any, constants: Any, one: Any) -> Any:
    """The state after the padding block whose schedule was copied with the constants."""
    state = start
    at = int32(SCHEDULE_AT)
    u = uint32(one)
    for _ in range(4 * one):
        k0, k1 = shared_load4(constants, at), shared_load4(constants, int32(at + 16))
        k2, k3 = shared_load4(constants, int32(at + 32)), shared_load4(constants, int32(at + 48))
        state = four_rounds(state, k0, u)
        state = four_rounds(state, k1, u)
        state = four_rounds(state, k2, u)
        state = four_rounds(state, k3, u)
        at = int32(at + 64)
    return sum_of_states(start, state)


@cuda.jit(device=True)
def copy_constants(to: Any, tables: Any, padding_at: Any) -> None:
    """K and one padding schedule from `TABLES` into shared memory. A barrier has to follow."""
    i = int32(cuda.threadIdx.x)
    while i < 32:
        source = i * 16
        if i >= 16:
            source += padding_at - SCHEDULE_AT
        a, b, c, d = load4(tables, int64(source))
        shared_store4(to, int32(i * 16), a, b, c, d)
        i += int32(cuda.blockDim.x)


@cuda.jit(device=True)
def load_digest(buffer: Any, offset: Any) -> Any:
    """Eight words of a buffer."""
    return load4(buffer, offset) + load4(buffer, int64(offset + 16))


@cuda.jit(device=True)
def store_digest(buffer: Any, offset: Any, x: Any) -> None:
    """Eight words into a buffer."""
    store4(buffer, offset, x[0], x[1], x[2], x[3])
    store4(buffer, int64(offset + 16), x[4], x[5], x[6], x[7])
