"""`cpc-engine models`: a TFLite file imported, shown, compared, or refused with a sentence."""

import json

import numpy as np
import pytest

from engine.cli.app import run

pytest.importorskip("tflite", reason="package tflite (extra: models)")

from tests.kernels.network.test_litert import recorded


@pytest.fixture
def convolution(tmp_path):
    """A TFLite file with one convolution."""
    file = tmp_path / "conv.tflite"
    file.write_bytes(next(content for kind, content, *_ in recorded() if kind == "CONV_2D"))
    return file


def test_import_and_show(convolution, tmp_path, capsys):
    assert run(["models", "import", str(convolution), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    model = tmp_path / "conv.safetensors"
    assert made["file"] == str(model)
    assert made["bytes"] == model.stat().st_size
    for file in (model, convolution):
        assert run(["models", "show", str(file), "--json"]) == 0
        (layer,) = json.loads(capsys.readouterr().out)["layers"]
        assert layer["op"] == "conv2d"
        assert run(["models", "show", str(file)]) == 0
        assert f"{layer['cost']:,} multiply-adds" in capsys.readouterr().out


def test_a_model_as_a_task(convolution, tmp_path, cpu):
    """What was imported is a payload as any other model, computed and checked."""
    from engine.jobs.blobs import NoBlobs
    from engine.jobs.inference import build_payload
    from engine.jobs.kind import JobLimits
    from engine.jobs.registry import load_kinds, parse_job
    from kernels.errors import WrongResult
    from kernels.network.model import decode_network

    assert run(["models", "import", str(convolution)]) == 0
    model = tmp_path / "conv.safetensors"
    network = decode_network(model.read_bytes())
    samples = np.random.default_rng(1).integers(-128, 128, (3, *network.input_shape), np.int8)
    np.save(tmp_path / "x.npy", samples)
    job = parse_job(load_kinds(), build_payload(model, tmp_path / "x.npy"), JobLimits(), NoBlobs())
    outcome = job.run(cpu)
    job.check(outcome)
    wrong = bytes(byte ^ 1 for byte in outcome.data)
    with pytest.raises(WrongResult):
        job.check(type(outcome)(outcome.result_hash, data=wrong))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 4 + b"TFL3" + b"\xff" * 90])
def test_what_is_no_model(content, tmp_path, capsys):
    file = tmp_path / "bad.tflite"
    file.write_bytes(content)
    assert run(["models", "import", str(file)]) == 2
    assert "cannot be imported" in capsys.readouterr().err
    assert run(["models", "import", str(tmp_path / "none.tflite")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_comparison_with_litert(convolution, capsys):
    pytest.importorskip("ai_edge_litert", reason="package ai-edge-litert, the oracle")
    assert run(["models", "verify", str(convolution), "--samples", "3"]) == 0
    assert "every output equals" in capsys.readouterr().out
