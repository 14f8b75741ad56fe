"""Wide values: a dense layer's 16 bits for a normalisation, in Python's integers and in files."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.errors import InvalidNetwork, WrongResult
from kernels.network import fast, reference
from kernels.network.again import by_numpy, compute_again
from kernels.network.checking import check_layers
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import product_layers
from kernels.network.graph.normal import ChannelNorm, WideNorm, least_wide_step, make_norm
from kernels.network.graph.operator import Form
from kernels.network.graph.products import WideFullyConnected
from kernels.network.model import decode_network, encode_network
from tests.kernels.network.test_layer_norm import plain

N = 24
STEP = 0.01


def dense(random) -> WideFullyConnected:
    return WideFullyConnected(
        weights=random.integers(-127, 128, (N, N)).astype(np.int8),
        bias=random.integers(-(2**18), 2**18, N).astype(np.int32),
        multiplier=random.integers(2**30, 2**31, N), shift=np.full(N, 33, np.uint8),
        keep_dims=1, input_zero=-7, output_zero=0, low=-128, high=127,
    )  # fmt: skip


def norm(random, wide=(True, False), *, to_wide=False) -> ChannelNorm:
    gamma, beta = random.normal(1, 0.3, N), random.normal(0, 0.3, N)
    scales = [np.array([0.001]), np.geomspace(0.01, 0.5, N)]
    step = np.array([least_wide_step(gamma) if to_wide else STEP])
    made = make_norm(
        scales, (0, 5), (gamma, beta, 1e-5), step, 0, (-128, 127), wide, to_wide=to_wide
    )
    assert isinstance(made, ChannelNorm)
    assert isinstance(made, WideNorm) == to_wide
    return made


def network(random) -> Graph:
    nodes = (
        Node(dense(random), (0,)), Node(norm(random, to_wide=True), (1, 0)),
        Node(norm(random), (2, 0)),
    )  # fmt: skip
    return Graph((Form((1, 3, N)),), nodes, (3,))


def test_each_step_is_python_s(cpu):
    random = np.random.default_rng(4)
    graph = decode_network(encode_network(network(random)))
    samples = random.integers(-128, 128, (9, graph.sample_entries), np.int8)
    outputs = reference.forward(graph, samples)
    assert np.array_equal(fast.forward(graph, samples, cpu), outputs)
    assert np.array_equal(compute_again(graph, samples, layers=False), outputs)
    first, second, third = (node.operator for node in graph.nodes)
    unbounded = SimpleNamespace(
        rows=second.rows, zeros=second.zeros, epsilon=second.epsilon, factor=second.factor,
        offset=second.offset, output_zero=0, low=-(2**15), high=2**15 - 1,
    )  # fmt: skip
    seen, steps = set(), set()
    for x, y in zip(samples.reshape(-1, N).tolist(), outputs.reshape(-1, N).tolist(), strict=True):
        wide = []
        for w, b, m in zip(first.weights.tolist(), first.bias, first.multiplier, strict=True):
            s = int(b) + sum((a + 7) * one for a, one in zip(x, w, strict=True))
            r = (abs(s) * int(m) + 2**32) >> 33
            wide.append(max(-(2**15), min(2**15 - 1, r if s >= 0 else -r)))
        seen.update(wide)
        normal = plain([wide, x], unbounded)
        steps.update(normal)
        assert plain([normal, x], third) == y
    assert len(steps) > 256
    assert {-(2**15), 2**15 - 1} <= seen
    assert len(seen) > 256


def test_its_sums_are_committed_to_and_checked():
    random = np.random.default_rng(5)
    graph = network(random)
    samples = random.integers(-128, 128, (2, graph.sample_entries), np.int8)
    rows = by_numpy(graph, samples, layers=True)
    assert product_layers(graph) == (0,)
    assert rows.shape == (2, 6 * N)
    check_layers(graph, samples, rows)
    rows[1, 4 * N] += 1
    with pytest.raises(WrongResult, match="wide_fully_connected"):
        check_layers(graph, samples, rows)


def test_wide_inputs_are_as_near_to_float_as_others():
    random = np.random.default_rng(6)
    gamma, beta, scale = random.normal(1, 0.3, N), random.normal(0, 0.3, N), 0.0005
    layer = make_norm(
        [np.array([scale])], (0,), (gamma, beta, 1e-5), np.array([0.03]), 0, (-128, 127), (True,)
    )
    x = random.integers(-(2**15), 2**15, (200, N)).astype(np.int32)
    real = scale * x
    centred = real - real.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-5)
    wanted = np.clip((normal * gamma + beta) / 0.03, -128, 127)
    assert np.abs(layer.run(None, x) - wanted).max() < 0.51
    far = np.clip(x.astype(np.int64) * 2**15, -(2**31), 2**31 - 1).astype(np.int32)
    at_the_ends = np.clip(far, -(2**15), 2**15 - 1)
    assert np.array_equal(layer.run(None, far), layer.run(None, at_the_ends))


def test_what_could_overflow_or_has_a_zero_point_is_refused():
    random = np.random.default_rng(7)
    layer = norm(random)
    byte, wide = Form((3, N)), Form((3, N), 4)
    assert layer.output(wide, byte) == byte
    for inputs in ((byte, wide), (wide, wide)):
        with pytest.raises(InvalidNetwork, match="overflow"):
            layer.output(*inputs)
    with pytest.raises(InvalidNetwork, match="overflow"):
        norm(random, (False, False)).output(wide, byte)
    for one in (dense(random), norm(random, to_wide=True)):
        with pytest.raises(InvalidNetwork, match="no bounds"):
            replace(one, low=0)


def test_the_least_step_of_a_wide_normalisation_is_one_that_its_factors_fit():
    gamma = np.array([0.5, -40.0, 1.0, 2.0])
    parameters, ends = (gamma, np.zeros(4), 1e-5), (-128, 127)
    scale, step = [np.array([0.01])], np.array([least_wide_step(gamma)])
    made = make_norm(scale, (0,), parameters, step, 0, ends, (False,), to_wide=True)
    assert np.abs(made.factor).max() == 1 << 30
    with pytest.raises(InvalidNetwork):
        make_norm(scale, (0,), parameters, step / 3, 0, ends, (False,), to_wide=True)
