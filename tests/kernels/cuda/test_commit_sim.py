"""Leaves and tree on the simulated device, against the reference.

NUMBA_ENABLE_CUDASIM=1 pytest tests/kernels/cuda
"""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.commit import reference
from kernels.commit.sha256 import state_after_prefix
from kernels.commit.tree import level_sizes
from kernels.cuda import layout
from kernels.cuda.commit import plan as device
from kernels.cuda.commit.leaf_tree import leaf_tree_kernel
from kernels.cuda.commit.sha256 import TABLES, midstate
from kernels.digest import tagged_hash

# The simulator's threads are Python's: small blocks.
THREADS, LANES = 8, 4
SLOW = pytest.mark.slow


def matrix(n):
    return np.random.default_rng(n).integers(-128, 128, (n, n), np.int8)


def tiles_of(R):
    return layout.to_tiles(R, layout.offsets_a(layout.padded(len(R)))).view(np.uint32)


def leaf_digests(R):
    out = np.zeros((len(R) * -(-R.shape[1] // 256), 32), np.uint8)
    reference.hash_leaves(R, out)
    return out


def buffers_for(leaves):
    return {
        "tree": np.zeros(8 * sum(level_sizes(leaves)), np.uint32),
        "root": np.zeros(8, np.uint32),
        "tables": TABLES.copy(),
    }


def launch(launches, buffers):
    for item in launches:
        item.kernel[item.grid, item.threads](*item.bind(buffers))


def check_tree(buffers, nodes):
    """Every level in the buffer is the one that the reference makes of these leaves."""
    sizes = level_sizes(len(nodes))
    for size, offset in zip(sizes, device.level_offsets(len(nodes)), strict=True):
        words = buffers["tree"][offset // 4 : offset // 4 + 8 * size]
        assert np.array_equal(device.digest_bytes(words), nodes)
        if size > 1:
            above = np.zeros(((size + 1) // 2, 32), np.uint8)
            reference.hash_level(nodes, above)
            nodes = above
    assert buffers["root"].tobytes() == nodes[0].tobytes()


@pytest.mark.parametrize("tag", ["cpc/leaf", "cpc/node"])
def test_midstate(tag):
    assert midstate(tag) == tuple(state_after_prefix(tag).tolist())


@pytest.mark.timeout(400)  # of 513, which simulates 1,539 leaves
@pytest.mark.parametrize(
    "n", [1, 2, 17, *(pytest.param(n, marks=SLOW) for n in (100, 130, 257, 513))]
)
def test_whole_task(n):
    R = matrix(n)
    buffers = buffers_for(device.leaf_count(n)) | {"r": tiles_of(R)}
    launch(device.plan(n, threads=THREADS, lanes=LANES), buffers)
    check_tree(buffers, leaf_digests(R))


def test_one_entry_by_hand():
    buffers = buffers_for(1) | {"r": np.zeros(256 * 256 // 4, np.uint32)}
    buffers["r"][0] = 0x04030207
    launch(device.plan(1, threads=THREADS, lanes=LANES), buffers)
    assert buffers["root"].tobytes() == tagged_hash("cpc/leaf", b"\x07")


@pytest.mark.parametrize("n", [55, 56, 63, 64, 65, 120, 183, 246, 247, 248, 255])
def test_short_leaves_of_every_kind(n):
    first_rows_are_right(n)


@pytest.mark.parametrize("n", [256, 257, 300, 503, 504, 511, 512, 513, 640])
def test_first_rows_of_wide_matrices(n):
    first_rows_are_right(n)


def first_rows_are_right(n, rows=4):
    R = matrix(n)
    parts = -(-n // 256)
    buffers = buffers_for(rows * parts) | {"r": tiles_of(R)}
    leaves = device.plan_leaves(n, threads=rows)
    leaves.kernel[(1, leaves.grid[1]), rows](*leaves.bind(buffers))
    digests = device.digest_bytes(buffers["tree"][: 8 * rows * parts])
    assert np.array_equal(digests, leaf_digests(R[:rows]))


@pytest.mark.parametrize("lanes", [1, 2, 4])
@pytest.mark.parametrize(
    "leaves",
    [
        *(1, 2, 3, 4, 5, 7, 8, 9, 17),
        *(pytest.param(leaves, marks=SLOW) for leaves in (13, 16, 31, 33, 64, 65)),
    ],
)
def test_tree_of_any_leaves(leaves, lanes):
    nodes = np.random.default_rng(leaves).integers(0, 256, (leaves, 32), np.uint8)
    buffers = buffers_for(leaves)
    buffers["tree"][: 8 * leaves] = nodes.reshape(-1).view(">u4")
    launch(device.plan_tree(leaves, threads=THREADS, lanes=lanes), buffers)
    check_tree(buffers, nodes)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [("leaf_tree_kernel", (1,), 128)]),
        (1024, [("leaf_tree_kernel", (64,), 128), ("reduce_kernel", (1,), 128)]),
        (
            2048,
            [
                ("leaves_kernel", (16, 8), 128),
                ("reduce_kernel", (128,), 128),
                ("reduce_kernel", (1,), 128),
            ],
        ),
        (
            4096,
            [
                ("leaves_kernel", (32, 16), 128),
                ("reduce_kernel", (128,), 128),
                ("reduce_kernel", (1,), 128),
            ],
        ),
        (
            65536,
            [
                ("leaves_kernel", (512, 256), 128),
                ("two_levels_kernel", (32768,), 128),
                ("two_levels_kernel", (8192,), 128),
                ("two_levels_kernel", (2048,), 128),
                ("two_levels_kernel", (512,), 128),
                ("reduce_kernel", (128,), 128),
                ("reduce_kernel", (1,), 128),
            ],
        ),
    ],
)
def test_launches(n, expected):
    found = [(item.kernel.__name__, item.grid, item.threads) for item in device.plan(n)]
    assert found == expected


@pytest.mark.parametrize("n", [1, 3, 255, 256, 257, 3000, 4097, 65535])
def test_launches_fit_each_other(n):
    leaves = device.leaf_count(n)
    sizes, offsets = level_sizes(leaves), device.level_offsets(leaves)
    assert device.tree_bytes(n) == offsets[-1] + 32
    first, *launches = device.plan(n)
    level = 0
    if first.kernel.__name__ == "leaf_tree_kernel":
        assert first.arguments[3] == leaves
        level = min((first.threads // 2).bit_length() - 1, len(sizes) - 1)
        assert sizes[level] == first.grid[0]
    for item in launches:
        assert item.arguments[1:3] == (offsets[level], sizes[level])
        if item.kernel.__name__ == "two_levels_kernel":
            level += 2
            assert (item.grid[0] - 1) * item.threads < sizes[level] <= item.grid[0] * item.threads
        else:
            nodes = item.threads << 2 * item.arguments[3]
            assert (item.grid[0] - 1) * nodes < sizes[level] <= item.grid[0] * nodes
            level = min(level + nodes.bit_length() - 1, len(sizes) - 1)
            assert sizes[level] == item.grid[0]
    assert sizes[level] == 1


@pytest.mark.parametrize(
    "n", [2, 3, 5, 55, 56, 120, 247, 248, *(pytest.param(n, marks=SLOW) for n in (256, 257, 300))]
)
def test_leaves_with_their_first_levels(n):
    """Of a few rows of wide matrices, too, whose leaves end in every way."""
    R = matrix(n)
    rows, parts = min(3, n), -(-n // 256)
    buffers = buffers_for(rows * parts) | {"r": tiles_of(R)}
    lanes = 2
    tiles = layout.padded(n) // layout.TILE
    arguments = ("r", "tree", n, rows * parts, tiles, "root", "tables", 1)
    small = device.Launch(leaf_tree_kernel, (-(-rows * parts // lanes),), 2 * lanes, arguments)
    above = device.plan_tree(rows * parts, level=1, lanes=lanes) if small.grid[0] > 1 else []
    launch([small, *above], buffers)
    check_tree(buffers, leaf_digests(R[:rows]))
