"""Leaves of a matrix that lies row by row: each row cut into 4,096 bytes (`kernels/commit/rows.py`).

A thread hashes a leaf, up to 65 blocks one after the other. The tree above is `tree.py`'s.
"""

from typing import Any

from kernels.cuda.commit.leaves import message_block
from kernels.cuda.commit.sha256 import (
    CONSTANTS_ARRAY,
    LEAF_PADDING_AT,
    LEAF_START,
    compress,
    copy_constants,
    shared_words,
    store_digest,
)
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import load4

MATRIX_LEAF_BYTES = 4096


@cuda.jit(device=True)
def hash_row_part(rows: Any, at: Any, length: Any, constants: Any, one: Any) -> Any:
    """The digest of `length` bytes, 1 to 4,096, that begin at `at`.

    The last block may be read beyond the end of the row: rows lie at multiples of 64 bytes.
    """
    state = LEAF_START
    blocks = int32((length + 9 + 63) >> 6)
    last = int32((length - 1) >> 6)
    for block in range(blocks):
        start = int64(at + int64(min(int32(block), last)) * 64)  # what lies behind it is not used
        w0, w1 = load4(rows, start), load4(rows, int64(start + 16))
        w2, w3 = load4(rows, int64(start + 32)), load4(rows, int64(start + 48))
        w0, w1, w2, w3 = message_block((w0, w1, w2, w3), length, block, blocks)
        state = compress(state, w0, w1, w2, w3, constants, one)
    return state


@cuda.jit
def row_leaves_kernel(
    rows: Any, tree: Any, row_bytes: Any, pitch: Any, leaves: Any, tables: Any, one: Any
) -> None:
    """Level 0 of `tree`: `leaves` digests, of rows of `row_bytes` that begin `pitch` bytes apart.

    64 divides `pitch`, which leaves room for the row's last 64 bytes; `one` = 1. Any number of threads.
    """
    shared = cuda.shared.array(CONSTANTS_ARRAY, uint32)
    constants = shared_words(shared)
    copy_constants(constants, tables, int32(LEAF_PADDING_AT))
    cuda.syncthreads()
    leaf = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    if leaf < int64(leaves):
        parts = (int64(row_bytes) + MATRIX_LEAF_BYTES - 1) // MATRIX_LEAF_BYTES
        row, part = leaf // parts, leaf % parts
        length = int32(min(int64(MATRIX_LEAF_BYTES), int64(row_bytes) - part * MATRIX_LEAF_BYTES))
        at = int64(row * int64(pitch) + part * MATRIX_LEAF_BYTES)
        state = hash_row_part(rows, at, length, constants, int32(one))
        store_digest(tree, int64(leaf * 32), state)
