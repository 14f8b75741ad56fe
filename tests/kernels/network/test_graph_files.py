"""Graphs in files of strangers: refused with a sentence, or computed without an exception."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidNetwork
from kernels.network import fast, reference
from kernels.network.graph.file import OPERATORS
from kernels.network.model import METADATA_KEY, decode_network
from kernels.network.safetensors import encode
from tests.kernels.network.test_files import JSON


def layer(op: str, *inputs: int, **fields) -> dict:
    return {"op": op, "inputs": list(inputs), **fields}


SCALED = {"multiplier": 2**30, "exponent": -3, "output_zero": 1, "low": -128, "high": 127}
SIDES = {"left_zero": 3, "right_zero": -4}
SLIDES = {"stride": [1, 1], "dilation": [1, 1], "padding": [1, 1, 1, 1]}
ENDS = {"input_zero": 5, "output_zero": -7, "low": -100, "high": 127}
POOL = {"size": [2, 2], "stride": [2, 2], "padding": [0, 0, 1, 1], "low": -128, "high": 127}
NORM = {
    "zeros": [3, -4],
    "epsilon": 9,
    "output_zero": 2,
    "low": -120,
    "high": 127,
}
ADDED = {
    "left_multiplier": 2**30,
    "left_exponent": 0,
    "right_multiplier": 2**30,
    "right_exponent": -1,
}


def small() -> tuple[dict, dict]:
    """Tensors and description of a graph with every operator but the embedding and the wide ones."""
    nodes = [
        layer("conv2d", 0, name="first", **SLIDES, **ENDS),
        layer("depthwise_conv2d", 1, **SLIDES, **ENDS),
        layer("add", 1, 2, sign=1, **SIDES, **SCALED, **ADDED),
        layer("multiply", 2, 3, **SIDES, **SCALED),
        layer("larger", 3, 4, sign=-1),
        layer("table", 5),
        layer("max_pool", 6, **POOL),
        layer("average_pool", 6, **POOL),
        layer("concatenate", 7, 8, axis=3),
        layer("pad", 9, before=[0, 1, 0, 0], after=[0, 0, 1, 0], value=-3),
        layer("slice", 10, begin=[0, 0, 2, 0], size=[1, 3, 2, 4], step=[1, 1, -1, 1]),
        layer("take", 11, axis=2),
        layer("transpose", 12, order=[0, 2, 3, 1]),
        layer("resize_bilinear", 13, size=[2, 3], align_corners=0, half_pixel=1),
        layer("reshape", 14, shape=[1, 6, 3]),
        layer("constant"),
        layer("batch_matmul", 15, 16, **SIDES, **SCALED),
        layer("sum", 17, axes=[1], keep_dims=0, **SCALED, input_zero=9),
        layer("fully_connected", 18, keep_dims=1, **ENDS),
        layer("softmax", 19),
        layer("argmax", 20),
        layer("spread", 0, step=[2, 1], value=4),
        layer("layer_norm", 19, 20, **NORM, multipliers=[4096, 77]),
    ]
    tensors: dict = {}
    ones = np.ones(2, np.int32)
    for number, weights in ((0, (2, 3, 3, 1)), (1, (3, 3, 2))):
        tensors[f"n{number}.weights"] = np.arange(18, dtype=np.int8).reshape(weights)
        tensors |= {f"n{number}.bias": 100 * ones, f"n{number}.multiplier": ones << 30}
        tensors[f"n{number}.exponent"] = np.full(2, -6, np.int8)
    tensors["n5.table"] = np.arange(-128, 128).astype(np.int8)
    tensors["n11.places"] = np.array([1, 0, 1], np.int32)
    tensors["n15.value"] = np.ones((1, 3, 2), np.int8)
    tensors["n18.weights"] = np.array([[3, -4], [5, 6], [7, -8]], np.int8)
    tensors["n18.bias"] = np.zeros(3, np.int32)
    tensors["n18.multiplier"] = np.full(3, 1 << 30, np.int64)
    tensors["n18.shift"] = np.full(3, 32, np.uint8)
    tensors["n22.factor"] = np.array([1 << 22, -(1 << 21), 5], np.int32)
    tensors["n22.offset"] = np.array([1 << 41, 0, -(1 << 44)], np.int64)
    exps = (np.exp(-0.05 * np.arange(256)) * (2**31 - 1)).astype(np.int32)
    tensors["n19.exps"] = exps
    return tensors, {
        "version": 2,
        "inputs": [{"type": "int8", "shape": [1, 4, 4, 1]}],
        "nodes": nodes,
        "outputs": [21, 20, 1, 2, 22, 23],
        "about": {},
    }


def with_channels() -> tuple[dict, dict]:
    """The same with the two operators that have a scale for each channel."""
    tensors, described = small()
    described["nodes"] += [layer("channel_table", 20), layer("channel_norm", 20, 24, **NORM)]
    described["outputs"].append(25)
    tensors["n23.table"] = np.arange(-384, 384).astype(np.int8).reshape(3, 256)
    tensors["n24.multipliers"] = np.array([[4096, 77, 5], [1, 2000, 0]], np.int32)
    for part in ("factor", "offset"):
        tensors[f"n24.{part}"] = tensors[f"n22.{part}"]
    return tensors, described


def file_of(tensors: dict, described: dict) -> bytes:
    return encode(tensors, {METADATA_KEY: json.dumps(described)})


def compute(network) -> np.ndarray:
    samples = np.random.default_rng(1).integers(-128, 128, (2, network.sample_entries), np.int8)
    return reference.forward(network, samples)


def test_every_operator_on_every_path(cpu):
    network = decode_network(file_of(*with_channels()))
    elsewhere = {"embed", "wide_fully_connected", "wide_norm"}  # test_wide.py
    assert {node.operator.op for node in network.nodes} | elsewhere == set(OPERATORS)
    samples = np.random.default_rng(1).integers(-128, 128, (5, 16), np.int8)
    outputs = reference.forward(network, samples)
    assert np.array_equal(fast.forward(network, samples, cpu), outputs)
    assert outputs.dtype == np.int32
    assert len(np.unique(outputs)) > 20


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_fields_of_any_kind(data):
    """A field of a node, an input or the graph replaced: refused, or the outputs are computed."""
    tensors, described = with_channels()
    place = data.draw(
        st.sampled_from([described, described["inputs"][0], *described["nodes"] * 2]),
    )
    key = data.draw(st.sampled_from([*place, "more"]))
    if key in place and data.draw(st.integers(0, 4)) == 0:
        del place[key]
    else:
        numbers = st.integers(-3, 25) | st.sampled_from([-(2**31), 2**31, 2**63, 2**80])
        place[key] = data.draw(JSON | numbers | st.lists(numbers, max_size=5))
    _refused_or_computed(file_of(tensors, described))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_tensors_of_any_kind(data):
    """A tensor with other entries, another type or another shape, or gone."""
    tensors, described = small()
    name = data.draw(st.sampled_from(sorted(tensors)))
    tensor = tensors[name]
    match data.draw(st.integers(0, 3)):
        case 0:
            del tensors[name]
        case 1:
            tensors[name] = tensor.astype(data.draw(st.sampled_from(["i1", "u1", "i4", "i8"])))
        case 2:
            tensors[name] = tensor.reshape(-1)[: data.draw(st.integers(1, tensor.size))]
        case _:
            info = np.iinfo(tensor.dtype)
            values = data.draw(st.sampled_from([info.min, info.max, 0, 1, -1 if info.min else 9]))
            tensors[name] = np.full_like(tensor, values)
    _refused_or_computed(file_of(tensors, described))


def _refused_or_computed(content: bytes) -> None:
    try:
        network = decode_network(content)
    except InvalidNetwork as error:
        assert str(error)  # noqa: PT017
        return
    if network.sample_bytes < 1 << 22:
        outputs = compute(network)
        assert outputs.shape == (2, network.columns)


def test_an_embedding_takes_the_nearest_row():
    described = {
        "version": 2,
        "inputs": [{"type": "int32", "shape": [3]}],
        "nodes": [layer("embed", 0)],
        "outputs": [1],
        "about": {},
    }
    network = decode_network(file_of({"n0.rows": np.array([[1], [2]], np.int8)}, described))
    row = np.array([[-5, 1, 9]], "<i4").view(np.int8)
    assert reference.forward(network, row).tolist() == [[1, 2, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": [24]}, "output"),
        ({"outputs": []}, "inputs and outputs"),
        ({"nodes": []}, "no layer uses"),
        ({"inputs": [{"type": "int8", "shape": [1 << 20, 1 << 20]}]}, "too many"),
        ({"inputs": [{"type": "int16", "shape": [1]}]}, "int8 or int32"),
    ],
)
def test_graphs_that_are_none(change, message):
    tensors, described = small()
    with pytest.raises(InvalidNetwork, match=message):
        decode_network(
            file_of(tensors if described | change != described else {}, described | change)
        )


IMAGE = {"input_zero": 0, "output_zero": 0, "low": -128, "high": 127}
MUCH_FOR_LITTLE = {
    "padding of a pool": (
        [1, 1, 1, 4096],
        layer("max_pool", 0, **POOL | {"size": [64, 64], "stride": [64, 64], "padding": [60] * 4}),
        {},
    ),
    "padding of a convolution": (
        [1, 1, 1, 1],
        layer("conv2d", 0, stride=[1024, 1024], dilation=[1024, 1024], padding=[4000] * 4, **IMAGE),
        {
            "weights": np.ones((1, 6, 6, 1), np.int8),
            "bias": np.zeros(1, np.int32),
            "multiplier": np.full(1, 1 << 30, np.int32),
            "exponent": np.full(1, -6, np.int8),
        },
    ),
    "a depthwise window": (
        [1, 40, 40, 8],
        layer("depthwise_conv2d", 0, stride=[1, 1], dilation=[1, 1], padding=[0] * 4, **IMAGE),
        {
            "weights": np.ones((20, 20, 8), np.int8),
            "bias": np.zeros(8, np.int32),
            "multiplier": np.full(8, 1 << 30, np.int32),
            "exponent": np.full(8, -6, np.int8),
        },
    ),
    "a resize that goes through a large image": (
        [1, 1, 2048, 1],
        layer("resize_bilinear", 0, size=[2048, 1], align_corners=0, half_pixel=0),
        {},
    ),
    "matrices that are broadcast": (
        [64, 1, 1, 4096],
        layer("batch_matmul", 0, 1, **SIDES, **SCALED | {"exponent": -9}),
        {"value": np.ones((1, 64, 4096, 1), np.int8)},
    ),
}


@pytest.mark.parametrize("case", MUCH_FOR_LITTLE)
def test_what_a_file_of_a_few_bytes_takes_is_told_beforehand(case):
    shape, node, tensors = MUCH_FOR_LITTLE[case]
    nodes = [node] if node["op"] != "batch_matmul" else [layer("constant"), node]
    if len(nodes) > 1:
        nodes[1]["inputs"] = [0, 1]
    described = {
        "version": 2,
        "inputs": [{"type": "int8", "shape": shape}],
        "nodes": nodes,
        "outputs": [len(nodes)],
        "about": {},
    }
    named = {f"n0.{name}": tensor for name, tensor in tensors.items()}
    network = decode_network(file_of(named, described))
    sample = np.zeros((1, network.sample_entries), np.int8)
    tracemalloc.start()
    reference.forward(network, sample)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most <= 2 * network.sample_bytes + (1 << 20)
