"""`cpc-engine models` with ONNX files: imported, shown, compared, or refused with a sentence."""

import json
import sys

import numpy as np
import pytest

from engine.cli.app import run

pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from tests.kernels.network.onnx_cases import Cases
from tests.kernels.network.onnx_files import Writer


@pytest.fixture
def convolution(tmp_path):
    """An ONNX file with one quantised convolution."""
    file = tmp_path / "conv.onnx"
    file.write_bytes(Cases(4).make("conv"))
    return file


def test_import_and_show(convolution, tmp_path, capsys):
    assert run(["models", "import", str(convolution), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    model = tmp_path / "conv.safetensors"
    assert made["bytes"] == model.stat().st_size
    for file in (model, convolution):
        assert run(["models", "show", str(file), "--json"]) == 0
        layers = json.loads(capsys.readouterr().out)["layers"]
        assert "conv2d" in [layer["op"] for layer in layers]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 90])
def test_what_is_no_model(content, tmp_path, capsys):
    file = tmp_path / "bad.onnx"
    file.write_bytes(content)
    assert run(["models", "import", str(file)]) == 2
    assert "cannot be imported" in capsys.readouterr().err


def test_without_the_package(convolution, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["models", "import", str(convolution)]) == 2
    said = capsys.readouterr().err
    assert "the package onnx is not installed" in said
    assert "pip install onnx" in said


def test_sizes(tmp_path, capsys):
    w = Writer()
    x = w.quantised(w.input("x", (1, "length")), 0.1, 0)
    file = tmp_path / "m.onnx"
    file.write_bytes(w.file(w.quantised(w.node("Tanh", x), 0.01, 0)))
    assert run(["models", "import", str(file)]) == 2
    assert "(length) has no size" in capsys.readouterr().err
    assert run(["models", "import", str(file), "--dim", "length=5"]) == 0
    for wrong in ("length", "length=", "=5", "length=0", "length=-1", "length=99999999999"):
        assert run(["models", "import", str(file), "--dim", wrong]) == 2
        assert "is not NAME=SIZE" in capsys.readouterr().err


def test_comparison_with_onnx_runtime(convolution, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="package onnxruntime, to compare with")
    assert run(["models", "verify", str(convolution), "--samples", "3", "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    (conv,) = (one for one in verdict["operators"] if one["operator"] == "Conv")
    assert conv["entries"] > 0
    assert conv["most"] <= 1
    assert run(["models", "verify", str(convolution), "--samples", "3"]) == 0
    assert "beside ONNX Runtime" in capsys.readouterr().out


def test_qlinear_operators(tmp_path, capsys):
    """ONNX Runtime's own: one of each, compared with it."""
    pytest.importorskip("onnxruntime", reason="package onnxruntime, to compare with")
    random, w = np.random.default_rng(1), Writer()
    codes = lambda *shape: w.constant(random.integers(-127, 128, shape).astype(np.int8))  # noqa: E731
    ends = (w.constant(np.float32(0.05)), w.constant(np.uint8(120)))
    out = (w.constant(np.float32(0.04)), w.constant(np.uint8(128)))
    by_filter = (w.constant(np.full(4, 0.004, np.float32)), w.constant(np.zeros(4, np.int8)))
    one = (w.constant(np.float32(0.005)), w.constant(np.int8(0)))
    bias = w.constant(random.integers(-999, 999, 4).astype(np.int32))
    ours = "com.microsoft."
    x = w.node("QuantizeLinear", w.input("x", (1, 3, 6, 6)), *ends)
    y = w.node("QLinearConv", x, *ends, codes(4, 3, 3, 3), *by_filter, *out, bias, pads=[1] * 4)
    z = w.node(f"{ours}QLinearAdd", y, *out, y, *out, *ends)
    z = w.node(f"{ours}QLinearMul", z, *ends, y, *out, *out)
    z = w.node(f"{ours}QLinearLeakyRelu", z, *out, *ends, alpha=0.1)
    z = w.node(f"{ours}QLinearConcat", *ends, z, *ends, y, *out, axis=1)
    z = w.node(f"{ours}QLinearSigmoid", z, *ends, *(w.constant(np.float32(1 / 256)), out[1]))
    unit = (w.constant(np.float32(1 / 256)), out[1])
    z = w.node("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2])
    z = w.node(f"{ours}QLinearGlobalAveragePool", z, *unit, *unit, channels_last=0)
    z = w.node("Reshape", z, w.constant(np.array([1, 8])))
    z = w.node("QLinearMatMul", z, *unit, codes(8, 4), *one, *ends)
    z = w.node(f"{ours}QGemm", z, *ends, codes(5, 4), *one, w.constant(np.zeros(5, np.int32)), *ends,
               transB=1, alpha=1.0)  # fmt: skip
    file = tmp_path / "q.onnx"
    file.write_bytes(w.file(w.node("DequantizeLinear", z, *ends)))
    assert run(["models", "verify", str(file), "--samples", "20", "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert len(verdict["operators"]) >= 7
    assert sum(one["entries"] for one in verdict["operators"]) > 9000
