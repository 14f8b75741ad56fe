"""The tree over the leaves: all its levels lie in one buffer, one after the other (`level_offsets`).

A level of m nodes has ceil(m / 2) parents; an odd last node moves up unchanged. A digest is eight
words, the values of SHA-256's words; the root is also written as the 32 bytes that it is.

Few levels are wide enough to keep a GPU busy: the rest is waiting for chains of 128 rounds. So wide
levels are done two at a time (`two_levels_kernel`), and one launch does everything from
`TOP_NODES` nodes down (`top_kernel`).
"""

from typing import Any

from numba import cuda, int32, int64, uint32

from kernels.cuda.commit.sha256 import (
    CONSTANT_BYTES,
    CONSTANTS_ARRAY,
    NODE_PADDING_AT,
    NODE_START,
    SCHEDULE_AT,
    compress,
    compress_padding,
    copy_constants,
    load_digest,
    next_four,
    shared_load4,
    shared_store4,
    shared_words,
    sixteen_rounds,
    store_digest,
    sum_of_states,
)
from kernels.cuda.ptx import I64, U32, instruction, operation, word
from kernels.cuda.words import swap_bytes

MOST_LANES = 64
"""Hashing threads of a block of `top_kernel`; as many others make the schedules."""
TOP_NODES = (2 * MOST_LANES) ** 2
"""Most nodes that `top_kernel` takes."""

fence = instruction("fence.acq_rel.gpu;", None, [], memory=True, meaning=lambda: None)
"""Orders what the thread wrote and reads in device memory around what other blocks do."""


def _atomic_turn(buffer: Any, offset: Any, last: Any) -> Any:
    before = int(buffer[int(offset) // 4])
    buffer[int(offset) // 4] = 0 if before >= int(last) else before + 1
    return word(before)


atomic_turn = operation(
    U32,
    [I64, I64, U32],
    lambda code, buffer, offset, last: code.asm(
        "atom.global.inc.u32 $0, [$1], $2;", 1, [code.add(buffer, offset), last], memory=True
    ),
    meaning=_atomic_turn,
)
"""(buffer, offset, last): the word there before it went up by one, or from `last` back to zero."""


@cuda.jit
def two_levels_kernel(tree: Any, offset: Any, count: Any, tables: Any, one: Any) -> None:
    """The two levels above the level of `count` nodes at `offset` bytes; `one` = 1.

    A thread for each node of the upper level: count / 4 / threads blocks, rounded up.
    """
    shared = cuda.shared.array(CONSTANTS_ARRAY, uint32)
    constants = shared_words(shared)
    copy_constants(constants, tables, int32(NODE_PADDING_AT))
    cuda.syncthreads()
    count, one = int32(count), int32(one)
    parents = int32((count + 1) >> 1)
    i = int32(cuda.blockIdx.x) * int32(cuda.blockDim.x) + int32(cuda.threadIdx.x)
    if 4 * i < count:
        parents_at = int64(offset) + int64(count) * 32
        left = right = NODE_START
        # Its two children, then itself: one piece of code for the three.
        for step in range(3 * one):
            if step < 2:
                node = int32(2 * i + step)
                exists = 2 * node < count
                has_two = 2 * node + 1 < count
                to = int64(parents_at + int64(node) * 32)
                source = int64(offset) + int64(node) * 64
                left_child = right_child = right
                if exists:
                    left_child = load_digest(tree, source)
                if has_two:
                    right_child = load_digest(tree, int64(source + 32))
            else:
                exists = True
                has_two = 2 * i + 1 < parents
                to = int64(parents_at + int64(parents) * 32 + int64(i) * 32)
                left_child, right_child = left, right
            digest = left_child
            if has_two:
                a, b, c, d = left_child[:4], left_child[4:], right_child[:4], right_child[4:]
                digest = compress(NODE_START, a, b, c, d, constants, one, uint32(1))
                digest = compress_padding(digest, constants, one, uint32(1))
            if exists:
                store_digest(tree, to, digest)
            left, right = right, digest


# In `top_kernel` a block's shared memory holds the constants, then the schedules of its hashes: 16
# groups of four words for each hash, and of every group first that of lane 0, then of lane 1, ...
WORDS_AT = CONSTANT_BYTES
TOP_ARRAY = CONSTANTS_ARRAY + 64 * MOST_LANES


@cuda.jit(device=True)
def place_node(shared: Any, node: Any, lanes: Any, digest: Any) -> None:
    """Put a node's digest where its parent's hash reads it as half of its message."""
    at = WORDS_AT + ((node & 1) * 2 * lanes + (node >> 1)) * 16
    shared_store4(shared, int32(at), digest[0], digest[1], digest[2], digest[3])
    at += lanes * 16
    shared_store4(shared, int32(at), digest[4], digest[5], digest[6], digest[7])


@cuda.jit(device=True)
def placed_left_child(shared: Any, lane: Any, lanes: Any) -> Any:
    """The first half of a hash's message."""
    at = WORDS_AT + lane * 16
    return shared_load4(shared, int32(at)) + shared_load4(shared, int32(at + lanes * 16))


@cuda.jit(device=True)
def make_schedule(shared: Any, lane: Any, lanes: Any, one: Any) -> None:
    """Words 16 to 63 of a schedule, for the thread that hashes. A barrier after each 16 of them."""
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    w0, w1 = shared_load4(shared, at), shared_load4(shared, int32(at + stride))
    w2, w3 = (
        shared_load4(shared, int32(at + 2 * stride)),
        shared_load4(shared, int32(at + 3 * stride)),
    )
    for _ in range(3 * one):
        at = int32(at + 4 * stride)
        w0 = next_four(w0, w1, w2, w3)
        shared_store4(shared, at, w0[0], w0[1], w0[2], w0[3])
        w1 = next_four(w1, w2, w3, w0)
        shared_store4(shared, int32(at + stride), w1[0], w1[1], w1[2], w1[3])
        w2 = next_four(w2, w3, w0, w1)
        shared_store4(shared, int32(at + 2 * stride), w2[0], w2[1], w2[2], w2[3])
        w3 = next_four(w3, w0, w1, w2)
        shared_store4(shared, int32(at + 3 * stride), w3[0], w3[1], w3[2], w3[3])
        cuda.syncthreads()


@cuda.jit(device=True)
def hash_scheduled(shared: Any, lane: Any, lanes: Any, one: Any) -> Any:
    """A node's digest, with a schedule that another thread makes meanwhile. Three barriers."""
    state = NODE_START
    at, stride = int32(WORDS_AT + lane * 16), int32(lanes * 16)
    # The message's block, then the padding's, whose schedule is constant.
    for block in range(2 * one):
        before = state
        for sixteen in range(4 * one):
            if block == 0 and sixteen > 0:
                cuda.syncthreads()
            state = sixteen_rounds(state, shared, at, stride, int32(sixteen * 64), uint32(1))
            at = int32(at + 4 * stride)
        state = sum_of_states(state, before)
        at, stride = int32(SCHEDULE_AT), int32(16)
    return state


@cuda.jit
def top_kernel(
    tree: Any, offset: Any, count: Any, root: Any, counter: Any, tables: Any, one: Any
) -> None:
    """All levels above the level of `count` nodes at `offset` bytes, and the 32 bytes of the root.

    2 * lanes threads a block, lanes a power of two up to MOST_LANES (64 on a GPU: whole warps hash);
    count / (2 * lanes) blocks, rounded up, and not more than 2 * lanes of them. `counter` is a word
    that is zero, and is zero again afterwards; `one` = 1.

    Each block brings 2 * lanes nodes down to one. The last block to finish brings those to the root.
    """
    array = cuda.shared.array(TOP_ARRAY, uint32)
    turn = cuda.shared.array(1, uint32)
    shared = shared_words(array)
    one = int32(one)
    t = int32(cuda.threadIdx.x)
    lanes = int32(cuda.blockDim.x) >> 1
    lane = t & (lanes - 1)
    blocks = int32(cuda.gridDim.x)

    # The level as a whole: where it lies, its nodes. Of them the block has `mine`, from `first` on;
    # of all blocks' shares the widest has `width`.
    level, size = int64(offset), int32(count)
    first = int32(cuda.blockIdx.x) * 2 * lanes
    mine = min(int32(size - first), int32(2 * lanes))
    width = int32(2 * lanes)
    alone = blocks == 1
    if alone:
        width = mine
    digest = NODE_START
    if t < mine:
        digest = load_digest(tree, int64(level + int64(first + t) * 32))
    copy_constants(shared, tables, int32(NODE_PADDING_AT))
    running = True
    while running:
        if t < mine:
            place_node(shared, t, lanes, digest)
        cuda.syncthreads()
        while width > 1:
            pairs = mine >> 1
            mine = int32((mine + 1) >> 1)
            width = int32((width + 1) >> 1)
            first = first >> 1
            level += int64(size) * 32
            size = int32((size + 1) >> 1)
            if t >= lanes:
                make_schedule(shared, lane, lanes, one)
            else:
                digest = hash_scheduled(shared, lane, lanes, one)
                if lane < mine:
                    # This overwrites messages, which were all read before the first barrier, but for
                    # the odd last node. Its place is given to node 2 * lane, if there is one: for
                    # lane 0, and that is itself.
                    if lane >= pairs:
                        digest = placed_left_child(shared, lane, lanes)
                    place_node(shared, lane, lanes, digest)
                    store_digest(tree, int64(level + int64(first + lane) * 32), digest)
            cuda.syncthreads()
        running = False
        if not alone:
            if t == 0:
                # This thread has stored the block's last node.
                fence()
                turn[0] = atomic_turn(counter, int64(0), uint32(blocks - 1))
                fence()
            cuda.syncthreads()
            if turn[0] == uint32(blocks - 1):
                alone = running = True
                first, mine, width = int32(0), size, size
                if t < mine:
                    digest = load_digest(tree, int64(level + int64(t) * 32))
    if alone and t == 0:
        x = placed_left_child(shared, int32(0), lanes)
        store_digest(
            root, int64(0),
            (
                swap_bytes(x[0]), swap_bytes(x[1]), swap_bytes(x[2]), swap_bytes(x[3]),
                swap_bytes(x[4]), swap_bytes(x[5]), swap_bytes(x[6]), swap_bytes(x[7]),
            ),
        )  # fmt: skip
