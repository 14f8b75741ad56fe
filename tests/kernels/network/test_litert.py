"""Operators against LiteRT: recorded bits everywhere, LiteRT itself where its package is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.network import fast, reference
from kernels.network.model import decode_network, encode_network
from tests.conftest import VECTORS
from tests.variants import seeds

tflite = pytest.importorskip("tflite", reason="package tflite (extra: models)")

from kernels.network.tflite.importer import import_tflite  # noqa: E402


def recorded() -> list[tuple[str, bytes, np.ndarray, np.ndarray]]:
    """Operator, file, sample and output of each recorded case."""
    with np.load(VECTORS / "litert_operators.npz", allow_pickle=False) as kept:
        cut = [
            np.split(kept[name], kept[f"{name}_ends"][:-1]) for name in ("files", "rows", "outputs")
        ]
        names = kept["kinds"].tolist()
    files = [part.tobytes() for part in cut[0]]
    return list(zip(names, files, cut[1], cut[2], strict=True))


def test_recorded_bits(cpu):
    """Reference, compiled kernels and a file's round trip give what LiteRT gave."""
    for kind, content, row, output in recorded():
        graph = import_tflite(content)
        again = decode_network(encode_network(graph))
        assert encode_network(again) == encode_network(graph), kind
        assert np.array_equal(reference.forward(graph, row[np.newaxis])[0], output), kind
        twice = np.stack([row, row])
        assert (fast.forward(again, twice, cpu) == output).all(), kind


def compare(kind: str, seed: int, cpu) -> None:
    pytest.importorskip("ai_edge_litert", reason="package ai-edge-litert, the oracle")
    from engine.jobs.models.verification import Oracle
    from tests.kernels.network.make_litert_vectors import expected, random_row
    from tests.kernels.network.tflite_files import Cases

    content = Cases(seed).make(kind)
    graph = import_tflite(content)
    random = np.random.default_rng(seed)
    row = random_row(graph, random)
    right = expected(graph, Oracle(content, graph), row)
    assert np.array_equal(reference.forward(graph, row), right)
    assert np.array_equal(fast.forward(graph, row, cpu), right)


def kinds() -> list[str]:
    return sorted({kind for kind, *_ in recorded()})


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_random_operators_against_litert(cpu, data):
    compare(data.draw(st.sampled_from(kinds())), data.draw(st.integers(0, 2**32 - 1)), cpu)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", seeds())
@pytest.mark.parametrize("kind", kinds())
def test_many_of_each_operator_against_litert(cpu, kind, seeds):
    for seed in seeds:
        compare(kind, seed, cpu)
