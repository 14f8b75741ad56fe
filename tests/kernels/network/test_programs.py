"""Compiled programs against the operators' numpy: every kernel, every way to multiply."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidNetwork, WrongResult
from kernels.network import fast, reference
from kernels.network.checking import check_layers
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.convolutions import Conv2D
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import run_layers
from kernels.network.graph.moves import Transpose
from kernels.network.graph.operator import Form
from tests.kernels.network.graphs import KINDS, Graphs

pytest.importorskip("numba")
from kernels.cpu.network.dots import DOTS, usable_dots
from kernels.cpu.network.runner import prepare
from kernels.team import Team
from tests.variants import seeds

USABLE = [dots.name for dots in usable_dots()]
EXTREMES = 0.1


def samples_of(graph, random, count: int) -> np.ndarray:
    samples = random.integers(-128, 128, (count, graph.sample_entries)).astype(np.int8)
    if random.random() < EXTREMES:
        samples = random.choice([-128, 127], samples.shape).astype(np.int8)
    return samples


def made(kind: str, seed: int):
    """A graph; the next seed's where this one's sums could overflow."""
    while True:
        try:
            return Graphs(seed).make(kind)
        except InvalidNetwork:
            seed += 1 << 40


def check(kind: str, seed: int, tier: str, team) -> bool:
    return runs_as_the_reference(made(kind, seed), seed, tier, team)


def runs_as_the_reference(graph, seed: int, tier: str, team) -> bool:
    """Whether it has a program, whose outputs and sums are those of numpy."""
    runner = prepare(graph, tier, team)
    if runner is None:
        return False
    samples = samples_of(graph, np.random.default_rng(seed), 3)
    rows = run_layers(graph, samples, REFERENCE, group=3)
    sums = np.empty((3, rows.shape[1] - graph.columns), np.int32)
    assert np.array_equal(runner.run(samples, sums), rows[:, : graph.columns]), seed
    assert np.array_equal(sums, rows[:, graph.columns :]), seed
    return True


@pytest.fixture(scope="module")
def team():
    with Team(1) as one:
        yield one


@pytest.mark.skipif(not USABLE, reason="a CPU with AVX2")
@settings(deadline=None, max_examples=30)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
def test_every_step_gives_the_reference_s_bits(team, kind, seed):
    check(kind, seed, USABLE[0], team)


@pytest.mark.slow  # where AVX2 is the best there is the test above has it
@pytest.mark.timeout(900)  # compiling it takes ten seconds of a CPU that may have much else to do
@pytest.mark.skipif("avx2" not in USABLE, reason="a CPU with AVX2")
@settings(deadline=None, max_examples=40)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
def test_with_avx2_alone(team, kind, seed):
    check(kind, seed, "avx2", team)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", seeds())
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tier", DOTS)
def test_many_graphs_of_each_kind(team, kind, tier, seeds):
    if tier not in USABLE:
        pytest.skip(f"this CPU has no {tier}")
    ran = sum(check(kind, seed, tier, team) for seed in seeds)
    assert ran > 0.6 * len(seeds)


def with_channels_first(graph):
    """The same network for images whose channels come first, as models from ONNX have them."""
    first, count = graph.inputs[0], len(graph.inputs)
    height, width, channels = first.shape[-3:]
    turned = Form((*first.shape[:-3], channels, height, width), first.entry_bytes)
    leading = tuple(range(len(first.shape) - 3))
    order = (*leading, *(len(leading) + i for i in (1, 2, 0)))

    def moved(values):
        return tuple(count if i == 0 else i + (i >= count) for i in values)

    nodes = (
        Node(Transpose(order), (0,)),
        *(replace(n, inputs=moved(n.inputs)) for n in graph.nodes),
    )
    return Graph(
        (turned, *graph.inputs[1:]), nodes, moved(graph.outputs), graph.about, graph.states
    )


@pytest.mark.skipif(not USABLE, reason="a CPU with AVX2")
@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "branches"])
def test_channels_that_come_first(team, kind):
    ran = 0
    for seed in range(10):
        graph = made(kind, seed)
        if prepare(graph, USABLE[0], team) is None or len(graph.inputs[0].shape) < 3:
            continue
        graph = with_channels_first(graph)
        ran += runs_as_the_reference(graph, seed, USABLE[0], team)
    assert ran > 3


@pytest.mark.skipif(not USABLE, reason="a CPU with AVX2")
def test_threads_share_one_sample_or_take_one_each(monkeypatch):
    from kernels.cpu.network import runner as module

    monkeypatch.setattr(module, "SHARED_COST", 0)
    with Team(3) as three:
        made_ready = 0
        for seed in range(20):
            graph = made("branches", seed)
            runner = prepare(graph, USABLE[0], three)
            if runner is None:
                continue
            made_ready += 1
            samples = samples_of(graph, np.random.default_rng(seed), 7)
            right = reference.forward(graph, samples)
            for count in (1, 2, 7):
                assert np.array_equal(runner.run(samples[:count]), right[:count])
        assert made_ready > 10


@pytest.mark.skipif(not USABLE, reason="a CPU with AVX2")
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_layers_of_few_places_by_outputs(monkeypatch, threads):
    from kernels.cpu.network import runner as module
    from kernels.network.graph.graph import Graph, Node
    from kernels.network.graph.operator import Form

    monkeypatch.setattr(module, "SHARED_COST", 0)
    with Team(threads) as team:
        for seed in range(6):
            makes, form = Graphs(seed), Form((1, 5 + 9 * (seed % 2), 5, 30))
            nodes, channels = [], 30
            for outputs, size in ((200, 1), (70, 3), (129, 1)):
                numbers = makes.weighted(
                    (outputs, size, size, channels), outputs, size**2 * channels
                )
                around = (size // 2,) * 4
                conv = Conv2D(**numbers, stride=(1, 1), dilation=(1, 1), padding=around)
                nodes.append(Node(conv, (len(nodes),)))
                channels = outputs
            graph = Graph((form,), tuple(nodes), (3,))
            runner = prepare(graph, USABLE[0], team)
            assert runner is not None
            samples = samples_of(graph, np.random.default_rng(seed), 1)
            rows = run_layers(graph, samples, REFERENCE, group=1)
            sums = np.empty((1, rows.shape[1] - graph.columns), np.int32)
            for _ in range(5):  # threads meet otherwise each time
                assert np.array_equal(runner.run(samples, sums), rows[:, : graph.columns])
                assert np.array_equal(sums, rows[:, graph.columns :])


def test_a_graph_without_a_program_goes_operator_by_operator(cpu):
    graph = made("softmax", 1)
    from kernels.network.graph.elementwise import Larger
    from kernels.network.graph.graph import Graph, Node

    nodes = (*graph.nodes, Node(Larger(sign=1), (1, 0)))
    larger = Graph(graph.inputs, nodes, (2,))
    assert cpu.prepare_graph(larger) is None
    samples = samples_of(larger, np.random.default_rng(0), 3)
    assert np.array_equal(fast.forward(larger, samples, cpu), reference.forward(larger, samples))


CHECKED = ("conv2d", "fully_connected", "branches")


def checks(kind: str, seed: int) -> None:
    """Honest rows pass; one wrong entry, and another sample's row, are seen, and named."""
    graph, random = made(kind, seed), np.random.default_rng(seed)
    samples = samples_of(graph, random, 2)
    rows = run_layers(graph, samples, REFERENCE, group=2)
    check_layers(graph, samples, rows)
    wrong = rows[:1].copy()
    column = random.integers(rows.shape[1])
    wrong[0, column] ^= random.choice([1, -(2**31), 1 << 12])
    said = "Freivalds" if column >= graph.columns else "follows from"
    with pytest.raises(WrongResult, match=said):
        check_layers(graph, samples[:1], wrong)
    if not np.array_equal(rows[0], rows[1]):
        with pytest.raises(WrongResult):
            check_layers(graph, samples[:1], rows[1:])


@pytest.mark.skipif(not USABLE, reason="a CPU with AVX2")
@settings(deadline=None, max_examples=30)
@given(st.sampled_from(CHECKED), st.integers(0, 2**32 - 1))
def test_compiled_checks_see_every_wrong_entry(kind, seed):
    checks(kind, seed)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", seeds())
@pytest.mark.parametrize("kind", CHECKED)
def test_compiled_checks_see_many_wrong_entries(kind, seeds):
    for seed in seeds:
        checks(kind, seed)
