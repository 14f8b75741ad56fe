"""ONNX files of strangers: a graph or a sentence, within bounds, whatever the bytes are."""

import tracemalloc

import numpy as np
import pytest

from kernels.errors import InvalidNetwork

onnx = pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from onnx import TensorProto  # noqa: E402

from kernels.network.onnx.importer import import_onnx  # noqa: E402
from tests.kernels.network.damage import LONG_FUZZ, damaged, refused  # noqa: E402
from tests.kernels.network.onnx_cases import KINDS, Cases  # noqa: E402
from tests.kernels.network.onnx_files import Writer  # noqa: E402

MOST_BYTES = 96 << 20


def broken(content: bytes, random: np.random.Generator) -> bytes:
    """The file with bytes damaged: lengths and numbers are varints, the longest of ten bytes."""

    def spoil(bad: bytearray, at: int) -> None:
        bad[at : at + 1] = b"\xff" * 9 + b"\x01"

    return bytes(damaged(content, random, spoil))


def changed(content: bytes, random: np.random.Generator) -> bytes:
    """The file with a sound structure and wild contents: numbers, names, types and shapes replaced."""
    proto = onnx.ModelProto.FromString(content)
    graph = proto.graph
    wild = [0, 1, -1, 7, 1 << 20, (1 << 31) - 1, 1 << 40, -(1 << 63), (1 << 63) - 1]
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    for _ in range(random.integers(1, 5)):
        node = graph.node[random.integers(0, len(graph.node))]
        number = int(random.choice(wild))
        match random.integers(0, 7):
            case 0 if node.attribute:
                one = node.attribute[random.integers(0, len(node.attribute))]
                one.i, one.f = number, float(number)
                one.ints[:] = [int(random.choice(wild)) for _ in one.ints]
            case 1:
                node.input[random.integers(0, len(node.input))] = str(random.choice(names))
            case 2:
                node.op_type = str(random.choice([one.op_type for one in graph.node]))
            case 3 if graph.initializer:
                one = graph.initializer[random.integers(0, len(graph.initializer))]
                if random.random() < 0.5 and one.dims:
                    one.dims[random.integers(0, len(one.dims))] = number
                else:
                    one.data_type = int(random.integers(0, 20))
            case 4 if graph.input:
                shape = graph.input[0].type.tensor_type.shape
                if shape.dim:
                    shape.dim[random.integers(0, len(shape.dim))].dim_value = number
            case 5:
                del graph.node[int(random.integers(0, len(graph.node)))]
            case _:
                node.output[0] = str(random.choice(names))
        if not graph.node:
            break
    return proto.SerializeToString()


def fuzz(count: int, seed: int) -> int:
    """Import so many damaged files; return how many were refused."""
    files = [Cases(number).make(kind) for number, kind in enumerate(KINDS)]
    return refused(import_onnx, files, count, seed, changed, broken)


def test_damaged_files():
    fuzz(1, seed=1)  # imports are not counted
    tracemalloc.start()
    try:
        assert 100 < fuzz(400, seed=7) < 400
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_damaged_files():
    assert fuzz(LONG_FUZZ, seed=8) > LONG_FUZZ // 3


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 8, b"\xff" * 99, b"PK\3\4" * 9])
def test_what_is_no_file(content):
    with pytest.raises(InvalidNetwork):
        import_onnx(content)


def bomb(kind: str) -> bytes:
    """A small file that asks for a large computation."""
    w = Writer()
    x = w.quantised(w.input("x", (1, 4)), 0.1, 0)
    big = w.constant(np.array([1 << 18, 1 << 18]))
    match kind:
        case "filled":
            y = w.node("ConstantOfShape", big)
        case "expanded":
            y = w.node("Expand", w.constant(np.ones(1, np.float32)), big)
        case "range":
            ends = (w.constant(np.int64(v)) for v in (0, 1 << 60, 1))
            y = w.node("Range", *ends)
        case "outer":
            long = np.ones(30_000, np.float32)
            y = w.node("Add", w.constant(long[:, np.newaxis]), w.constant(long))
        case "gathered":
            places = w.constant(np.zeros(60_000, np.int64))
            y = w.node("Gather", w.constant(np.ones((1, 60_000), np.float32)), places)
        case "tiled":
            y = w.node("Tile", w.constant(np.ones((1, 1), np.float32)), big)
        case "padded":
            pads = w.constant(np.array([0, 0, 1 << 18, 1 << 18]))
            y = w.node("Pad", w.constant(np.ones((1, 1), np.float32)), pads)
        case "again":
            y = w.constant(np.ones(1 << 16, np.float32))
            for _ in range(4000):
                y = w.node("Neg", y)
    return w.file(w.quantised(w.node("Add", x, y), 0.1, 0))


@pytest.mark.parametrize(
    "kind", ["filled", "expanded", "range", "outer", "gathered", "tiled", "padded", "again"]
)
def test_small_files_that_ask_for_much(kind):
    content = bomb(kind)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidNetwork):
            import_onnx(content)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_data_in_other_files_is_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(b"\0" * 16)
    w = Writer()
    x = w.quantised(w.input("x", (1, 4)), 0.1, 0)
    away = TensorProto(name="away", dims=(4,), data_type=TensorProto.FLOAT)
    away.data_location = TensorProto.EXTERNAL
    away.external_data.add(key="location", value=str(tmp_path / "secret"))
    w.constants.append(away)
    with pytest.raises(InvalidNetwork, match="another file"):
        import_onnx(w.file(w.quantised(w.node("Add", x, "away"), 0.1, 0)))
