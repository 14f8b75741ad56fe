"""Samples computed again by a compiled program: numpy's rows; only what is wrong is refused."""

import gc
import hashlib
import weakref
from dataclasses import replace

import numpy as np
import pytest

from kernels.commit.rows import MatrixTree
from kernels.data import Data
from kernels.errors import InvalidTask, WrongResult
from kernels.network.again import by_numpy, compute_again
from kernels.network.model import decode_network, encode_network
from kernels.work.inference import InferenceWork
from tests.kernels.network.graphs import KINDS, Graphs
from tests.kernels.network.test_graph_files import file_of, small
from tests.kernels.network.test_parts import compiled

pytestmark = pytest.mark.timeout(600)  # the first of them compiles
SAMPLES = 7


def samples_of(graph, count=SAMPLES):
    return np.random.default_rng(1).integers(-128, 128, (count, graph.sample_entries), np.int8)


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_numpy_s(kind, layers):
    graph = Graphs(5).make(kind)
    samples = samples_of(graph)
    wanted = by_numpy(graph, samples, layers=layers)
    made = compute_again(graph, samples, layers=layers)
    assert made.dtype == wanted.dtype
    assert np.array_equal(made, wanted)


@pytest.mark.parametrize("graph", [compiled(), decode_network(file_of(*small()))])
@pytest.mark.parametrize("layers", [False, True])
def test_what_is_right_passes_and_one_wrong_entry_does_not(cpu, graph, layers):
    content, samples = encode_network(graph), samples_of(graph)
    data = Data.of_bytes(samples.tobytes())
    work = InferenceWork.of(Data.of_bytes(content), data, SAMPLES, layers=layers)
    work = replace(work, samples=SAMPLES)
    matrix = work.matrix(cpu)
    tree = MatrixTree(work.form, matrix)
    leaves = list(range(0, work.form.leaf_count, 2))
    assert len(work.check_matrix(matrix, bytes(32)).rows) == SAMPLES
    work.check_leaves(tree.result_hash, leaves, tree.siblings(leaves))
    wrong = matrix.copy()
    wrong[SAMPLES - 1, 0] ^= 1
    with pytest.raises(WrongResult):
        work.check_matrix(wrong, bytes(32))
    tree = MatrixTree(work.form, wrong)
    with pytest.raises(WrongResult):
        work.check_leaves(tree.result_hash, leaves, tree.siblings(leaves))


def test_where_the_input_s_file_is_another_one_nobody_is_blamed(cpu, tmp_path):
    graph = compiled()
    content = samples_of(graph).tobytes()
    path = tmp_path / "input"
    path.write_bytes(content)
    digest = hashlib.sha256(content).digest()

    def job():
        data = Data.of_file(path, digest, len(content))
        return InferenceWork.of(Data.of_bytes(encode_network(graph)), data, SAMPLES)

    outcome, tree = job().compute(cpu)
    leaves = list(range(SAMPLES))
    job().check(outcome)
    path.write_bytes(bytes(byte ^ 64 for byte in content))
    for check in (
        lambda: job().check(outcome),
        lambda: job().check_leaves(outcome.result_hash, leaves, tree.siblings(leaves)),
    ):
        with pytest.raises(InvalidTask, match="not what its hash says"):
            check()
    path.write_bytes(content[:-1])
    with pytest.raises(InvalidTask):
        job().check_leaves(outcome.result_hash, leaves, tree.siblings(leaves))


def test_a_graph_that_is_gone_takes_its_program_with_it():
    for kind in (None, *KINDS):
        graph = compiled() if kind is None else Graphs(6).make(kind)
        samples = samples_of(graph, 1)
        assert np.array_equal(
            compute_again(graph, samples, layers=True), by_numpy(graph, samples, layers=True)
        )
        kept = weakref.ref(graph)
        del graph
        gc.collect()
        assert kept() is None, kind
