"""Every CUDA kernel against its reference, on a real card. Skipped, by name, where there is none.

    python -m pytest tests/kernels/cuda/test_gpu.py

CI has no GPU; what a card said is in bench/RESULTS.md.
"""

import importlib.util
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("numba_cuda") is None or os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("needs numba-cuda and a GPU", allow_module_level=True)

from numba import cuda

if not cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from kernels.check import check_leaves, check_proof
from kernels.cuda import check as freivalds
from kernels.cuda import driver, expand, layout, tuning
from kernels.cuda.card import Card
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.device import CudaDevice
from kernels.cuda.driver import DeviceBuffer, Stream
from kernels.cuda.philox import words_of
from kernels.cuda.product import wgmma
from kernels.cuda.product.tiers import TIERS
from kernels.cuda.product.wgmma_configs import SMALL
from kernels.devices import open_device
from kernels.errors import KernelError, TaskTooLarge
from kernels.expand import operands, reference
from kernels.known_answer import known_answer_test
from kernels.task import Task
from kernels.work.committed import trees_of
from kernels.work.synthetic import SyntheticWork

CARD = Card.select(0)
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "matrix_mult_v1.json").read_text())
TIER_NAMES = [tier.name for tier in TIERS if tier.runs_on(CARD.capability)]
SIZES = [1, 2, 17, 100, 255, 256, 257, 300, 512, 1000, 1024, 1300]


def fold(C):
    return ((C ^ (C >> 8)) & 0xFF).astype(np.uint8).view(np.int8)


def random_matrix(n, seed, kind="random"):
    rng = np.random.default_rng(seed)
    if kind == "extreme":
        return rng.choice(np.array([-128, 127], np.int8), (n, n))
    if kind == "least":
        return np.full((n, n), -128, np.int8)
    return rng.integers(-128, 128, (n, n), dtype=np.int8)


@pytest.mark.parametrize("n", [*SIZES, 4096])
def test_expansion(n):
    P = layout.padded(n)
    tiles = P // 128
    a, b = DeviceBuffer(P * P), DeviceBuffer(P * P)
    vectors, weights = DeviceBuffer(12 * P + 16), DeviceBuffer(4 * P)
    vectors.from_host(np.full(12 * P + 16, 0x55, np.uint8))
    stream = Stream()
    kernel = CompiledKernel(expand.expand_kernel, 12)
    addresses = (x.address for x in (a, b, vectors))
    words = words_of(bytes(range(48)))
    kernel(stream, (tiles, 2 * tiles + 1), 256, *addresses, n, tiles, *words, 77)
    CompiledKernel(freivalds.weights_kernel, 4)(
        stream, (-(-P // 1024),), 256, weights.address, *words[4:], P
    )
    stream.wait()
    np.testing.assert_array_equal(vectors.to_host()[: 4 * P], weights.to_host())
    assert not vectors.to_host()[4 * P : 12 * P].any()
    assert vectors.to_host(np.uint32)[3 * P] == 77
    expected = []
    for stream_of in operands(bytes(range(32))):
        rows = np.empty((n, n), np.int8)
        reference.expand_rows(stream_of, np.arange(n), rows)
        expected.append(rows)
    both = [
        layout.to_tiles(expected[0], layout.offsets_a(P)),
        layout.to_tiles(expected[1], layout.offsets_b(P)),
    ]
    np.testing.assert_array_equal(both[0], a.to_host(np.int8))
    np.testing.assert_array_equal(both[1], b.to_host(np.int8))

    # The same with u, which is added to what was there.
    vectors.from_host(np.full(3 * P + 4, 5, np.uint32))
    for buffer in (a, b):
        stream.clear(buffer.address, P * P // 4)
    addresses = (x.address for x in (a, b, vectors))
    kernel = CompiledKernel(expand.expand_and_project_kernel, 12)
    kernel(stream, (tiles, 2 * tiles + 1), 256, *addresses, n, tiles, *words, 77)
    stream.wait()
    np.testing.assert_array_equal(both[0], a.to_host(np.int8))
    np.testing.assert_array_equal(both[1], b.to_host(np.int8))
    w, u, sums = vectors.to_host(np.uint32)[: 3 * P].reshape(3, P)
    np.testing.assert_array_equal(w, weights.to_host(np.uint32))
    wanted = expected[1].T.astype(np.int64) @ w[:n].astype(np.int64)
    np.testing.assert_array_equal(u[:n], (wanted + 5).astype(np.uint32))
    assert not sums.any()
    assert vectors.to_host(np.uint32)[3 * P] == 77


CONFIGS = [
    pytest.param(tier, config, id=f"{tier.name}-{config.name}")
    for tier in TIERS
    if tier.runs_on(CARD.capability)
    for config in dict.fromkeys(
        config
        for size in (1024, 2048, 4096, 8192)
        for config in tier.configs(size, CARD.capability)
    )
]


@pytest.mark.parametrize(("tier", "config"), CONFIGS)
@pytest.mark.parametrize(
    ("n", "kind"),
    [(1, "random"), (257, "random"), (512, "least"), (1300, "extreme"), (2304, "random")],
)
def test_product_of_every_config(tier, config, kind, n):
    """R, C as int32, and both sides of the check."""
    P = layout.padded(n)
    tiles = P // 128
    A, B = random_matrix(n, 1, kind), random_matrix(n, 2, kind)
    C = (A.astype(np.float64) @ B.T.astype(np.float64)).astype(np.int32)
    a, b, r = (DeviceBuffer(P * P) for _ in range(3))
    c, w, u, sums, verdict, ticket = (
        DeviceBuffer(size) for size in (4 * P * P, 4 * P, 4 * P, 4 * P, 16, 16)
    )
    offsets = layout.offsets_a(P)
    a.from_host(layout.to_tiles(A, offsets))
    b.from_host(layout.to_tiles(B, layout.offsets_b(P)))
    ticket.from_host(np.arange(7, 11, dtype=np.uint32))
    stream = Stream()

    def multiply(output, checked, out):
        spec = tier.build(output, checked, config)
        kernel = CompiledKernel(
            spec.kernel, 8, shared_bytes=spec.shared_bytes, cluster=spec.cluster
        )
        grid = spec.grid(P, P, CARD.multiprocessors)
        addresses = (x.address for x in (a, b, out, w, sums))
        kernel(stream, grid, spec.threads, *addresses, P, P, P)
        stream.wait()

    multiply("fold", False, r)
    np.testing.assert_array_equal(layout.from_tiles(r.to_host(np.int8), offsets, n), fold(C))
    multiply("int32", False, c)
    np.testing.assert_array_equal(c.to_host(np.int32).reshape(P, P)[:n, :n], C)

    for buffer in (u, sums, verdict):
        stream.clear(buffer.address, buffer.size // 4)
    grid_w, count = (-(-P // 1024),), tiles * tiles // 2
    CompiledKernel(freivalds.weights_kernel, 4)(stream, grid_w, 256, w.address, 3, 4, P)
    grid = freivalds.grid_for(count, CARD.multiprocessors)
    threads = freivalds.THREADS * freivalds.GROUPS
    project = CompiledKernel(freivalds.project_kernel, 5)
    project(stream, grid, threads, b.address, w.address, u.address, tiles, count)
    multiply("fold", True, r)
    np.testing.assert_array_equal(layout.from_tiles(r.to_host(np.int8), offsets, n), fold(C))
    weights = w.to_host(np.uint32)[:n].astype(np.uint64)
    expected = (C.astype(np.uint64) * weights[None, :]).sum(axis=1).astype(np.uint32)
    np.testing.assert_array_equal(sums.to_host(np.uint32)[:n], expected)
    subtract = CompiledKernel(freivalds.subtract_kernel, 5)
    subtract(stream, grid, threads, a.address, u.address, sums.address, tiles, count)
    CompiledKernel(freivalds.verdict_kernel, 4)(
        stream, (1,), freivalds.VERDICT_THREADS, sums.address, P, verdict.address, ticket.address
    )
    stream.wait()
    assert not sums.to_host(np.uint32).any()
    assert verdict.to_host(np.uint32)[0] == 7
    sums.from_host(np.array([0, 0, 1], np.uint32))
    CompiledKernel(freivalds.verdict_kernel, 4)(
        stream, (1,), freivalds.VERDICT_THREADS, sums.address, P, verdict.address, ticket.address
    )
    stream.wait()
    assert verdict.to_host(np.uint32)[0] == 0


BOTH_SIDES = [
    pytest.param(config, id=config.name)
    for tier, config in (param.values for param in CONFIGS)
    if config.sums_both_sides
]


@pytest.mark.parametrize("config", BOTH_SIDES)
@pytest.mark.parametrize(
    ("n", "kind"), [(1, "random"), (300, "least"), (1300, "extreme"), (2304, "random")]
)
def test_a_product_that_makes_both_sides_of_its_check(config, n, kind):
    P = layout.padded(n)
    A, B = random_matrix(n, 1, kind), random_matrix(n, 2, kind)
    C = (A.astype(np.float64) @ B.T.astype(np.float64)).astype(np.int32)
    w, u = np.random.default_rng(n).integers(0, 1 << 32, (2, P), np.uint32)
    a, b, r, vectors = (DeviceBuffer(size) for size in (P * P, P * P, P * P, 12 * P))
    offsets = layout.offsets_a(P)
    a.from_host(layout.to_tiles(A, offsets))
    b.from_host(layout.to_tiles(B, layout.offsets_b(P)))
    spec = wgmma.build("fold", True, config, both_sides=True)
    kernel = CompiledKernel(
        spec.kernel, spec.arguments, shared_bytes=spec.shared_bytes, cluster=spec.cluster
    )
    stream = Stream()
    right = (B.T.astype(np.int64) @ w[:n].astype(np.int64)).astype(np.uint32)
    for used in (np.pad(right, (0, P - n)), u):
        vectors.from_host(np.concatenate([w, used, np.zeros(P, np.uint32)]))
        addresses = (x.address for x in (a, b, r, vectors))
        grid = spec.grid(P, P, CARD.multiprocessors)
        kernel(stream, grid, spec.threads, *addresses, vectors.address + 8 * P, P, P, P)
        stream.wait()
        np.testing.assert_array_equal(layout.from_tiles(r.to_host(np.int8), offsets, n), fold(C))
        sums = vectors.to_host(np.uint32)[2 * P :]
        left = C.astype(np.int64) @ w[:n].astype(np.int64)
        expected = (left - A.astype(np.int64) @ used[:n].astype(np.int64)).astype(np.uint32)
        np.testing.assert_array_equal(sums[:n], expected)
        assert not sums[n:].any()
        assert sums.any() == (used is u)


@pytest.mark.parametrize("name", TIER_NAMES)
def test_every_vector_on_every_tier(name):
    with CudaDevice(0, tier=name) as device:
        known_answer_test(device)
        for vector in VECTORS:
            task = Task(bytes.fromhex(vector["seed"]), vector["matrix_size"], vector["iterations"])
            for _ in range(2):  # captured, then replayed
                commitment = device.compute(task)
                assert commitment.root.hex() == vector["result_hash"], task
            assert commitment.proof(vector["openings"]) == vector["proof"]


def random_tasks(count):
    """Sizes up to 5,000, odd and even, several iterations; the same on every run."""
    rng = random.Random(20261125)
    for _ in range(count):
        largest = 5000 if rng.random() < 0.25 else 1500
        yield Task(rng.randbytes(32), rng.randrange(1, largest + 1), rng.choice([1, 1, 2, 3]))


@pytest.fixture(scope="module")
def computed_by_the_cpu():
    """CPC_GPU_TASKS says how many (default 12): for each its root, and siblings of some leaves."""
    found = {}
    with open_device("cpu") as host:
        for number, task in enumerate(random_tasks(int(os.environ.get("CPC_GPU_TASKS", "12")))):
            leaves = random.Random(number).sample(range(task.leaf_count), min(8, task.leaf_count))
            commitment = host.compute(task)
            found[task] = commitment.root, leaves, commitment.siblings(leaves)
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TIER_NAMES)
def test_random_tasks_equal_the_cpus(name, computed_by_the_cpu):
    with CudaDevice(0, tier=name) as device:
        for task, (root, leaves, siblings) in computed_by_the_cpu.items():
            ours = device.compute(task)
            assert ours.root == root, task
            assert ours.siblings(leaves) == siblings
            if task.n < 1500 and len(leaves) == 8:
                check_leaves(task, ours.root, leaves, siblings)
    print(f"{name}: {len(computed_by_the_cpu)} tasks equal to the CPU's")


@pytest.mark.parametrize("name", TIER_NAMES)
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 1), (3, 700, 65), (1000, 17, 4099), (300, 513, 256), (257, 3000, 1031)]
)
def test_customers_products(name, m, n, k):
    rng = np.random.default_rng(m)
    A, B = (rng.integers(-128, 128, (rows, k), dtype=np.int8) for rows in (m, n))
    A[0] = B[0] = -128
    with CudaDevice(0, tier=name) as device:
        C = device.multiply(A, B)
        assert C.dtype == np.int32
        assert C.shape == (m, n)
        np.testing.assert_array_equal(C, (A.astype(np.float64) @ B.T.astype(np.float64)))
        np.testing.assert_array_equal(device.multiply(A[::2], B), C[::2])


def test_a_product_in_bands(monkeypatch):
    rng = np.random.default_rng(3)
    A, B = (rng.integers(-128, 128, (rows, 300), dtype=np.int8) for rows in (1100, 500))
    with CudaDevice(0) as device:
        whole = device.multiply(A, B)
        room = 256 * 2**20 + 512 * 512 + 500 * 300 + 4 * 1024 + 2**20 + 520 * (4 * 512 + 512 + 304)
        monkeypatch.setattr("kernels.cuda.multiply.free_memory", lambda: room)
        np.testing.assert_array_equal(device.multiply(A, B), whole)
        monkeypatch.setattr("kernels.cuda.multiply.free_memory", lambda: room // 2)
        with pytest.raises(TaskTooLarge, match="1100 x 300"):
            device.multiply(A, B)


def test_tuning_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("CPC_CACHE", str(tmp_path))
    monkeypatch.delenv("CPC_TUNE", raising=False)
    task = Task(bytes(range(32)), 1024)
    with CudaDevice(0) as device:
        root = device.compute(task).root
        device.prepare(task)
        kept = json.loads((tmp_path / "tuned.json").read_text())
        assert CARD.name in str(kept)
        assert device.compute(task).root == root
    monkeypatch.setattr(tuning, "best", None)  # would fail if it were measured again
    with CudaDevice(0) as device:
        device.prepare(task)
    monkeypatch.setenv("CPC_CACHE", str(tmp_path / "another"))
    monkeypatch.setenv("CPC_TUNE", "0")
    with CudaDevice(0) as device:
        device.prepare(task)
        assert device.compute(task).root == root


@pytest.mark.skipif("wgmma" not in TIER_NAMES, reason="the faulty kernel is the wgmma tier's")
@pytest.mark.parametrize("both_sides", [False, True])
def test_the_check_finds_every_fault_that_changes_the_result(both_sides):
    """Bits flipped in accumulators of the running kernel; CPC_GPU_FAULTS says how many (1,000)."""
    n = P = 512
    tiles = P // 128
    A, B = random_matrix(n, 1), random_matrix(n, 2)
    C = (A.astype(np.float64) @ B.T.astype(np.float64)).astype(np.int32)
    offsets = layout.offsets_a(P)
    right = layout.to_tiles(fold(C), offsets)
    a, b, r = (DeviceBuffer(P * P) for _ in range(3))
    w, sums, verdict = (DeviceBuffer(size) for size in (8 * P + 16, 4 * P, 16))
    u = DeviceView(w.address + 4 * P) if both_sides else DeviceBuffer(4 * P)
    ticket = DeviceBuffer(16)
    ticket.from_host(np.array([7], np.uint32))
    a.from_host(layout.to_tiles(A, offsets))
    b.from_host(layout.to_tiles(B, layout.offsets_b(P)))
    spec = wgmma.build("fold", True, SMALL, faulty=True, both_sides=both_sides)
    product = CompiledKernel(spec.kernel, 8, shared_bytes=spec.shared_bytes)
    make_weights, project, subtract, judge = (
        CompiledKernel(kernel, count)
        for kernel, count in (
            (freivalds.weights_kernel, 4),
            (freivalds.project_kernel, 5),
            (freivalds.subtract_kernel, 5),
            (freivalds.verdict_kernel, 4),
        )
    )
    stream, rng = Stream(), np.random.default_rng(11)
    changed = harmless = 0
    for number in range(int(os.environ.get("CPC_GPU_FAULTS", "1000")) + 1):
        make_weights(stream, (1,), 256, w.address, *words_of(rng.bytes(16)), P)
        stream.wait()
        bits = np.uint32(1 << rng.integers(0, 27)) if rng.random() < 0.7 else rng.integers(1, 2**32)
        place = [rng.integers(0, 32), rng.integers(0, 128), rng.integers(0, 64), bits]
        if number == 0:
            place[3] = 0  # without a fault all is well
        behind = w.address + (8 if both_sides else 4) * P
        DeviceView(behind).from_host(np.array(place, np.uint32))
        for vector in (u, sums):
            stream.clear(vector.address, P)
        check_grid = freivalds.grid_for(tiles * tiles // 2, CARD.multiprocessors)
        project(stream, check_grid, 1024, b.address, w.address, u.address, tiles, tiles**2 // 2)
        grid = spec.grid(P, P, CARD.multiprocessors)
        operands_of = (x.address for x in (a, b, r, w, sums))
        product(stream, grid, spec.threads, *operands_of, P, P, P)
        if not both_sides:
            of_a = (a.address, u.address, sums.address, tiles, tiles**2 // 2)
            subtract(stream, check_grid, 1024, *of_a)
        threads = freivalds.VERDICT_THREADS
        judge(stream, (1,), threads, sums.address, P, verdict.address, ticket.address)
        stream.wait()
        passed = verdict.to_host(np.uint32)[0] == 7
        if np.array_equal(r.to_host(np.int8), right):
            harmless += 1
            assert passed or number > 0
        else:
            changed += 1
            assert not passed, place
    print(f"{changed} faults changed R and were found; {harmless} changed nothing")
    assert changed > 0


class DeviceView(DeviceBuffer):
    """Part of a buffer, to be written."""

    def __init__(self, address):
        self.address, self.size = address, 0


def test_a_tree_outlives_the_next_task():
    with CudaDevice(0) as device:
        first = device.compute(Task(bytes(range(32)), 300))
        proof = first.proof(8)
        second = device.compute(Task(bytes(range(1, 33)), 300))
        assert first.proof(8) == proof
        check_proof(second.task, second.root, second.proof(8), least_openings=8)
        device.compute(Task(bytes(range(32)), 257))
        assert first.proof(8) == proof
        check_proof(second.task, second.root, second.proof(8), least_openings=8)


def test_tasks_begun_ahead_have_their_own_roots_and_trees_in_whatever_order_sizes_come():
    sizes = [300, 300, 512, 300, 512, 512, 300, 300, 300, 300, 300, 300]
    tasks = [Task(bytes([number, *range(31)]), n) for number, n in enumerate(sizes, 1)]
    with CudaDevice(0) as ours, open_device("cpu") as cpu:
        begun = [ours.begin(task) for task in tasks]  # more than there are graphs
        commitments = [wait() for wait in begun]
        for task, commitment in zip(tasks, commitments, strict=True):
            expected = cpu.compute(task)
            assert commitment.root == expected.root
            assert commitment.siblings([0, 5]) == expected.siblings([0, 5])


def test_a_tree_that_may_be_forgotten_is_not_copied_and_its_opening_is_computed_again():
    works = [SyntheticWork(Task(bytes([number, *range(31)]), 300), 4) for number in range(1, 9)]
    with CudaDevice(0) as ours:
        outcomes = [work.run(ours) for work in works]
        for work, outcome in zip(works, outcomes, strict=True):
            opening = work.opening(outcome.result_hash, [1, 7])
            opening.check(opening.run(ours))
        assert trees_of(ours).find(works[0], outcomes[0].result_hash) is None


def test_a_task_too_large_for_the_card_is_refused_by_name():
    with CudaDevice(0) as device:
        hog = DeviceBuffer(max(0, driver.free_memory() - 2**30))
        try:
            with pytest.raises(TaskTooLarge, match="cuda:0"):
                device.compute(Task(bytes(range(32)), 40_000))
        finally:
            hog.close()
        assert device.compute(Task(bytes(range(32)), 17)).root


def test_unknown_tier_and_missing_card():
    with pytest.raises(KernelError, match="wgmma"):
        CudaDevice(0, tier="abacus")
    with pytest.raises(KernelError, match="no GPU 99"):
        CudaDevice(99)
