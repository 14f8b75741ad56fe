"""`cpc-engine models quantise`: a float ONNX file by samples in a .npz file."""

import json

import numpy as np
import pytest

from engine.cli.app import run

pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from tests.kernels.network.test_onnx_quantise import data_of, network


@pytest.fixture
def files(tmp_path):
    """A float model and samples with labels."""
    random = np.random.default_rng(3)
    (tmp_path / "m.onnx").write_bytes(network(random))
    labels = random.integers(0, 5, 24)
    np.savez(tmp_path / "data.npz", labels=labels, **data_of("network", random))
    return tmp_path


def command(files, *more: str) -> list[str]:
    data, model = files / "data.npz", files / "m.safetensors"
    return [
        "models",
        "quantise",
        str(files / "m.onnx"),
        "--calibrate",
        str(data),
        "-o",
        str(model),
        *more,
    ]


def test_a_model_and_its_report(files, capsys):
    assert run(command(files, "--json")) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["bytes"] == (files / "m.safetensors").stat().st_size
    assert made["report"]["samples"] == 24
    assert 0.9 < made["report"]["same"] <= 1
    assert run(command(files, "--percentile", "99.9")) == 0
    said = capsys.readouterr().out
    assert "cosine 0.99" in said
    assert "the same answer" in said
    assert run(["models", "show", str(files / "m.safetensors")]) == 0


def test_what_is_no_data(files, capsys):
    (files / "data.npz").write_bytes(b"nothing")
    assert run(command(files)) == 2
    assert "is not a .npz file" in capsys.readouterr().err
    np.savez(files / "data.npz", y=np.zeros(3))
    assert run(command(files)) == 2
    assert "has no array 'x'" in capsys.readouterr().err
    np.savez(files / "data.npz", x=np.zeros((2, 3, 12, 12)), labels=np.zeros(3))
    assert run(command(files)) == 2
    assert "not a label for each sample" in capsys.readouterr().err
