"""Graphs with states: sample by sample, from a state on, checked by the rows, and lied about."""

import numpy as np
import pytest

from kernels.data import Data
from kernels.errors import InvalidNetwork, InvalidTask, WrongResult
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.layers import layer_columns
from kernels.network.graph.run import run_graph
from kernels.network.graph.stream import samples_with_states, start_of, states_of
from kernels.network.model import decode_network, encode_network
from kernels.work import Outcome, inference
from kernels.work.inference import InferenceWork
from tests.kernels.network.test_graph_files import file_of, layer

FRAMES = 12
TRIALS = 1000


def streaming(**more):
    """A graph over the last five frames of three: two outputs, and the last four frames, its state."""
    random = np.random.default_rng(4)
    nodes = [
        layer("concatenate", 1, 0, axis=1),
        layer("slice", 2, begin=[0, 1, 0], size=[1, 4, 3], step=[1, 1, 1]),
        layer("reshape", 2, shape=[1, 15]),
        layer("fully_connected", 4, keep_dims=0, input_zero=5, output_zero=-7, low=-128, high=127),
    ]
    tensors = {
        "n3.weights": random.integers(-20, 20, (2, 15), np.int8),
        "n3.bias": np.array([7, -9], np.int32),
        "n3.multiplier": np.full(2, 1 << 30, np.int64),
        "n3.shift": np.full(2, 37, np.uint8),
    }
    described = {
        "version": 2,
        "inputs": [{"type": "int8", "shape": [1, side, 3]} for side in (1, 4)],
        "nodes": nodes,
        "outputs": [5, 3],
        "states": [-7],
        "about": {},
    }
    return file_of(tensors, described | more)


MODEL = streaming()
GRAPH = decode_network(MODEL)
SAMPLES = np.random.default_rng(5).integers(-128, 128, (FRAMES, GRAPH.sample_entries), np.int8)
START = start_of(GRAPH)


def work_of(samples=SAMPLES, layers=False, state=None):
    data = None if state is None else Data.of_bytes(state.tobytes())
    parts = (Data.of_bytes(MODEL), Data.of_bytes(samples.tobytes()))
    return InferenceWork.of(*parts, len(samples), True, layers, data)


def rows_of(work, device):
    return work.form.entries(work.run(device).data)


def by_hand():
    """The windows of five frames, laid out without any state."""
    history = np.concatenate([START.reshape(4, 3), SAMPLES])
    windows = np.stack([history[i : i + 5] for i in range(FRAMES)])
    last = windows[:, 1:].reshape(FRAMES, -1)
    weights, bias = GRAPH.nodes[3].operator.weights, GRAPH.nodes[3].operator.bias
    sums = (windows.reshape(FRAMES, -1).astype(np.int64) - 5) @ weights.T + bias
    scaled = np.sign(sums) * ((np.abs(sums) * 2**30 + 2**36) >> 37)
    return np.concatenate([np.clip(scaled - 7, -128, 127), last], axis=1)


def test_a_file_with_states_is_read_as_it_was_written():
    assert GRAPH.states == (-7,)
    assert (GRAPH.sample_entries, GRAPH.state_entries, GRAPH.input_shape) == (3, 12, (1, 3))
    assert decode_network(encode_network(GRAPH)).states == (-7,)


@pytest.mark.parametrize(
    "more",
    [
        {"states": [128]},
        {"states": ["0"]},
        {"states": [0, 0]},
        {"states": [0], "outputs": [3, 5]},
        {"states": [0], "outputs": [3]},
        {"states": 3},
    ],
)
def test_states_that_are_none_are_refused(more):
    with pytest.raises(InvalidNetwork):
        decode_network(streaming(**more))


@pytest.mark.parametrize("layers", [False, True])
def test_a_stream_in_one_piece_and_in_two(cpu, layers):
    whole = rows_of(work_of(layers=layers), cpu)
    assert np.array_equal(whole[:, : GRAPH.columns], by_hand())
    first = rows_of(work_of(SAMPLES[:5], layers), cpu)
    rest = rows_of(work_of(SAMPLES[5:], layers, states_of(GRAPH, first)[-1]), cpu)
    assert np.array_equal(np.concatenate([first, rest]), whole)


def test_all_samples_are_one_batch_once_the_rows_are_known(cpu):
    rows = rows_of(work_of(), cpu)
    met = samples_with_states(GRAPH, SAMPLES, START, rows)
    assert np.array_equal(run_graph(GRAPH, met, REFERENCE, group=5), rows)


@pytest.mark.parametrize("layers", [False, True])
def test_as_work(cpu, layers):
    work = work_of(layers=layers)
    outcome = work.run(cpu)
    work.check(outcome)
    opening = work.opening(outcome.result_hash, [1, work.leaf_count - 1])
    opening.check(opening.run(cpu))
    rows = work.form.entries(outcome.data)
    with pytest.raises(WrongResult):
        work.check(Outcome(outcome.result_hash, data=rows[::-1].tobytes()))


def test_jobs_of_several_streams_do_not_mix(cpu):
    works = [work_of(), work_of(SAMPLES[::-1])]
    for work, outcome in zip(works, InferenceWork.run_together(works, cpu), strict=True):
        assert outcome == work.run(cpu)


def test_a_state_that_does_not_fit():
    with pytest.raises(InvalidTask, match="11 bytes, and the model's is 12"):
        work_of(state=np.zeros(11, np.int8))


@pytest.mark.parametrize("layers", [False, True])
def test_every_wrong_entry_is_seen(cpu, layers):
    """All rows of so small a stream are checked: outputs, states and sums, by one."""
    work = work_of(layers=layers)
    rows = rows_of(work, cpu)
    for row in (0, 3, FRAMES - 1):
        for column in range(rows.shape[1]):
            wrong = rows.copy()
            wrong[row, column] ^= 1
            with pytest.raises(WrongResult):
                work.check_matrix(wrong, bytes(32))


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [2, 5])
def test_one_false_step_is_caught_as_often_as_the_rate_says(cpu, drawn, monkeypatch):
    """A wrong state, and from there on a consistent stream: one row of N does not follow."""
    monkeypatch.setattr(inference, "STREAM_COST", drawn * GRAPH.sample_cost)
    work, random, caught = work_of(), np.random.default_rng(3), 0
    rows = rows_of(work, cpu)
    for _ in range(TRIALS):
        at, wrong = int(random.integers(FRAMES)), rows.copy()
        wrong[at, random.integers(2, GRAPH.columns)] ^= 1
        rest = SAMPLES[at + 1 :]
        if len(rest):
            wrong[at + 1 :] = rows_of(work_of(rest, state=states_of(GRAPH, wrong)[at]), cpu)
        try:
            work.check_matrix(wrong, random.bytes(32))
        except WrongResult:
            caught += 1
    rate = drawn / FRAMES
    assert abs(caught - TRIALS * rate) < 5 * (TRIALS * rate * (1 - rate)) ** 0.5


def test_layers_of_a_stream_are_its_sums(cpu):
    rows = rows_of(work_of(layers=True), cpu)
    assert rows.shape[1] == GRAPH.columns + layer_columns(GRAPH) == 14 + 2
