"""Quantised ONNX operators against an oracle: one step apart at most, and most entries equal.

The oracle is the `onnx` package's reference evaluator, which is in float and slow to read, but no code
of ours; where ONNX Runtime is installed, `models verify` is tested with it, too.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from onnx.reference import ReferenceEvaluator  # noqa: E402

from kernels.errors import NotImportable  # noqa: E402
from kernels.network import fast, reference  # noqa: E402
from kernels.network.model import decode_network, encode_network  # noqa: E402
from kernels.network.onnx.importer import Imported, import_onnx  # noqa: E402
from tests.kernels.network.onnx_cases import KINDS, Cases  # noqa: E402
from tests.kernels.network.onnx_files import Writer  # noqa: E402
from tests.variants import seeds  # noqa: E402

INEXACT = {"layer_norm", "softmax"}
STEPS = {"image_add": 2, "image_moves": 2}
"""Two operators one after the other."""


def real(codes: np.ndarray, said: dict) -> np.ndarray:
    return ((codes.astype(np.float32) - said["zero"]) * np.float32(said["scale"])).astype(
        np.float32
    )


def rows_of(imported: Imported, random: np.random.Generator) -> tuple[np.ndarray, dict]:
    """A random sample as the graph's bytes, and as the file's inputs."""
    graph, parts, fed = imported.graph, [], {}
    for form, said in zip(graph.inputs, graph.about["inputs"], strict=True):
        if form.entry_bytes == 1:
            codes = random.integers(-128, 128, form.shape).astype(np.int8)
            fed[said["name"]] = real(codes, said)
        else:
            codes = random.integers(0, 9, form.shape).astype(np.int32)
            fed[said["name"]] = codes.astype(np.int64)
        parts.append(codes.reshape(-1).view(np.int8))
    return np.concatenate(parts)[np.newaxis], fed


def compare(kind: str, seed: int, cpu) -> float:
    """Compare one sample; return which share of the entries is another."""
    content = Cases(seed).make(kind)
    imported = import_onnx(content)
    row, fed = rows_of(imported, np.random.default_rng(seed))
    ours = reference.forward(imported.graph, row)
    assert np.array_equal(fast.forward(imported.graph, row, cpu), ours)
    (said,) = imported.graph.about["outputs"]
    (right,) = ReferenceEvaluator(content).run(None, fed)
    steps = np.rint(right.reshape(-1) / np.float32(said["scale"])) + said["zero"]
    apart = np.abs(ours.reshape(-1) - steps)
    assert apart.max() <= STEPS.get(kind, 1), kind
    assert imported.graph.forms[imported.graph.outputs[0]].shape == right.shape
    return float(np.mean(apart > 0))


@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_is_what_onnx_says(cpu, kind):
    shares = [compare(kind, seed, cpu) for seed in range(12)]
    assert np.mean(shares) < (0.3 if kind in INEXACT else 0.1)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
def test_random_operators(cpu, kind, seed):
    compare(kind, seed, cpu)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seeds", seeds())
@pytest.mark.parametrize("kind", KINDS)
def test_many_of_each_operator(cpu, kind, seeds):
    for seed in seeds:
        compare(kind, seed, cpu)


def test_a_file_s_round_trip():
    graph = import_onnx(Cases(3).make("conv"), "a name").graph
    content = encode_network(graph)
    assert encode_network(decode_network(content)) == content
    assert graph.about["name"] == "a name"


def test_every_obstacle_is_named_at_once():
    w = Writer()
    x = w.quantised(w.input("x", (1, 4)), 0.1, 0)
    odd = w.node("Det", x)
    after = w.node("Relu", odd)
    bare = w.node("Add", x, w.node("MatMul", x, w.weights(np.ones((4, 4), np.int8), np.ones(4), 1)))
    with pytest.raises(NotImportable) as refused:
        import_onnx(w.file(after, w.quantised(bare, 0.1, 0)))
    said = str(refused.value)
    assert "Det" in said
    assert "there is no such operator" in said
    assert "MatMul" in said or "no QuantizeLinear says its scale" in said
    assert "Relu" not in said  # it follows from the first
    assert len(refused.value.obstacles) == 2


def test_sides_that_have_only_a_name():
    w = Writer()
    x = w.quantised(w.input("x", ("batch", "length", 4)), 0.1, 0)
    y = w.node("MatMul", x, w.weights(np.ones((4, 3), np.int8), np.ones(3), 1))
    content = w.file(w.quantised(y, 1.0, 0))
    with pytest.raises(NotImportable, match=r"side 1 \(length\) has no size"):
        import_onnx(content)
    graph = import_onnx(content, sizes={"length": 5}).graph
    assert graph.inputs[0].shape == (1, 5, 4)
    assert graph.forms[graph.outputs[0]].shape == (1, 5, 3)


def test_uint8_weights_with_another_zero_point_are_refused():
    w = Writer()
    x = w.quantised(w.input("x", (1, 4)), 0.1, 0)
    ends = w.constant(np.float32(0.1)), w.constant(np.uint8(3))
    weights = w.node("DequantizeLinear", w.constant(np.ones((4, 4), np.uint8)), *ends)
    y = w.quantised(w.node("MatMul", x, weights), 0.1, 0)
    with pytest.raises(NotImportable, match="not int8 with zero point 0"):
        import_onnx(w.file(y))
