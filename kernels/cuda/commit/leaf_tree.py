"""Leaves of a small result and the first levels of their tree in one launch.

Where there are no more leaves than the card has room for at a time, hashing them is waiting for one
thread's chain of 320 rounds. As in `tree.py` half of a block's threads make the schedules for the
other half's hashes, here one step of sixteen words ahead of them, from one block of a message into the
next.
"""

from typing import Any

from kernels.cuda.commit.leaves import first_block, load_block, message_block
from kernels.cuda.commit.sha256 import (
    LEAF_START,
    NODE_PADDING_AT,
    copy_constants,
    fourteen_rounds,
    one_round,
    shared_load4,
    shared_words,
    store_digest,
    sum_of_states,
)
from kernels.cuda.commit.tree import (
    MOST_LANES,
    REDUCE_ARRAY,
    WORDS_AT,
    extend_schedule,
    load_sixteen,
    place_node,
    reduce_placed,
    store_with_constants,
)
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    let_next_kernel_start,
    unsigned_divide,
    wait_for_kernel_before,
)
from kernels.cuda.launch import jit


@cuda.jit(device=True)
def blocks_of(length: Any) -> Any:
    """Blocks of a message of `length` bytes behind its tag's."""
    return int32((length + 9 + 63) >> 6)


@cuda.jit(device=True)
def schedule_leaf(
    shared: Any, r: Any, row: Any, part: Any, tiles: Any, length: Any, most: Any, lane: Any,
    lanes: Any, one: Any,
) -> None:  # fmt: skip
    """Every schedule of a leaf, for the thread that hashes it: `most` blocks, four barriers each.

    One barrier more ends it.
    """
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    first, swizzle, ahead = first_block(r, row, part, tiles)
    blocks = blocks_of(length)
    for block in range(most):
        w0, w1, w2, w3 = message_block(ahead, length, int32(block), blocks)
        # Of block 4, and beyond the last, nothing is used.
        ahead = load_block(r, first, swizzle, min(int32(block + 1), int32(3)))
        k0, k1, k2, k3 = load_sixteen(shared, int32(0))
        store_with_constants(shared, at, k0, w0)
        store_with_constants(shared, int32(at + stride), k1, w1)
        store_with_constants(shared, int32(at + 2 * stride), k2, w2)
        store_with_constants(shared, int32(at + 3 * stride), k3, w3)
        cuda.syncthreads()
        extend_schedule(shared, lane, lanes, w0, w1, w2, w3, one)
    cuda.syncthreads()


@cuda.jit(device=True)
def hash_leaf_scheduled(
    shared: Any, length: Any, most: Any, lane: Any, lanes: Any, one: Any
) -> Any:
    """A leaf's digest, with schedules that another thread makes meanwhile, and as many barriers."""
    u = uint32(one)
    start, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    at = start
    blocks = blocks_of(length)
    state = before = LEAF_START
    cuda.syncthreads()
    ahead = shared_load4(shared, at)
    sixteen, last = int32(0), int32(most << 2)
    while sixteen < last:
        state, left = fourteen_rounds(shared, at, stride, ahead, state, u)
        sixteen = int32(sixteen + 1)
        if sixteen < last:
            cuda.syncthreads()
        at = int32(start + (sixteen & 3) * 4 * stride)
        ahead = shared_load4(shared, at)
        state = one_round(one_round(state, left[0], u), left[1], u)
        if sixteen & 3 == 0:
            if sixteen <= 4 * blocks:
                before = sum_of_states(state, before)
            state = before
    # What is read ahead in the end is not used, but nodes are placed there next.
    cuda.syncthreads()
    return state


@jit(2 * MOST_LANES)
def leaf_tree_kernel(
    r: Any, tree: Any, n: Any, leaves: Any, tiles: Any, root: Any, tables: Any, one: Any
) -> None:
    """Levels 0 to log2(lanes) of `tree`, from R in tiles (`layout.py`); `tiles` = P / 128, `one` = 1.

    2 * lanes threads a block, lanes a power of two up to MOST_LANES; a block takes lanes of the
    `leaves` leaves of n rows. Where there is only one block, its last node is the root: 32 bytes.
    """
    array = cuda.shared.array(REDUCE_ARRAY, uint32)
    shared = shared_words(array)
    n, tiles, one = int32(n), int32(tiles), int32(one)
    t = int32(cuda.threadIdx.x)
    lanes = int32(cuda.blockDim.x) >> 1
    lane = t & (lanes - 1)
    first = int32(cuda.blockIdx.x) * lanes
    mine = min(int32(int32(leaves) - first), lanes)
    width = lanes
    if cuda.gridDim.x == 1:
        width = mine
    parts = int32((n + 255) >> 8)
    leaf = int32(first + min(lane, int32(mine - 1)))
    row = unsigned_divide(leaf, parts)
    part = int32(leaf - row * parts)
    length = min(int32(256), int32(n - part * 256))
    most = blocks_of(min(int32(256), n)) * one
    let_next_kernel_start()
    copy_constants(shared, tables, int32(NODE_PADDING_AT))
    wait_for_kernel_before()
    cuda.syncthreads()
    if t >= lanes:
        schedule_leaf(shared, r, row, part, tiles, length, most, lane, lanes, one)
    else:
        digest = hash_leaf_scheduled(shared, length, most, lane, lanes, one)
        if lane < mine:
            store_digest(tree, int64(int64(leaf) * 32), digest)
            place_node(shared, lane, lanes, digest)
    cuda.syncthreads()
    blocks, leaves = int32(cuda.gridDim.x), int32(leaves)
    reduce_placed(tree, shared, int64(0), leaves, first, mine, width, t, lanes, blocks, root, one)
