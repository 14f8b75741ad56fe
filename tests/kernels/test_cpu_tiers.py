"""Every way that this CPU can multiply, forced by name: exact for any shape, and refused where it
lacks.

What this machine has not is not run; `test_cpu_aarch64.py` compiles for another.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.check import check_proof
from kernels.cpu import features
from kernels.cpu.commit import choose
from kernels.cpu.operations import CpuOperations
from kernels.cpu.product import blocks, microkernel, reference, tiers
from kernels.cpu.product.microkernel import PANEL, STEP
from kernels.devices import open_device
from kernels.errors import DeviceUnavailable, KernelError
from kernels.known_answer import known_answer_test
from kernels.product.reference import fold
from kernels.task import Task
from tests.processes import PATIENCE_SECONDS
from tests.variants import quick_and_slow

HERE = [tier.name for tier in tiers.usable_tiers()]
AVX2_ONLY = "+sse2,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,-avx512f"


@pytest.fixture(scope="module", params=HERE)
def tier(request) -> CpuOperations:
    return CpuOperations(request.param)


def products(operations, A, B):
    """The folded product and the sums."""
    (m, k), n = A.shape, len(B)
    packed, R = operations.empty_b(n, k), operations.empty_rows(m, k)
    operations.load_b(B, packed)
    R[:] = 77
    R[:m, :k] = A
    out = operations.empty_rows(m, n)
    operations.multiply_fold(R, packed, out)
    C = np.full((m, n), 77, np.int32)
    operations.multiply(A, packed, C)
    return out[:m, :n], C


@pytest.mark.parametrize("count", quick_and_slow([25], [250]))
def test_random_shapes(tier, count):
    """Also the largest products at places where a wrong sum shows: rows of -128 on both sides."""
    rng = np.random.default_rng(count)
    for _ in range(count):
        m, n, k = (int(x) for x in rng.integers(1, [100, 140, 700]))
        entries = rng.integers(-128, 128, (m + n, k), np.int8)
        A, B = entries[:m].copy(), entries[m:].copy()
        A[rng.integers(m)], B[rng.integers(n)] = -128, -128
        expected = (A.astype(np.float64) @ B.astype(np.float64).T).astype(np.int32)
        folded, C = products(tier, A, B)
        assert np.array_equal(C, expected)
        assert np.array_equal(folded, fold(expected))


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    m=st.integers(1, 2 * PANEL + 1),
    n=st.integers(1, 5 * PANEL + 1),
    k=st.sampled_from([size + d for size in (STEP, 256, 512, 768) for d in (-1, 0, 1)]),
    extremes=st.tuples(*[st.sampled_from([-128, -127, 0, 127])] * 2),
    number=st.integers(0, 2**32 - 1),
)
def test_edges_of_panels_and_blocks(tier, m, n, k, extremes, number):
    """Each row of A and of B is random, or one extreme from end to end."""
    rng = np.random.default_rng(number)
    A, B = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (n, k), np.int8)
    for matrix, extreme in zip((A, B), extremes, strict=True):
        matrix[rng.random(len(matrix)) < 0.5] = extreme
    expected = (A.astype(np.float64) @ B.astype(np.float64).T).astype(np.int32)
    folded, C = products(tier, A, B)
    assert np.array_equal(C, expected)
    assert np.array_equal(folded, fold(expected))


@pytest.mark.parametrize("extreme", [-128, 127])
def test_one_panel_of_extremes(tier, extreme):
    """Every entry of both operands: the most that a pair of products can be."""
    X = np.full((PANEL, STEP), extreme, np.int8)
    _, C = products(tier, X, X)
    assert (STEP * extreme**2 == C).all()


@pytest.mark.parametrize(("m", "n", "k"), [(256, 256, 512), (300, 600, 1100), (33, 289, 513)])
def test_whole_blocks_and_one_more(tier, m, n, k):
    entries = np.random.default_rng(m).integers(-128, 128, (m + n, k), np.int8)
    A, B = entries[:m], entries[m:]
    expected = (A.astype(np.float64) @ B.astype(np.float64).T).astype(np.int32)
    folded, C = products(tier, A, B)
    assert np.array_equal(C, expected)
    assert np.array_equal(folded, fold(expected))


@pytest.mark.parametrize(("x", "y"), [(-128, -128), (-128, 127), (127, 127), (127, -128)])
def test_longest_sums(tier, x, y):
    A, B = np.full((3, 65_536), x, np.int8), np.full((5, 65_536), y, np.int8)
    folded, C = products(tier, A, B)
    assert (65_536 * x * y == C).all()
    assert (folded == fold(C)).all()


def test_one_call_of_the_microkernel(tier):
    """Against the same in numpy, on a packed panel."""
    rng = np.random.default_rng(1)
    X, rows = rng.integers(-128, 128, (2, PANEL, 4 * STEP), np.int8)
    B, C = tier.empty_b(PANEL, 4 * STEP), np.empty((PANEL, PANEL), np.int32)
    tier.load_b(rows, B)
    assert np.array_equal(B.quads[0], reference.pack_quads(rows))
    tier.multiply(X, B, C)
    assert np.array_equal(C, reference.multiply_panel(X, B.quads[0]))


@pytest.mark.parametrize("name", HERE)
def test_vectors(name, vectors):
    with open_device("cpu", threads=2, tier=name) as device:
        known_answer_test(device)
        for vector in vectors("matrix_mult_v1"):
            if vector["matrix_size"] > 1024:
                continue
            task = Task(bytes.fromhex(vector["seed"]), vector["matrix_size"], vector["iterations"])
            commitment = device.compute(task)
            assert commitment.root.hex() == vector["result_hash"]
            assert commitment.proof(vector["openings"]) == vector["proof"]


def test_openings(tier):
    for n, iterations in ((1, 1), (300, 3), (1000, 1)):
        task = Task(bytes(range(32)), n, iterations)
        with open_device("cpu") as device:
            commitment = device.compute(task)
        k = min(16, task.leaf_count)
        proof = commitment.proof(k)
        check_proof(task, commitment.root, proof, least_openings=k, operations=tier)


def test_unknown_tier():
    with pytest.raises(KernelError, match="no tier 'sse9': known are amx") as caught:
        open_device("cpu", tier="sse9")
    assert not isinstance(caught.value, DeviceUnavailable)
    with pytest.raises(KernelError, match="has no tiers"):
        open_device("reference", tier="amx")


@pytest.mark.parametrize("name", [tier.name for tier in tiers.TIERS[:-1]])
def test_a_tier_that_this_cpu_lacks_is_refused_by_name(name, monkeypatch):
    monkeypatch.setattr(tiers, "usable_features", frozenset)
    with pytest.raises(DeviceUnavailable, match=f"{name} does not run here: this CPU has no") as it:
        CpuOperations(name)
    assert "simd128" in it.value.advice
    assert tiers.choose().name == "simd128"


def test_tiles_that_the_system_does_not_give(monkeypatch):
    has = frozenset().union(*(tier.features for tier in tiers.TIERS))
    monkeypatch.setattr(tiers, "usable_features", lambda: has)
    monkeypatch.setattr(tiers, "TIERS", (replaced(tiers.TIERS[0]), *tiers.TIERS[1:]))
    with pytest.raises(DeviceUnavailable, match="does not give AMX's tiles"):
        tiers.by_name("amx")
    assert tiers.choose().name == "avx512vnni"


def replaced(tier):
    return tiers.Tier(tier.name, tier.features, tier.build, lambda: False)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_tiles_elsewhere_than_on_linux(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert features.tiles_permitted.__wrapped__() is False


@pytest.mark.parametrize(
    ("has", "method"),
    [
        ({"avx512f", "avx512bw", "avx2", "sha", "sse4.1", "avx"}, "lanes16"),
        ({"avx2", "sha", "sse4.1", "avx"}, "shani"),
        ({"avx2", "sse4.1", "avx"}, "lanes8"),
        ({"sse4.1"}, "hashlib"),
        (set(), "hashlib"),
    ],
)
def test_how_leaves_are_hashed(has, method, monkeypatch):
    monkeypatch.setattr(features, "usable_features", lambda: frozenset(has))
    monkeypatch.setattr(choose, "usable_features", lambda: frozenset(has))
    assert choose.method() == method


CHILD = """
import sys
from kernels.devices import open_device
from kernels.known_answer import known_answer_test
tier, expected = sys.argv[1:]
with open_device("cpu", threads=2, tier=tier or None) as device:
    assert device.tier == expected, device.tier
    known_answer_test(device)
"""


@pytest.mark.parametrize(
    ("features", "best"),
    quick_and_slow([(AVX2_ONLY, "avx2")], [(f"{AVX2_ONLY},+avxvnni", "avxvnni")]),
)
def test_a_cpu_without_avx512(features, best):
    """The same in a process that is told to do without: AVX2's tier, SHA-NI or 8 lanes, narrow vectors.

    A forced tier that asks for more ends in a sentence, and not in SIGILL.
    """
    if best not in HERE:
        pytest.skip(f"this CPU has no {best}")
    environment = dict(os.environ, NUMBA_CPU_FEATURES=features)
    run = [sys.executable, "-c", CHILD]
    subprocess.run([*run, "", best], env=environment, check=True, timeout=PATIENCE_SECONDS)
    refused = subprocess.run(
        [*run, "avx512vnni", ""],
        env=environment,
        check=False,
        timeout=PATIENCE_SECONDS,
        capture_output=True,
    )
    assert refused.returncode == 1
    assert b"this CPU has no avx512bw" in refused.stderr


def test_blocks_fit_the_strip():
    assert CpuOperations.most_strip_rows == blocks.STRIP_PANELS * PANEL
    assert microkernel.BLOCK_QUADS * 4 % STEP == 0
    for tier in tiers.TIERS:
        its = tier.build()
        assert its.block_quads * 4 % STEP == 0
        assert its.block_quads <= microkernel.BLOCK_QUADS
        assert its.block_panels <= microkernel.BLOCK_PANELS
