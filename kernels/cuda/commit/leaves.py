"""Leaves of the tree: 256 neighbouring entries of a row of R, hashed by one thread."""

from typing import Any

from kernels.cuda.commit.sha256 import (
    CONSTANTS_ARRAY,
    LEAF_PADDING_AT,
    LEAF_START,
    compress,
    compress_padding,
    copy_constants,
    shared_words,
    store_digest,
)
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.expand import keep_bytes
from kernels.cuda.intrinsics import (
    load4,
    swap_bytes,
)
from kernels.cuda.launch import jit
from kernels.cuda.layout import TILE_BYTES


@cuda.jit(device=True)
def big_endian(x: Any) -> Any:
    """Four words with their bytes the other way round."""
    return swap_bytes(x[0]), swap_bytes(x[1]), swap_bytes(x[2]), swap_bytes(x[3])


@cuda.jit(device=True)
def end_word(x: Any, left: Any) -> Any:
    """A little-endian word of a message of which `left` bytes are left: then 0x80, then zeros."""
    if left >= 4:
        return x
    if left < 0:
        return uint32(0)
    return uint32(keep_bytes(x, left) | uint32(0x80) << uint32(8 * left))


@cuda.jit(device=True)
def end_four(x: Any, left: Any) -> Any:
    """Four words of a message of which `left` bytes are left."""
    return (
        end_word(x[0], left), end_word(x[1], int32(left - 4)),
        end_word(x[2], int32(left - 8)), end_word(x[3], int32(left - 12)),
    )  # fmt: skip


@cuda.jit(device=True)
def message_block(loaded: Any, length: Any, block: Any, blocks: Any) -> Any:
    """Block `block` of the `blocks` that a leaf of `length` bytes fills, as SHA-256 reads its words.

    `loaded`: its 64 bytes as they lie, four times four words, of which what lies behind the leaf is not
    used. The message ends with 0x80, zeros, and its bits: the leaf's, and those of its tag's block.
    """
    w0, w1, w2, w3 = loaded
    left = int32(length - block * 64)
    if left < 64:
        w0, w1 = end_four(w0, left), end_four(w1, int32(left - 16))
        w2, w3 = end_four(w2, int32(left - 32)), end_four(w3, int32(left - 48))
        if block == blocks - 1:
            w3 = w3[0], w3[1], w3[2], swap_bytes(uint32(8 * (64 + length)))
    return big_endian(w0), big_endian(w1), big_endian(w2), big_endian(w3)


@cuda.jit(device=True)
def load_block(r: Any, first: Any, swizzle: Any, block: Any) -> Any:
    """64 bytes of a leaf whose row of a tile begins at `first`: block 0 to 3."""
    at = first + (block >> 1) * TILE_BYTES
    chunk = (block & 1) << 6
    return (
        load4(r, int64(at + (chunk ^ swizzle))),
        load4(r, int64(at + ((chunk + 16) ^ swizzle))),
        load4(r, int64(at + ((chunk + 32) ^ swizzle))),
        load4(r, int64(at + ((chunk + 48) ^ swizzle))),
    )


@cuda.jit(device=True)
def first_block(r: Any, row: Any, part: Any, tiles: Any) -> Any:
    """Where leaf `part` of a row begins in R's tiles, its row's swizzle, and its first 64 bytes."""
    first = (int64(row >> 7) * tiles + 2 * part) * TILE_BYTES + (row & 127) * 128
    swizzle = (row & 7) << 4
    return first, swizzle, load_block(r, first, swizzle, int32(0))


@cuda.jit(device=True)
def hash_leaf(
    r: Any, first: Any, swizzle: Any, ahead: Any, length: Any, constants: Any, one: Any
) -> Any:
    """The digest of a leaf of `length` bytes, 1 to 256; what comes first is `first_block`'s."""
    blocks = int32(4)
    if length < 256:
        blocks = int32((length + 9 + 63) >> 6)
    state = LEAF_START
    a0, a1, a2, a3 = ahead
    for block in range(blocks):
        w0, w1, w2, w3 = a0, a1, a2, a3
        # Of block 4, and beyond the last, nothing is used.
        a0, a1, a2, a3 = load_block(r, first, swizzle, min(int32(block + 1), int32(3)))
        w0, w1, w2, w3 = message_block((w0, w1, w2, w3), length, block, blocks)
        state = compress(state, w0, w1, w2, w3, constants, one)
    if length == 256:
        state = compress_padding(state, constants, one)
    return state


@jit(128)
def leaves_kernel(r: Any, tree: Any, n: Any, rows: Any, tiles: Any, tables: Any, one: Any) -> None:
    """Level 0 of `tree` from `rows` rows of R in tiles (`layout.py`); `tiles` = P / 128, `one` = 1.

    Rows are n entries long; `r` and `tree` may begin at a band of them, a multiple of 128.
    Grid (rows / threads rounded up, ceil(n / 256)), any number of threads: a thread hashes leaf y of a
    row. So the length of the leaf, and the path through this code, are the same in a whole block.
    """
    shared = cuda.shared.array(CONSTANTS_ARRAY, uint32)
    constants = shared_words(shared)
    n, rows, tiles, one = int32(n), int32(rows), int32(tiles), int32(one)
    row = int32(cuda.blockIdx.x) * int32(cuda.blockDim.x) + int32(cuda.threadIdx.x)
    part = int32(cuda.blockIdx.y)
    first, swizzle, ahead = first_block(r, min(int32(row), int32(rows - 1)), part, tiles)
    copy_constants(constants, tables, int32(LEAF_PADDING_AT))
    cuda.syncthreads()
    if row < rows:
        length = min(int32(256), int32(n - part * 256))
        state = hash_leaf(r, first, swizzle, ahead, length, constants, one)
        leaf = int64(row) * int32(cuda.gridDim.y) + part
        store_digest(tree, int64(leaf * 32), state)
