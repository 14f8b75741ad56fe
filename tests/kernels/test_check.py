"""What a verifier accepts, and what it refuses, with the right exception and at the right moment."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import check, proof
from kernels.check import check_full, check_leaves, check_proof
from kernels.errors import InvalidProof, KernelError, WrongResult
from kernels.task import Task

SEED = bytes(range(32))
TASK = Task(SEED, 257, 2)
K = 8
LEAVES = [0, 1, 255, 513]


@pytest.fixture(scope="module")
def commitment(cpu):
    return cpu.compute(TASK)


@pytest.fixture
def nothing_computed(monkeypatch):
    monkeypatch.setattr(check, "opened_digests", lambda *_: pytest.fail("something was computed"))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_accepted(commitment):
    for k in (0, 1, K, TASK.leaf_count):
        check_proof(TASK, commitment.root, commitment.proof(k), least_openings=k)


def test_all_leaves_satisfy_any_demand(cpu):
    """Four leaves cannot open sixteen."""
    task = Task(SEED, 4)
    small = cpu.compute(task)
    check_proof(task, small.root, small.proof(4), least_openings=16)
    with pytest.raises(InvalidProof, match="at least 16"):
        check_proof(task, small.root, small.proof(3), least_openings=16)


def test_every_flipped_bit_of_the_header(commitment, nothing_computed):
    raw = bytes.fromhex(commitment.proof(K))
    for bit in range(8 * proof.HEADER.size):
        with pytest.raises(InvalidProof):
            check_proof(TASK, commitment.root, flipped(raw, bit).hex(), least_openings=0)


def test_flipped_bits_of_siblings(commitment):
    raw = bytes.fromhex(commitment.proof(K))
    for bit in random.Random(1).sample(range(8 * proof.HEADER.size, 8 * len(raw)), 60):
        with pytest.raises(WrongResult):
            check_proof(TASK, commitment.root, flipped(raw, bit).hex(), least_openings=K)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: "",
        lambda text: text[:1],
        lambda text: text[:24],
        lambda text: text[:26],
        lambda text: text[:-1],
        lambda text: text[:-2],
        lambda text: text[:-64],
        lambda text: text + "0",
        lambda text: text + "00",
        lambda text: text + "00" * 32,
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: "0x" + text,
        lambda text: text.replace("0", "٠", 2),
        lambda text: text[:26] + "g" + text[27:],
        lambda text: text + "00" * 50_000_000,
        lambda text: text.encode(),
        lambda text: None,
        lambda text: 5,
    ],
)
def test_malformed(commitment, nothing_computed, mangle):
    with pytest.raises(InvalidProof):
        check_proof(TASK, commitment.root, mangle(commitment.proof(K)), least_openings=0)


@pytest.mark.parametrize(
    ("version", "n", "iterations", "k"),
    [
        (0, 257, 2, K),
        (2, 257, 2, K),
        (1, 256, 2, K),
        (1, 65_536, 65_536, K),
        (1, 257, 65_536, K),
        (1, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        (1, 257, 2, 515),
        (1, 257, 2, 2**32 - 1),
        (1, 257, 2, K - 1),
        (1, 257, 2, K + 1),
        (1, 257, 2, 0),
    ],
)
def test_headers(commitment, nothing_computed, version, n, iterations, k):
    raw = bytes.fromhex(commitment.proof(K))[proof.HEADER.size :]
    text = (proof.HEADER.pack(version, n, iterations, k) + raw).hex()
    with pytest.raises(InvalidProof):
        check_proof(TASK, commitment.root, text, least_openings=0)


def test_more_than_1024_openings(cpu, nothing_computed):
    task = Task(SEED, 1025)
    text = (proof.HEADER.pack(1, 1025, 1, 1025)).hex()
    with pytest.raises(InvalidProof, match="1025 openings"):
        check_proof(task, bytes(32), text, least_openings=0)


def test_too_few_openings(commitment, nothing_computed):
    with pytest.raises(InvalidProof, match="at least 9"):
        check_proof(TASK, commitment.root, commitment.proof(K), least_openings=K + 1)


@pytest.mark.parametrize("bit", [0, 100, 255])
def test_another_seed_or_root(commitment, bit):
    text = commitment.proof(K)
    for task, root in (
        (Task(flipped(SEED, bit), 257, 2), commitment.root),
        (TASK, flipped(commitment.root, bit)),
    ):
        # Another draw of leaves needs, as a rule, another number of siblings.
        with pytest.raises((WrongResult, InvalidProof)):
            check_proof(task, root, text, least_openings=K)


@pytest.mark.parametrize("root", [b"", bytes(31), bytes(33)])
def test_roots_of_another_length(commitment, nothing_computed, root):
    with pytest.raises(InvalidProof, match="32 bytes"):
        check_proof(TASK, root, commitment.proof(K), least_openings=K)
    with pytest.raises(InvalidProof, match="32 bytes"):
        check_leaves(TASK, root, LEAVES, commitment.siblings(LEAVES))


def test_a_proof_by_a_cheat(cpu):
    """The right form for a wrong result: another seed's matrix, its own draw."""
    other = cpu.compute(Task(SEED[::-1], 257, 2))
    leaves = proof.draw_openings(other.root, TASK, K)
    text = proof.encode_proof(TASK, K, other.siblings(leaves))
    with pytest.raises(WrongResult):
        check_proof(TASK, other.root, text, least_openings=K)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_mutations_raise_nothing_else(commitment, data):
    text = commitment.proof(K)
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, len(text)))
    piece = data.draw(st.one_of(st.text(max_size=80), st.text("0123456789abcdef", max_size=80)))
    mutated = text[:at] + piece + text[until:]
    try:
        check_proof(TASK, commitment.root, mutated, least_openings=1)
    except KernelError:
        assert mutated != text
    else:
        assert mutated == text


def test_freely_drawn_leaves(commitment):
    for leaves in ([0], [513], [256, 257], LEAVES, tuple(reversed(LEAVES)), range(514)):
        check_leaves(TASK, commitment.root, leaves, commitment.siblings(leaves))


def test_freely_drawn_leaves_refused(commitment, nothing_computed):
    siblings = commitment.siblings(LEAVES)
    for leaves, given_siblings in (
        ([], b""),
        ([514], siblings),
        ([-1], siblings),
        ([5, 5], siblings),
        (LEAVES, siblings[:-1]),
        (LEAVES, siblings[:-32]),
        (LEAVES, siblings + bytes(32)),
    ):
        with pytest.raises(InvalidProof):
            check_leaves(TASK, commitment.root, leaves, given_siblings)


def test_freely_drawn_leaves_wrong(commitment):
    siblings = commitment.siblings(LEAVES)
    for task, root, given_siblings in (
        (TASK, commitment.root, flipped(siblings, 5)),
        (TASK, flipped(commitment.root, 0), siblings),
        (Task(flipped(SEED, 9), 257, 2), commitment.root, siblings),
        (Task(flipped(SEED, 200), 257, 2), commitment.root, siblings),
        (Task(SEED, 257, 1), commitment.root, siblings),
    ):
        with pytest.raises(WrongResult):
            check_leaves(task, root, LEAVES, given_siblings)


def test_full(commitment, reference):
    check_full(TASK, commitment.root, reference)
    with pytest.raises(WrongResult):
        check_full(TASK, flipped(commitment.root, 0), reference)


@pytest.mark.parametrize("iterations", [1, 2, 3, 4])
@pytest.mark.parametrize("kept", [0, 1 << 26])
def test_b_in_blocks(cpu, operations, iterations, kept, monkeypatch):
    """Blocks that divide nothing, with and without B kept between iterations."""
    monkeypatch.setattr(check, "BLOCK_ENTRIES", 300 * 70)
    monkeypatch.setattr(check, "KEPT_ENTRIES", kept)
    task = Task(SEED, 300, iterations)
    computed = cpu.compute(task)
    proof = computed.proof(20)
    check_proof(task, computed.root, proof, least_openings=20, operations=operations)


def test_bounded_memory_at_the_largest_size(fast):
    """Two leaves out of 4 GiB operands: the right digests, in well under 100 MiB."""
    task = Task(SEED, 65_536)
    tracemalloc.start()
    try:
        last = task.leaf_count - 1
        digests = check.opened_digests(task, [0, last])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20

    assert check.opened_digests(task, [0, last], fast) == digests
