"""Some layers of a sample, checked from the sums before them: what is drawn is found, in both ways."""

import os

import numpy as np
import pytest

from kernels.cpu.network.checker import checker
from kernels.data import Data
from kernels.errors import WrongResult
from kernels.network import checking
from kernels.network.graph import layers
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.convolutions import Conv2D
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import columns_of_layers, run_layers
from kernels.network.graph.moves import Reshape
from kernels.network.graph.operator import Form
from kernels.network.graph.parts import Units
from kernels.network.graph.run import inputs_of, outputs_row, run_values
from kernels.network.model import decode_network
from kernels.work.inference import InferenceWork
from tests.kernels.network.graphs import Graphs
from tests.kernels.network.test_graph_files import file_of, small

SAMPLES = 6
TRIALS = 1000
pytestmark = pytest.mark.timeout(600)  # the first of them compiles


def compiled():
    """A graph that the compiled checker takes: three convolutions, one beside an addition."""
    makes, form = Graphs(3), Form((1, 6, 6, 4))

    def convolution(outputs, size, channels):
        weights = makes.weighted((outputs, size, size, channels), outputs, size**2 * channels)
        around = (size // 2,) * 4
        return Conv2D(**weights, stride=(1, 1), dilation=(1, 1), padding=around)

    nodes = (
        Node(convolution(24, 3, 4), (0,)), Node(convolution(24, 1, 24), (1,)),
        Node(makes.addition(), (1, 2)), Node(convolution(5, 3, 24), (3,)),
        Node(Reshape(shape=(6 * 6 * 5,)), (4,)),
    )  # fmt: skip
    return Graph((form,), nodes, (5,))


def plain():
    """One that it does not take."""
    return decode_network(file_of(*small()))


def lie(graph, sample, unit, column):
    """A row that is wrong in one entry of a unit, and goes on from there as if it were right."""
    products, kept = {one.node: one for one in columns_of_layers(graph)}, []

    def step(place, node, x):
        if place not in products:
            return node.operator.run(REFERENCE, *x)
        sums = node.operator.sums(REFERENCE, *x).copy()
        if place == unit:
            sums.reshape(-1)[column % sums.size] += 1
        kept.append(sums.reshape(1, -1))
        return node.operator.finish(REFERENCE, x, sums)

    values = run_values(graph, inputs_of(graph, sample.reshape(1, -1)), step)
    outputs = outputs_row(graph, values, 1).astype(np.int32)
    if unit is None:
        outputs[0, column % outputs.shape[1]] ^= 1
    return np.concatenate([outputs, *kept], axis=1)


@pytest.fixture(params=[plain, compiled])
def graph(request, cpu):
    return request.param()


@pytest.fixture
def samples(graph):
    random = np.random.default_rng(5)
    return random.integers(-128, 128, (SAMPLES, graph.sample_entries), np.int8)


def test_each_unit_finds_its_own_lies_and_no_others(graph, samples):
    units, made = Units(graph), checker(graph)
    for unit in units.all:
        row = lie(graph, samples[:1], unit, 7)
        for other in units.all:
            part, found = [units.part([other])], False
            try:
                layers.check_layers(graph, samples[:1], row, os.urandom, part)
            except WrongResult:
                found = True
            assert found == (other == unit)
            if made is not None:
                wrong = made.wrong(samples[:1], row, os.urandom, part)
                assert wrong == ((-1 if unit is None else unit) if other == unit else None)


def test_samples_go_on_in_the_order_where_the_one_before_ended(graph):
    units = Units(graph)
    parts = units.drawn(2 * len(units.all), 1e-9, os.urandom)
    seen = [part.tested | ({None} if part.outputs else set()) for part in parts]
    assert all(len(one) == 1 for one in seen)
    assert all(seen.count({unit}) == 2 for unit in units.all)
    (whole,) = set(units.drawn(3, 1.0, os.urandom))
    assert len(whole.tested) == len(units.all) - 1


def test_honest_rows_pass_with_any_share(graph, samples):
    rows = run_layers(graph, samples, REFERENCE, group=1)
    for share in (1e-9, 0.3, 0.7, 1.0):
        checking.check_layers(graph, samples, rows, share=share)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_lie_in_one_unit_is_found_as_often_as_the_rate_says(share):
    """Of one of two samples, both checked: the share of its units, rounded up."""
    graph = plain()
    units, random = Units(graph), np.random.default_rng(3)
    samples = random.integers(-128, 128, (2, graph.sample_entries), np.int8)
    rows = run_layers(graph, samples, REFERENCE, group=1)
    data = (Data.of_bytes(file_of(*small())), Data.of_bytes(samples.tobytes()))
    made = InferenceWork.of(*data, 2, True, True)
    work = InferenceWork(
        **{name: getattr(made, name) for name in made.__slots__} | {"layer_share": share}
    )
    caught = 0
    for _ in range(TRIALS):
        at, unit = int(random.integers(2)), units.all[random.integers(len(units.all))]
        wrong = rows.copy()
        wrong[at] = lie(graph, samples[at], unit, int(random.integers(1 << 20)))[0]
        try:
            work.check_matrix(wrong, random.bytes(32))
        except WrongResult:
            caught += 1
    rate = min(1, -(-share * len(units.all) // 1) / len(units.all))
    assert abs(caught - TRIALS * rate) <= 5 * (TRIALS * rate * (1 - rate)) ** 0.5
