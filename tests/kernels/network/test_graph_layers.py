"""Results that commit to their layers: honest ones pass, and a lie in any layer is seen."""

import numpy as np
import pytest

from kernels.data import Data
from kernels.errors import InvalidTask, WrongResult
from kernels.network import reference
from kernels.network.graph.backend import REFERENCE, fast
from kernels.network.graph.layers import (
    check_cost,
    check_layers,
    layer_columns,
    product_layers,
    run_layers,
)
from kernels.network.model import decode_network
from kernels.work import Outcome, inference
from kernels.work.inference import InferenceWork
from tests.kernels.network.test_graph_files import file_of, small

SAMPLES = 8
TRIALS = 1000


@pytest.fixture(scope="module")
def graph():
    return decode_network(file_of(*small()))


@pytest.fixture(scope="module")
def samples(graph):
    return np.random.default_rng(5).integers(-128, 128, (SAMPLES, graph.sample_entries), np.int8)


@pytest.fixture(scope="module")
def rows(graph, samples):
    return run_layers(graph, samples, REFERENCE, group=3)


def test_a_row_is_outputs_and_sums(graph, samples, rows, cpu):
    assert np.array_equal(run_layers(graph, samples, fast(cpu), group=5), rows)
    assert np.array_equal(rows[:, : graph.columns], reference.forward(graph, samples))
    assert [graph.nodes[i].operator.op for i in product_layers(graph)] == [
        "conv2d", "batch_matmul", "fully_connected",
    ]  # fmt: skip
    assert rows.shape == (SAMPLES, graph.columns + layer_columns(graph))
    check_layers(graph, samples, rows)


def test_every_wrong_entry_is_seen(graph, samples, rows):
    """Each column in turn, by one and by 2^31: in an output, and in the sums of each layer."""
    for column in range(rows.shape[1]):
        wrong = rows[:1].copy()
        wrong[0, column] ^= (1, -(2**31))[column % 2]
        with pytest.raises(WrongResult):
            check_layers(graph, samples[:1], wrong)


def test_other_lies_are_seen(graph, samples, rows):
    """Another sample's row; a model with other weights; a requantisation off by one."""
    with pytest.raises(WrongResult, match="Freivalds"):
        check_layers(graph, samples[:1], rows[1:2])
    tensors, described = small()
    tensors["n18.weights"] = tensors["n18.weights"] // 2
    cheaper = run_layers(decode_network(file_of(tensors, described)), samples, REFERENCE, group=8)
    with pytest.raises(WrongResult, match="fully_connected"):
        check_layers(graph, samples, cheaper)
    tensors, described = small()
    tensors["n18.multiplier"] = tensors["n18.multiplier"] + (1 << 27)
    scaled = run_layers(decode_network(file_of(tensors, described)), samples, REFERENCE, group=8)
    assert np.array_equal(scaled[:, graph.columns :], rows[:, graph.columns :])
    with pytest.raises(WrongResult, match="follows from the layers"):
        check_layers(graph, samples, scaled)


@pytest.fixture
def work(samples):
    model, data = Data.of_bytes(file_of(*small())), Data.of_bytes(samples.tobytes())
    return InferenceWork.of(model, data, SAMPLES, returns_data=True, layers=True)


def test_as_work(work, cpu, rows):
    outcome = work.run(cpu)
    assert outcome.data == rows.astype("<i4").tobytes()
    work.check(outcome)
    opening = work.opening(outcome.result_hash, [0, work.leaf_count - 1])
    opening.check(opening.run(cpu))
    with pytest.raises(WrongResult):
        work.check(Outcome(outcome.result_hash, data=rows[::-1].astype("<i4").tobytes()))


def test_a_chain_has_no_layers_to_commit_to():
    from engine.jobs.models import digits

    model, image = digits.model_bytes(), Data.of_bytes(bytes(64))
    with pytest.raises(InvalidTask, match="version 2"):
        InferenceWork.of(Data.of_bytes(model), image, 1, layers=True)


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [1, 3])
def test_a_liar_is_caught_as_often_as_the_rate_says(graph, work, rows, drawn, monkeypatch):
    """One entry of one sample is wrong, in an output or any layer: found in s of N checks."""
    monkeypatch.setattr(inference, "LAYERS_COST", drawn * check_cost(graph))
    random = np.random.default_rng(3)
    caught = 0
    for _ in range(TRIALS):
        wrong = rows.copy()
        wrong[random.integers(SAMPLES), random.integers(rows.shape[1])] += 1
        try:
            work.check_matrix(wrong, random.bytes(32))
        except WrongResult:
            caught += 1
    rate = drawn / SAMPLES
    spread = (TRIALS * rate * (1 - rate)) ** 0.5
    assert abs(caught - TRIALS * rate) < 5 * spread
