"""Work besides chain tasks: products and tasks, committed to, checked, opened, and lied about."""

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels import memory
from kernels.commit.digest_tree import tree_of
from kernels.commit.rows import MatrixForm, MatrixTree, check_matrix
from kernels.data import Data, carry_data
from kernels.devices import open_device
from kernels.digest import tagged_hash
from kernels.errors import InvalidProof, InvalidTask, TaskTooLarge, WrongResult
from kernels.freivalds import check_product
from kernels.task import Task
from kernels.work import Outcome
from kernels.work.committed import LEAVES_BESIDE, OpeningWork, TreeCache, trees_of
from kernels.work.matmul import MatrixWork
from kernels.work.synthetic import SyntheticWork
from tests.kernels import oracle

SEED = bytes(range(32))
SHARED = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def entries(shape, number=0, low=-128, high=128, dtype=np.int8):
    return np.random.default_rng(number).integers(low, high, shape, dtype)


def product(m, k, n, number=0, returns_data=False) -> MatrixWork:
    A, B = entries((m, k), number), entries((k, n), number + 1)
    return MatrixWork(m, k, n, Data.of_bytes(A.tobytes()), Data.of_bytes(B.tobytes()), returns_data)


def exact(work: MatrixWork):
    A = np.frombuffer(work.a.read(), np.int8).reshape(work.m, work.k)
    B = np.frombuffer(work.b.read(), np.int8).reshape(work.k, work.n)
    return A.astype(np.int64) @ B.astype(np.int64)


def hash_by_hand(C) -> bytes:
    """docs/jobs.md in plain Python, for a matrix of int32."""
    leaves = []
    for row in C:
        data = b"".join(int(entry).to_bytes(4, "little", signed=True) for entry in row)
        leaves += [data[i : i + 4096] for i in range(0, len(data), 4096)]
    root = oracle.root([tagged_hash("cpc/leaf", leaf) for leaf in leaves])
    shape = b"".join(side.to_bytes(4, "little") for side in C.shape)
    return tagged_hash("cpc/matrix", b"\x04" + shape + root)


@pytest.mark.parametrize("name", ["cpu", "reference"])
@SHARED
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 1200), st.integers(0, 2**32), st.data()
)
def test_product_is_right_checked_and_opened(name, request, m, k, n, number, data):
    device = request.getfixturevalue(name)
    work = pickle.loads(pickle.dumps(product(m, k, n, number)))
    outcome = work.run(device)
    C = exact(work)
    assert outcome.data == C.astype("<i4").tobytes()
    assert outcome.result_hash == hash_by_hand(C)
    assert outcome.proof is None
    work.check(outcome)
    leaves = data.draw(
        st.lists(st.integers(0, work.leaf_count - 1), min_size=1, max_size=5, unique=True)
    )
    opening = work.opening(outcome.result_hash, leaves)
    opened = pickle.loads(pickle.dumps(opening)).run(device)
    opening.check(opened)
    work.check_leaves(outcome.result_hash, leaves, opened.data)
    with pytest.raises(InvalidProof):
        work.check_leaves(outcome.result_hash, leaves, opened.data + bytes(32))


def test_every_wrong_entry_is_found(reference):
    work = product(4, 5, 70)
    right = work.run(reference)
    C = exact(work)
    for change in (1, -1, 1 << 16, 1 << 30, -(1 << 30)):
        wrong = C.copy()
        wrong[3, 69] += change
        data = wrong.astype("<i4").tobytes()
        with pytest.raises(WrongResult, match="hash"):
            work.check(Outcome(right.result_hash, data=data))
        with pytest.raises(WrongResult, match="Freivalds"):
            work.check(Outcome(hash_by_hand(wrong), data=data))
    with pytest.raises(WrongResult, match="bytes"):
        work.check(Outcome(right.result_hash, data=right.data[:-1]))
    with pytest.raises(InvalidProof):
        work.check(Outcome(right.result_hash, proof="", data=right.data))
    with pytest.raises(InvalidProof):
        work.check(Outcome(b"", data=right.data))
    work.check(Outcome(right.result_hash))  # says nothing, and is documented to


def test_freivalds_finds_errors_of_2_to_31():
    """Modulo 2^32 every second of these would pass."""
    A, B = entries((3, 4)), entries((4, 3), 1)
    C = A.astype(np.int64) @ B.astype(np.int64)
    check_product(A, B, C.astype(np.int32))
    C[1, 1] = -(2**31) if C[1, 1] == 0 else C[1, 1] - 2**31 * np.sign(C[1, 1])
    for _ in range(200):
        with pytest.raises(WrongResult):
            check_product(A, B, C.astype(np.int32))


def test_opening_of_another_result(reference):
    work, other = product(3, 3, 3), product(3, 3, 3, number=9)
    wrong = other.run(reference).result_hash
    with pytest.raises(WrongResult):
        work.opening(wrong, [0]).run(reference)
    right = work.run(reference)
    opened = work.opening(right.result_hash, [2]).run(reference)
    with pytest.raises(WrongResult):
        work.check_leaves(wrong, [2], opened.data)
    with pytest.raises(InvalidProof):
        work.opening(right.result_hash, [1]).check(opened)
    with pytest.raises(WrongResult):
        work.opening(right.result_hash, [2]).check(right.__class__(wrong, data=opened.data))
    for leaves in ([], [3], [-1], [1, 1]):
        with pytest.raises(InvalidProof):
            work.check_leaves(right.result_hash, leaves, opened.data)


@pytest.mark.parametrize(("m", "k", "n"), [(0, 1, 1), (1, 65_537, 1), (1, 1, 65_537), (2, 2, 3)])
def test_forms_that_are_none(m, k, n):
    with pytest.raises(InvalidTask):
        MatrixWork(m, k, n, Data.of_bytes(bytes(4)), Data.of_bytes(bytes(4)))


def test_memory_first(reference, monkeypatch):
    work = product(300, 300, 300)
    monkeypatch.setattr(memory, "available_memory", lambda: work.bytes_needed - 1)
    with pytest.raises(TaskTooLarge, match="300 x 300"):
        work.run(reference)


@SHARED
@given(st.integers(1, 9), st.integers(1, 9000), st.sampled_from([1, 4]), st.integers(0, 2**32))
def test_leaves_and_shapes(rows, columns, entry_bytes, number):
    """Where each leaf lies, and that the hash says the shape."""
    form = MatrixForm(rows, columns, entry_bytes)
    matrix = entries((rows, columns), number, dtype=form.dtype)
    digests = []
    for leaf in range(form.leaf_count):
        row, first, last = form.leaf_place(leaf)
        digests.append(tagged_hash("cpc/leaf", matrix[row, first:last].tobytes()))
    tree, root = MatrixTree(form, matrix), oracle.root(digests)
    assert tree.result_hash == form.result_hash(root)
    check_matrix(form, tree.result_hash, matrix.tobytes())
    for leaf in (0, form.leaf_count // 2, form.leaf_count - 1):
        assert tree.siblings([leaf]) == oracle.siblings(digests, {leaf})
    if rows != columns:
        assert MatrixForm(columns, rows, entry_bytes).result_hash(root) != tree.result_hash


@pytest.mark.parametrize("openings", [0, 3, 5000])
def test_synthetic(cpu, openings):
    work = pickle.loads(pickle.dumps(SyntheticWork(Task(SEED, 40, 2), openings)))
    outcome = work.run(cpu)
    work.check(outcome)
    root, proof = oracle.proof(SEED, 40, 2, min(openings, 40))
    assert (outcome.result_hash, outcome.proof, outcome.data) == (root, proof, None)
    with pytest.raises(InvalidProof):
        work.check(Outcome(outcome.result_hash))
    if openings:
        with pytest.raises((InvalidProof, WrongResult)):
            work.check(Outcome(bytes(32), outcome.proof))
    opening = work.opening(outcome.result_hash, [39, 0])
    assert isinstance(opening, OpeningWork)
    assert (opening.cost, opening.bytes_needed) == (work.cost, work.bytes_needed)
    opening.check(opening.run(cpu))


def test_data_is_what_its_hash_says(tmp_path):
    content = bytes(range(256))
    path = tmp_path / "data"
    path.write_bytes(content)
    data = Data.of_file(path, hashlib.sha256(content).digest(), len(content))
    assert data.read() == content
    assert data.carried() == Data.of_bytes(content) == data.carried().carried()
    assert "content" not in repr(data.carried())
    path.write_bytes(content[::-1])
    with pytest.raises(InvalidTask, match="hash"):
        data.read()
    path.write_bytes(content + b"more")
    with pytest.raises(InvalidTask, match="hash"):
        data.read()
    path.unlink()
    with pytest.raises(InvalidTask, match="cannot be read"):
        data.read()


def test_data_is_carried_to_where_its_files_are_not(tmp_path):
    """An opening holds work, and work holds data."""
    content = bytes(range(6))
    path = tmp_path / "a"
    path.write_bytes(content)
    named = Data.of_file(path, hashlib.sha256(content).digest(), len(content))
    work = MatrixWork(2, 3, 1, named, Data.of_bytes(bytes(3)))
    opening = work.opening(bytes(32), [0])
    carried = carry_data(opening)
    assert carried.work.a == Data.of_bytes(content)
    assert carried == carry_data(carried)
    assert carry_data(carried) is carried
    assert opening.work.a is named
    path.unlink()
    assert carried.work.a.read() == content
    with pytest.raises(InvalidTask):
        carry_data(opening)


def test_an_opening_that_comes_soon_computes_nothing(reference):
    work = product(5, 4, 70)
    outcome = work.run(reference)
    opening = work.opening(outcome.result_hash, [1, 3])

    class NoDevice:
        """Would fail at whatever it is asked for."""

    without = NoDevice()
    with pytest.raises(AttributeError):
        opening.run(without)  # nothing is kept for this one
    trees_of(without).keep(work, outcome.result_hash, work.compute(reference)[1])
    opened = opening.run(without)
    opening.check(opened)
    assert opened == opening.run(open_device("reference"))


def test_a_tree_that_its_device_dropped_is_computed_again(cpu):
    work = SyntheticWork(Task(SEED, 40), 3)
    outcome = work.run(cpu)
    opening = work.opening(outcome.result_hash, [0, 9])
    opened = opening.run(cpu)

    class Dropped:
        is_kept = False

    trees_of(cpu).keep(work, outcome.result_hash, Dropped())
    assert opening.run(cpu) == opened


def test_trees_are_kept_in_a_bounded_number(reference):
    trees = TreeCache(most_leaves=12 + 2 * LEAVES_BESIDE)
    works = [product(5, 4, 2, number=number) for number in range(3)]  # five leaves each
    hashes = []
    for work in works:
        outcome, tree = work.compute(reference)
        trees.keep(work, outcome.result_hash, tree)
        hashes.append(outcome.result_hash)
    found = [trees.find(work, known) is not None for work, known in zip(works, hashes, strict=True)]
    assert found == [False, True, True]
    assert trees.find(works[1], hashes[2]) is None
    large = product(13 + LEAVES_BESIDE, 4, 2)
    outcome, tree = large.compute(reference)
    trees.keep(large, outcome.result_hash, tree)
    assert trees.find(large, outcome.result_hash) is None


def test_the_leaves_of_a_small_result_come_along_and_lead_to_its_root(cpu):
    work = SyntheticWork(Task(SEED, 40, 2), 16)
    outcome = work.run(cpu)
    tree = tree_of(outcome.leaves, work.leaf_count, outcome.result_hash)
    assert tree.siblings([39, 0]) == work.opening(outcome.result_hash, [39, 0]).run(cpu).data
    level_above = tree.digests([(1, position) for position in range(20)])  # of the same root
    changed = bytes([outcome.leaves[0] ^ 1]) + outcome.leaves[1:]
    for lie in (b"", outcome.leaves[:-1], outcome.leaves[:-32], changed, level_above):
        told = replace(outcome, leaves=lie)
        with pytest.raises(InvalidProof):
            work.check(told)
        with pytest.raises(InvalidProof):
            work.proof_opening(told)
    large = SyntheticWork(Task(SEED, 300, 1), 16)
    assert large.run(cpu).leaves is None
