"""Large int8 TFLite models with random weights, to be timed: MobileNet, EfficientNet-Lite0, ResNet-50.

The writer is LiteRT's own (ai_edge_litert.schema_py_generated). Scales are such that activations use
the range of int8; nothing was trained.
"""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from bench.efficientnet import BLOCKS

SCALE, ZERO = 0.05, -128
VERSIONS = {"RESHAPE": 1, "FULLY_CONNECTED": 7}


class Model:
    """Writes one operator after the other; a value is the number of its tensor."""

    def __init__(self, seed: int, shape: Sequence[int]) -> None:
        self.random = np.random.default_rng(seed)
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, b""
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.name, self.graph.tensors, self.graph.operators = b"main", [], []
        self.codes: dict[str, int] = {}
        self.shapes: list[tuple[int, ...]] = []
        self.first = self.tensor(shape, SCALE, ZERO)

    def tensor(
        self,
        shape: Sequence[int],
        scale: Any = None,
        zero: int = 0,
        data: Any = None,
        axis: int = 0,
    ) -> int:
        """Return a new tensor."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = b"t%d" % len(self.shapes), list(shape), 0
        kind = "INT8" if data is None else data.dtype.name.upper()
        tensor.type = getattr(schema.TensorType, kind)
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            quantised = schema.QuantizationParametersT()
            quantised.scale, quantised.zeroPoint = scales.tolist(), [zero] * len(scales)
            quantised.quantizedDimension = axis
            tensor.quantization = quantised
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def operator(
        self, kind: str, inputs: list[int], shape: Sequence[int], options: Any, end: Any = None
    ) -> int:
        """Return its output."""
        if kind not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, kind)
            code.deprecatedBuiltinCode, code.version = (
                min(code.builtinCode, 127),
                VERSIONS.get(kind, 2),
            )
            self.codes[kind] = len(self.codes)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self.codes[kind], inputs
        operator.outputs = [self.tensor(shape, *(end or (SCALE, ZERO)))]
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self.graph.operators.append(operator)
        return operator.outputs[0]

    def weighted(self, x: int, shape: tuple[int, ...], axis: int, terms: int) -> list[int]:
        """Return input, weights and bias; sums reach about 100 of the output's steps."""
        n = shape[axis]
        weights = self.random.integers(-127, 128, shape).astype(np.int8)
        scales = self.random.uniform(0.5, 1.5, n) / (73 * terms**0.5) / 1.5
        bias = self.random.integers(-2000, 2000, n).astype(np.int32)
        return [
            x,
            self.tensor(shape, scales, 0, weights, axis),
            self.tensor((n,), scales * SCALE, 0, bias),
        ]

    def convolution(self, x: int, n: int, size: int = 1, stride: int = 1, relu: bool = True) -> int:
        """SAME."""
        _, height, width, channels = self.shapes[x]
        options = schema.Conv2DOptionsT()
        _window(options, stride, relu)
        inputs = self.weighted(x, (n, size, size, channels), 0, size**2 * channels)
        return self.operator(
            "CONV_2D", inputs, (1, -(-height // stride), -(-width // stride), n), options,
            None if relu else (SCALE, 0),
        )  # fmt: skip

    def depthwise(self, x: int, stride: int = 1, size: int = 3) -> int:
        """SAME."""
        _, height, width, channels = self.shapes[x]
        options = schema.DepthwiseConv2DOptionsT()
        _window(options, stride, True)
        options.depthMultiplier = 1
        inputs = self.weighted(x, (1, size, size, channels), 3, size**2)
        shape = (1, -(-height // stride), -(-width // stride), channels)
        return self.operator("DEPTHWISE_CONV_2D", inputs, shape, options)

    def add(self, a: int, b: int, relu: bool = True) -> int:
        """Of two values of one shape."""
        options, kinds = schema.AddOptionsT(), schema.ActivationFunctionType
        options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
        end = None if relu else (SCALE, 0)
        return self.operator("ADD", [a, b], self.shapes[a], options, end)

    def pool(self, x: int, size: int, stride: int, kind: str) -> int:
        """SAME."""
        _, height, width, channels = self.shapes[x]
        options = schema.Pool2DOptionsT()
        _window(options, stride, False)
        options.filterHeight = options.filterWidth = size
        shape = (1, -(-height // stride), -(-width // stride), channels)
        return self.operator(kind, [x], shape, options)

    def classes(self, x: int, n: int) -> bytes:
        """Return the file, after a global mean, a dense layer and a softmax."""
        _, height, _width, channels = self.shapes[x]
        x = self.pool(x, height, height, "AVERAGE_POOL_2D")
        to = self.tensor((2,), None, 0, np.array([1, channels], np.int32))
        options = schema.ReshapeOptionsT()
        options.newShape = [1, channels]
        x = self.operator("RESHAPE", [x, to], (1, channels), options)
        dense = self.weighted(x, (n, channels), 0, channels)
        scale = 1 / (73 * channels**0.5)
        for tensor, one in zip(dense[1:], (scale, scale * SCALE), strict=True):
            self.graph.tensors[tensor].quantization.scale = [one]
            self.graph.tensors[tensor].quantization.zeroPoint = [0]
        x = self.operator(
            "FULLY_CONNECTED", dense, (1, n), schema.FullyConnectedOptionsT(), (0.1, 0)
        )
        soft = schema.SoftmaxOptionsT()
        soft.beta = 1.0
        x = self.operator("SOFTMAX", [x], (1, n), soft, (1 / 256, -128))
        self.graph.inputs, self.graph.outputs = [self.first], [x]
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _window(options: Any, stride: int, relu: bool) -> None:
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = stride
    kinds = schema.ActivationFunctionType
    options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE


def mobilenet(side: int = 224) -> bytes:
    """MobileNet v1 1.0: Howard et al., 2017."""
    model = Model(1, (1, side, side, 3))
    x = model.convolution(model.first, 32, 3, 2)
    for n, stride in (
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2),
        (1024, 1),
    ):  # fmt: skip
        x = model.convolution(model.depthwise(x, stride), n)
    return model.classes(x, 1000)


def efficientnet_lite0(side: int = 224) -> bytes:
    """EfficientNet-Lite0 (bench/efficientnet.py has the trained one): Tan and Le, 2019."""
    model = Model(3, (1, side, side, 3))
    y = model.convolution(model.first, 32, 3, 2)
    for repeats, window, stride, expansion, before, after in BLOCKS:
        for i in range(repeats):
            x, channels = y, before if i == 0 else after
            if expansion > 1:
                y = model.convolution(y, expansion * channels)
            y = model.depthwise(y, stride if i == 0 else 1, window)
            y = model.convolution(y, after, relu=False)
            if i > 0:
                y = model.add(y, x, relu=False)
    return model.classes(model.convolution(y, 1280), 1000)


def resnet50(side: int = 224) -> bytes:
    """ResNet-50, strides in the 3 x 3 convolutions: He et al., 2015."""
    model = Model(2, (1, side, side, 3))
    x = model.pool(model.convolution(model.first, 64, 7, 2), 3, 2, "MAX_POOL_2D")
    for stage, blocks in enumerate((3, 4, 6, 3)):
        n = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = model.convolution(model.convolution(x, n), n, 3, stride)
            way = x if block else model.convolution(x, 4 * n, 1, stride, relu=False)
            x = model.add(model.convolution(inner, 4 * n, relu=False), way)
    return model.classes(x, 1000)
