"""ONNX files with one quantised operator, at random: what the tests compare with an oracle."""

from typing import Any

import numpy as np
from onnx import TensorProto

from tests.kernels.network.onnx_files import Writer


class Cases:
    """Random files of each operator; `inputs` are drawn by whoever runs them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = np.int8 if self.random.random() < 0.5 else np.uint8
        self.w = Writer()
        self.end: tuple[float, int] | tuple[()] = ()
        """Scale and zero point of the output, where they are not drawn."""

    def make(self, kind: str) -> bytes:
        y = getattr(self, kind)()
        return self.w.file(self.quantised(y, *self.end))

    def whole(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))

    def some(self, *choices: Any) -> Any:
        return choices[self.whole(0, len(choices))]

    def quantised(self, x: str, scale: float | None = None, zero: int | None = None) -> str:
        middle = 128 if self.dtype is np.uint8 else 0
        zero = self.whole(-128, 128) if zero is None else zero
        scale = float(self.random.uniform(0.02, 0.2)) if scale is None else scale
        return self.w.quantised(x, scale, zero + middle, self.dtype)

    def input(self, shape: tuple[int, ...], scale: float | None = None) -> str:
        zero = None if scale is None else 0
        return self.quantised(self.w.input(f"x{len(self.w.inputs)}", shape), scale, zero)

    def shape(self) -> tuple[int, ...]:
        return (1, self.whole(1, 6), self.whole(3, 9), self.whole(3, 9))

    def weights(self, shape: tuple[int, ...], axis: int) -> str:
        codes = self.random.integers(-127, 128, shape).astype(np.int8)
        scales = self.random.uniform(1, 3, shape[axis]) / 30 / np.sqrt(codes.size / shape[axis])
        return self.w.weights(codes, scales / 10, axis)

    def bias(self, outputs: int) -> str:
        return self.w.constant(self.random.normal(size=outputs).astype(np.float32))

    def bounded(self, y: str) -> str:
        bounds = (self.w.constant(np.float32(0)), self.w.constant(np.float32(6)))
        match self.whole(0, 3):
            case 0:
                return self.w.node("Relu", y)
            case 1:
                return self.w.node("Clip", y, *bounds)
        return y

    def window(self) -> dict[str, Any]:
        side = self.some(1, 2, 3)
        if side > 1 and self.random.random() < 0.2:
            return {"kernel_shape": [side] * 2, "auto_pad": self.some("SAME_UPPER", "SAME_LOWER")}
        pads = [self.whole(0, side) for _ in range(4)]
        return {
            "kernel_shape": [side] * 2,
            "strides": [self.whole(1, 3), self.whole(1, 3)],
            "pads": pads,
        }

    def conv(self) -> str:
        shape, outputs = self.shape(), self.whole(1, 7)
        window = self.window()
        x = self.input(shape)
        w = self.weights((outputs, shape[1], *window["kernel_shape"]), 0)
        more = (self.bias(outputs),) if self.random.random() < 0.5 else ()
        return self.bounded(self.w.node("Conv", x, w, *more, **window))

    def depthwise(self) -> str:
        shape, times = self.shape(), self.some(1, 1, 2)
        window, x = self.window(), self.input(shape)
        w = self.weights((shape[1] * times, 1, *window["kernel_shape"]), 0)
        return self.bounded(self.w.node("Conv", x, w, group=shape[1], **window))

    def matmul(self) -> str:
        x = self.input((self.whole(1, 4), self.whole(1, 5), 12))
        y = self.w.node("MatMul", x, self.weights((12, 7), 1))
        return self.w.node("Add", y, self.bias(7)) if self.random.random() < 0.5 else y

    def gemm(self) -> str:
        x = self.input((self.whole(1, 4), 12))
        turned = self.some(0, 1)
        w = self.weights((7, 12) if turned else (12, 7), 1 - turned)
        return self.bounded(self.w.node("Gemm", x, w, self.bias(7), transB=turned))

    def products(self) -> str:
        a = self.input((2, self.whole(1, 5), 6))
        return self.w.node("MatMul", a, self.input((2, 6, self.whole(1, 5))))

    def add(self) -> str:
        shape = self.shape()
        other = self.some(shape, (1, shape[1], 1, 1), (shape[3],))
        return self.w.node(self.some("Add", "Sub", "Mul"), self.input(shape), self.input(other))

    def image_add(self) -> str:
        shape = self.shape()
        x = self.input(shape)
        w = self.weights((shape[1], shape[1], 1, 1), 0)
        y = self.quantised(self.w.node("Conv", x, w), 0.02)
        return self.w.node("Add", x, y)

    def function(self) -> str:
        x = self.input(self.shape())
        kind = self.some("Relu", "Sigmoid", "Tanh", "HardSwish", "Gelu", "LeakyRelu", "Sqrt")
        y = self.w.node("Abs", x) if kind == "Sqrt" else x
        return self.w.node(kind, y)

    def gelu(self) -> str:
        x = self.input((3, 8))
        root, one, half = (self.w.constant(np.float32(v)) for v in (2**0.5, 1, 0.5))
        inner = self.w.node("Add", self.w.node("Erf", self.w.node("Div", x, root)), one)
        return self.w.node("Mul", self.w.node("Mul", x, half), inner)

    def softmax(self) -> str:
        x = self.input((2, 3, 5), 0.1)
        y = self.w.node("Softmax", x, axis=self.some(-1, 1))
        return self.quantised(y, 1 / 256, -128)

    def layer_norm(self) -> str:
        x = self.input((2, 3, 24))
        gamma, beta = (
            self.w.constant(self.random.normal(size=24).astype(np.float32)) for _ in "ab"
        )
        return self.w.node("LayerNormalization", x, gamma, beta)

    def pool(self) -> str:
        kind = self.some("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
        if kind.startswith("Global"):
            return self.w.node(kind, self.input(self.shape()))
        window = self.window()
        window.pop("auto_pad", None)
        if "pads" in window:  # the reference evaluator mixes up sides that differ
            window["pads"] = [self.whole(0, window["kernel_shape"][0])] * 4
        if kind == "AveragePool":
            window["count_include_pad"] = self.some(0, 1)
            if not window["count_include_pad"]:  # two roundings, unless it has the input's scale
                self.end = (0.1, 0)
        return self.w.node(kind, self.input(self.shape(), 0.1), **window)

    def mean(self) -> str:
        axes = self.w.constant(np.array(self.some([1], [2, 3], [-1], [0, 2])))
        return self.w.node("ReduceMean", self.input(self.shape()), axes, keepdims=self.some(0, 1))

    def moves(self) -> str:
        shape = self.shape()
        x, c = self.input(shape), self.w.constant
        match self.whole(0, 7):
            case 0:
                return self.w.node("Reshape", x, c(np.array([0, -1])))
            case 1:
                return self.w.node("Transpose", x, perm=self.random.permutation(4).tolist())
            case 2:
                ends = (c(np.array([0, -1])), c(np.array([9, -9])), c(np.array([1, 3])))
                return self.w.node("Slice", x, *ends, c(np.array([1, -2])))
            case 3:
                return self.w.node("Pad", x, c(np.array([0, 0, 1, 2, 0, 1, 0, 1])))
            case 4:
                return self.w.node("Gather", x, c(np.array([[0, -1], [1, 0]])), axis=2)
            case 5:
                y = self.w.node("Squeeze", self.w.node("Unsqueeze", x, c(np.array([1]))))
                return self.w.node("Flatten", y, axis=1)
        return self.w.node("Concat", x, self.input((*shape[:3], 2)), axis=3)

    def image_moves(self) -> str:
        """After a convolution, whose output lies as NHWC."""
        shape = self.shape()
        x = self.input(shape)
        y = self.quantised(self.w.node("Conv", x, self.weights((4, shape[1], 1, 1), 0)), 0.02)
        c = self.w.constant
        match self.whole(0, 5):
            case 0:
                return self.w.node("Flatten", y)
            case 1:
                return self.w.node("Transpose", y, perm=self.random.permutation(4).tolist())
            case 2:
                return self.w.node("Split", y, outputs=2, axis=1)[0]
            case 3:
                return self.w.node("Pad", y, c(np.array([0, 0, 1, 2, 0, 1, 0, 1])))
        return self.w.node("Concat", y, y, axis=self.some(1, 2))

    def embedding(self) -> str:
        rows = self.random.normal(size=(11, 6)).astype(np.float32)
        codes = np.clip(np.rint(rows / 0.05), -127, 127).astype(np.int8)
        table = self.w.weights(codes, np.array([0.05]))
        ids = self.w.input("ids", (1, 5), TensorProto.INT64)
        return self.w.node("Gather", table, ids)


KINDS = tuple(
    sorted(
        name
        for name in vars(Cases)
        if name[0] != "_"
        and name not in ("make", "whole", "some", "quantised", "input", "shape", "weights", "bias")
        and name not in ("bounded", "window")
    )
)
