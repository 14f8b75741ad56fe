"""The tree over the leaves: all its levels lie in one buffer, one after the other (`level_offsets`).

A level of m nodes has ceil(m / 2) parents; an odd last node moves up unchanged. A digest is eight
words, the values of SHA-256's words; the root is also written as the 32 bytes that it is.

Few levels are wide enough to keep a GPU busy: the rest is waiting for chains of 128 rounds. So wide
levels are done two at a time (`two_levels_kernel`), and `reduce_kernel` does seven or nine at a time,
in which one half of a block's threads makes the schedules for the other half's hashes.
"""

from typing import Any

from kernels.cuda.commit.sha256 import (
    CONSTANT_BYTES,
    CONSTANTS_ARRAY,
    NODE_PADDING_AT,
    NODE_START,
    SCHEDULE_AT,
    add_four,
    compress,
    compress_padding,
    copy_constants,
    fourteen_rounds,
    load_digest,
    next_four,
    one_round,
    shared_load4,
    shared_store4,
    shared_words,
    store_digest,
    sum_of_states,
)
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    let_next_kernel_start,
    subtract32,
    swap_bytes,
    wait_for_kernel_before,
)
from kernels.cuda.launch import jit

MOST_LANES = 64
"""Hashing threads of a block of `reduce_kernel`; as many others make the schedules."""


@cuda.jit(device=True)
def two_levels(tree: Any, level: Any, count: Any, i: Any, constants: Any, one: Any) -> Any:
    """Node i of the second level above the level of `count` nodes at `level` bytes, and how it came.

    Its two children and itself are stored; only existing ones are, and only if 4 * i < count.
    """
    parents = int32((count + 1) >> 1)
    parents_at = int64(level + int64(count) * 32)
    left = right = NODE_START
    # Its two children, then itself: one piece of code for the three.
    for step in range(3 * one):
        if step < 2:
            node = int32(2 * i + step)
            exists = 2 * node < count
            has_two = 2 * node + 1 < count
            to = int64(parents_at + int64(node) * 32)
            source = int64(level + int64(node) * 64)
            left_child = right_child = right
            if exists:
                left_child = load_digest(tree, source)
            if has_two:
                right_child = load_digest(tree, int64(source + 32))
        else:
            exists = 2 * i < parents
            has_two = 2 * i + 1 < parents
            to = int64(parents_at + int64(parents) * 32 + int64(i) * 32)
            left_child, right_child = left, right
        digest = left_child
        if has_two:
            a, b, c, d = left_child[:4], left_child[4:], right_child[:4], right_child[4:]
            digest = compress(NODE_START, a, b, c, d, constants, one)
            digest = compress_padding(digest, constants, one)
        if exists:
            store_digest(tree, to, digest)
        left, right = right, digest
    return right


@jit(128)
def two_levels_kernel(tree: Any, level: Any, count: Any, tables: Any, one: Any) -> None:
    """The two levels above the level of `count` nodes at `level` bytes; `one` = 1.

    A thread for each node of the upper level: count / 4 / threads blocks, rounded up.
    """
    shared = cuda.shared.array(CONSTANTS_ARRAY, uint32)
    constants = shared_words(shared)
    copy_constants(constants, tables, int32(NODE_PADDING_AT))
    cuda.syncthreads()
    i = int32(cuda.blockIdx.x) * int32(cuda.blockDim.x) + int32(cuda.threadIdx.x)
    if 4 * i < int32(count):
        two_levels(tree, int64(level), int32(count), i, constants, int32(one))


# In `reduce_kernel` a block's shared memory holds the constants, then the schedules of its hashes, K
# added: 16 groups of four words for each hash, and of every group first that of lane 0, then of
# lane 1...
WORDS_AT = CONSTANT_BYTES
REDUCE_ARRAY = CONSTANTS_ARRAY + 64 * MOST_LANES


@cuda.jit(device=True)
def place_node(shared: Any, node: Any, lanes: Any, digest: Any) -> None:
    """Put a node's digest, K added, where its parent's hash reads it as half of its message."""
    half = (node & 1) * 32
    at = WORDS_AT + ((node & 1) * 2 * lanes + (node >> 1)) * 16
    for part in range(2):
        first = digest[:4] if part == 0 else digest[4:]
        x = add_four(first, shared_load4(shared, int32(half + 16 * part)))
        shared_store4(shared, int32(at), x[0], x[1], x[2], x[3])
        at += lanes * 16


@cuda.jit(device=True)
def placed(shared: Any, at: Any, k_at: Any) -> Any:
    """Four words that were placed, as they were before K was added."""
    x, k = shared_load4(shared, at), shared_load4(shared, k_at)
    return (
        subtract32(x[0], k[0]), subtract32(x[1], k[1]),
        subtract32(x[2], k[2]), subtract32(x[3], k[3]),
    )  # fmt: skip


@cuda.jit(device=True)
def placed_left_child(shared: Any, lane: Any, lanes: Any) -> Any:
    """The first half of a hash's message."""
    at = int32(WORDS_AT + lane * 16)
    return placed(shared, at, int32(0)) + placed(shared, int32(at + lanes * 16), int32(16))


@cuda.jit(device=True)
def store_with_constants(shared: Any, at: Any, k: Any, w: Any) -> None:
    """Four words of a schedule for the thread that hashes."""
    x = add_four(w, k)
    shared_store4(shared, at, x[0], x[1], x[2], x[3])


@cuda.jit(device=True)
def load_sixteen(shared: Any, at: Any) -> Any:
    """Four times four words, side by side."""
    return (
        shared_load4(shared, at), shared_load4(shared, int32(at + 16)),
        shared_load4(shared, int32(at + 32)), shared_load4(shared, int32(at + 48)),
    )  # fmt: skip


@cuda.jit(device=True)
def extend_schedule(
    shared: Any, lane: Any, lanes: Any, w0: Any, w1: Any, w2: Any, w3: Any, one: Any
) -> None:
    """Words 16 to 63 of a schedule, for the thread that hashes. A barrier after each 16 of them.

    `w0` to `w3`: the message's block. The constants are read before they are needed: nothing else
    overlaps with that in a warp that has its scheduler for itself.
    """
    u = uint32(one)
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    k_at = int32(64)
    for _ in range(3 * one):
        at = int32(at + 4 * stride)
        k0, k1, k2, k3 = load_sixteen(shared, k_at)
        w0 = next_four(w0, w1, w2, w3, u)
        store_with_constants(shared, at, k0, w0)
        w1 = next_four(w1, w2, w3, w0, u)
        store_with_constants(shared, int32(at + stride), k1, w1)
        w2 = next_four(w2, w3, w0, w1, u)
        store_with_constants(shared, int32(at + 2 * stride), k2, w2)
        w3 = next_four(w3, w0, w1, w2, u)
        store_with_constants(shared, int32(at + 3 * stride), k3, w3)
        k_at = int32(k_at + 64)
        cuda.syncthreads()


@cuda.jit(device=True)
def make_schedule(shared: Any, lane: Any, lanes: Any, one: Any) -> None:
    """The schedule of a hash whose message was placed, for the thread that hashes. Three barriers."""
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    w0, w1 = placed(shared, at, int32(0)), placed(shared, int32(at + stride), int32(16))
    w2 = placed(shared, int32(at + 2 * stride), int32(32))
    w3 = placed(shared, int32(at + 3 * stride), int32(48))
    extend_schedule(shared, lane, lanes, w0, w1, w2, w3, one)


@cuda.jit(device=True)
def hash_scheduled(shared: Any, lane: Any, lanes: Any, one: Any) -> Any:
    """A node's digest, with a schedule that another thread makes meanwhile. Three barriers.

    The first four words of the next sixteen rounds are read before the last two of these, so that
    nobody waits for them.
    """
    u = uint32(one)
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    state = before = NODE_START
    ahead = shared_load4(shared, at)
    # The message's block, then the padding's, whose schedule is constant.
    sixteen, last = int32(0), int32(one << 3)
    while sixteen < last:
        state, left = fourteen_rounds(shared, at, stride, ahead, state, u)
        if sixteen < 3:
            cuda.syncthreads()
        at = int32(at + 4 * stride)
        if sixteen & 3 == 3:  # after the last sixteen, what is read here is not used
            at, stride = int32(SCHEDULE_AT), int32(16)
        ahead = shared_load4(shared, at)
        state = one_round(one_round(state, left[0], u), left[1], u)
        sixteen = int32(sixteen + 1)
        if sixteen & 3 == 0:
            state = before = sum_of_states(state, before)
    return state


@cuda.jit(device=True)
def reduce_placed(
    tree: Any, shared: Any, at: Any, size: Any, first: Any, mine: Any, width: Any, t: Any,
    lanes: Any, blocks: Any, root: Any, one: Any,
) -> None:  # fmt: skip
    """The levels above a block's `mine` nodes, which are placed, until one is left, after a barrier.

    The level has `size` nodes and lies at `at`; the block's first one is `first`, and it has up to
    `width`, if it is not the last of `blocks`. Where there is only one, its last node is the root.
    `t`: the thread.
    """
    lane = t & (lanes - 1)
    while width > 1:
        pairs = mine >> 1
        mine = int32((mine + 1) >> 1)
        width = int32((width + 1) >> 1)
        first = first >> 1
        at += int64(size) * 32
        size = int32((size + 1) >> 1)
        if t >= lanes:
            make_schedule(shared, lane, lanes, one)
        else:
            digest = hash_scheduled(shared, lane, lanes, one)
            if lane < mine:
                # This overwrites messages, which were all read before the first barrier, but for
                # the odd last node. Its place is given to node 2 * lane, if there is one: for lane
                # 0, and that is itself.
                if lane >= pairs:
                    digest = placed_left_child(shared, lane, lanes)
                place_node(shared, lane, lanes, digest)
                store_digest(tree, int64(at + int64(first + lane) * 32), digest)
        cuda.syncthreads()
    if blocks == 1 and t == 0:
        x = placed_left_child(shared, int32(0), lanes)
        store_digest(
            root, int64(0),
            (
                swap_bytes(x[0]), swap_bytes(x[1]), swap_bytes(x[2]), swap_bytes(x[3]),
                swap_bytes(x[4]), swap_bytes(x[5]), swap_bytes(x[6]), swap_bytes(x[7]),
            ),
        )  # fmt: skip


@jit(2 * MOST_LANES)
def reduce_kernel(
    tree: Any, level: Any, count: Any, quads: Any, root: Any, tables: Any, one: Any
) -> None:
    """Levels above the level of `count` nodes at `level` bytes, until a block has one node left.

    2 * lanes threads a block, lanes a power of two up to MOST_LANES (64 on a GPU: whole warps hash). A
    block takes 2 * lanes nodes, or with `quads` 1 four times as many, of which each thread first makes
    one. Where there is only one block, its last node is the root: 32 bytes at `root`. `one` = 1.
    """
    array = cuda.shared.array(REDUCE_ARRAY, uint32)
    shared = shared_words(array)
    one = int32(one)
    t = int32(cuda.threadIdx.x)
    lanes = int32(cuda.blockDim.x) >> 1
    at, size = int64(level), int32(count)  # the level as a whole: where it lies, its nodes
    first = (
        int32(cuda.blockIdx.x) * 2 * lanes
    )  # the block's first node, its thread's is t further on
    let_next_kernel_start()
    copy_constants(shared, tables, int32(NODE_PADDING_AT))
    wait_for_kernel_before()
    digest = NODE_START
    if quads != 0:
        cuda.syncthreads()
        i = int32(first + t)
        if 4 * i < size:
            digest = two_levels(tree, at, size, i, shared, one)
        parents = int32((size + 1) >> 1)
        at += int64(size) * 32 + int64(parents) * 32
        size = int32((parents + 1) >> 1)
    mine = min(int32(size - first), int32(2 * lanes))  # the block's nodes
    width = int32(2 * lanes)  # of the widest block's share
    if cuda.gridDim.x == 1:
        width = mine
    if quads == 0:
        if t < mine:
            digest = load_digest(tree, int64(at + int64(first + t) * 32))
        cuda.syncthreads()
    if t < mine:
        place_node(shared, t, lanes, digest)
    cuda.syncthreads()
    blocks = int32(cuda.gridDim.x)
    reduce_placed(tree, shared, at, size, first, mine, width, t, lanes, blocks, root, one)
