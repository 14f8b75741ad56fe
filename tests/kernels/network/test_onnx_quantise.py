"""Float ONNX models quantised by samples: the numpy evaluation, and the error of the integers."""

import numpy as np
import pytest

from kernels.errors import InvalidNetwork, NotImportable

onnx = pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from onnx import TensorProto  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from kernels.network import fast, reference  # noqa: E402
from kernels.network.onnx.quantise import (  # noqa: E402
    FloatModel,
    quantise_onnx,
    read_model,
    report,
    rows_of,
)
from tests.kernels.network.onnx_files import Writer  # noqa: E402


def floats(random, *shape: int, spread: float = 1.0) -> np.ndarray:
    return (random.normal(size=shape) * spread).astype(np.float32)


def network(random) -> bytes:
    """Convolutions with a batch normalisation, a residual sum, pools, dense layers; NCHW."""
    w = Writer()
    c = w.constant
    x = w.input("x", ("n", 3, 12, 12))
    y = w.node("Conv", x, c(floats(random, 8, 3, 3, 3, spread=0.3)), pads=[1] * 4, strides=[2, 2])
    normal = (floats(random, 8), floats(random, 8), floats(random, 8))
    y = w.node("BatchNormalization", y, *map(c, normal), c(np.abs(floats(random, 8)) + 0.5))
    y = w.node("Clip", y, c(np.float32(0)), c(np.float32(6)))
    z = w.node(
        "Conv", y, c(floats(random, 8, 1, 3, 3)), c(floats(random, 8)), pads=[1] * 4, group=8
    )
    z = w.node("Mul", z, w.node("Sigmoid", z))
    y = w.node("Add", y, w.node("Conv", z, c(floats(random, 8, 8, 1, 1, spread=0.3))))
    y = w.node("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = w.node("Concat", y, w.node("MaxPool", y, kernel_shape=[3, 3], pads=[1] * 4), axis=1)
    y = w.node("Flatten", w.node("GlobalAveragePool", y))
    y = w.node("Gemm", y, c(floats(random, 5, 16)), c(floats(random, 5)), transB=1)
    return w.file(y, w.node("Softmax", y))


def transformer(random, length: int = 6, width: int = 16, heads: int = 2) -> bytes:
    """One layer with embedding, mask, attention, GELU in five nodes and normalisations."""
    w = Writer()
    c = w.constant
    ids = w.input("ids", ("n", length), TensorProto.INT64)
    mask = w.input("mask", ("n", length), TensorProto.INT64)

    def dense(x: str, inputs: int, outputs: int) -> str:
        y = w.node("MatMul", x, c(floats(random, inputs, outputs, spread=inputs**-0.5)))
        return w.node("Add", y, c(floats(random, outputs, spread=0.1)))

    def norm(x: str) -> str:
        return w.node(
            "LayerNormalization", x, c(1 + floats(random, width, spread=0.1)),
            c(floats(random, width, spread=0.1)),
        )  # fmt: skip

    def split(x: str, perm: list[int]) -> str:
        shape = c(np.array([0, 0, heads, width // heads]))
        return w.node("Transpose", w.node("Reshape", x, shape), perm=perm)

    rows = w.node("Gather", c(floats(random, 50, width)), ids)
    x = norm(w.node("Add", rows, c(floats(random, 1, length, width))))
    real = w.node("Cast", w.node("Unsqueeze", mask, c(np.array([1, 2]))), to=TensorProto.FLOAT)
    far = w.node("Mul", w.node("Sub", c(np.float32(1)), real), c(np.float32(-3e38)))
    q, k = (split(dense(x, width, width), perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1]))
    scores = w.node("Mul", w.node("MatMul", q, k), c(np.float32((width // heads) ** -0.5)))
    powers = w.node("Softmax", w.node("Add", scores, far))
    seen = w.node("MatMul", powers, split(dense(x, width, width), [0, 2, 1, 3]))
    seen = w.node("Transpose", seen, perm=[0, 2, 1, 3])
    seen = w.node("Reshape", seen, c(np.array([0, 0, width])))
    x = norm(w.node("Add", dense(seen, width, width), x))
    y = dense(x, width, 4 * width)
    y2 = w.node("Erf", w.node("Div", y, c(np.float32(2**0.5))))
    half = w.node("Mul", y, c(np.float32(0.5)))
    y = w.node("Mul", half, w.node("Add", y2, c(np.float32(1))))
    return w.file(norm(w.node("Add", dense(y, 4 * width, width), x)))


def data_of(kind: str, random) -> dict[str, np.ndarray]:
    if kind == "network":
        return {"x": floats(random, 24, 3, 12, 12)}
    mask = (np.arange(6) < random.integers(2, 7, 24)[:, np.newaxis]).astype(np.int64)
    return {"ids": random.integers(0, 50, (24, 6)), "mask": mask}


MODELS = {"network": network, "transformer": transformer}


@pytest.mark.parametrize("kind", MODELS)
def test_the_evaluation_is_onnx_s(kind):
    random = np.random.default_rng(3)
    content, data = MODELS[kind](random), data_of(kind, random)
    sample = {name: array[:1] for name, array in data.items()}
    made = FloatModel(read_model(content)).run(sample)
    for ours, right in zip(made, ReferenceEvaluator(content).run(None, sample), strict=True):
        np.testing.assert_allclose(ours, right, atol=2e-5)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("percentile", [100.0, 99.9])
def test_the_error_of_the_integers(cpu, kind, percentile):
    random = np.random.default_rng(3)
    imported, samples = quantise_onnx(
        MODELS[kind](random), data_of(kind, random), percentile=percentile
    )
    rows = rows_of(imported, samples)
    outputs = reference.forward(imported.graph, rows)
    assert np.array_equal(fast.forward(imported.graph, rows, cpu), outputs)
    made = report(imported, outputs, samples, np.zeros(len(samples)))
    for one in made.outputs:
        assert one.cosine > 0.997
        assert 0 < one.mean < 0.05 * one.largest
    assert made.same >= 0.8
    assert made.float_right is not None


def test_what_is_masked_decides_nothing():
    """Tokens beyond the mask are others, and the tokens before come out the same."""
    random = np.random.default_rng(3)
    data = data_of("transformer", random)
    imported, samples = quantise_onnx(transformer(random), data)
    sample = next(one for one in samples if one["mask"].sum() == 3)
    mask = sample["mask"][0].astype(bool)
    other = {"ids": np.where(mask, sample["ids"], 7), "mask": sample["mask"]}
    a, b = reference.forward(imported.graph, rows_of(imported, [sample, other]))
    a, b = (one.reshape(6, 16)[mask] for one in (a, b))
    assert np.array_equal(a, b)


def test_a_gelu_goes_into_two_products_as_high_and_low_bytes():
    """Tables of the same codes: 256 times one plus the other rises as a GELU does."""
    random = np.random.default_rng(3)
    imported, _samples = quantise_onnx(transformer(random), data_of("transformer", random))
    nodes = imported.graph.nodes
    tables = [place for place, node in enumerate(nodes) if "table" in node.operator.op]
    assert len(tables) == 2
    ops = [node.operator.op for node in nodes]
    assert ops.count("channel_norm") == 3
    assert ops.count("wide_norm") == 2  # of the last one's output nothing is added to
    assert ops.count("wide_fully_connected") == 3
    assert len(nodes[-1].inputs) == 3
    (first,) = {nodes[place].inputs for place in tables}
    high, low = (nodes[place].operator.table.astype(int) for place in tables)
    reals = imported.graph.nodes[first[0] - len(imported.graph.inputs)].operator
    assert reals.op == "fully_connected"
    whole = 256 * high + low
    assert np.abs(low).max() <= 128
    assert np.abs(whole).max() >= 32_000
    assert (np.diff(whole[:, 200:], axis=1) > 0).all()  # a GELU rises where it is above zero


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "no array 'x'"),
        ({"x": np.zeros((0, 3, 12, 12), np.float32)}, "at least one"),
        ({"x": np.full((1, 3, 12, 12), np.nan, np.float32)}, "finite numbers"),
        ({"x": np.zeros((1, 3, 12, 12), "S1")}, "finite numbers"),
        ({"x": np.zeros((2, 4, 12, 12), np.float32)}, "do not fit|not fit its input"),
        ({"x": np.float32(3)}, "at least one"),
    ],
)
def test_data_that_do_not_fit(data, says):
    with pytest.raises(InvalidNetwork, match=says):
        quantise_onnx(network(np.random.default_rng(1)), data)


def test_every_unknown_operator_is_named():
    w = Writer()
    y = w.node("Det", w.node("Celu", w.input("x", (1, 3, 3))))
    with pytest.raises(NotImportable) as refused:
        quantise_onnx(w.file(y), {"x": np.zeros((2, 3, 3), np.float32)})
    assert [one.kind for one in refused.value.obstacles] == ["Celu", "Det"]
