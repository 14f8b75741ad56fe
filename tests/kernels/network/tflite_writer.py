"""TFLite files with one operator, as a test describes it.

The writer is LiteRT's own (ai_edge_litert.schema_py_generated), so this needs the oracle's package.
"""

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

VERSIONS = {
    "FULLY_CONNECTED": 7,
    "TRANSPOSE_CONV": 3,
    "RELU_N1_TO_1": 1,
    "HARD_SWISH": 1,
    "RESHAPE": 1,
}
TYPES = {"int8": "INT8", "uint8": "UINT8", "int32": "INT32", "float32": "FLOAT32"}


@dataclass
class Value:
    """A tensor of a file to be written."""

    shape: tuple[int, ...]
    scale: Any = None
    zero: Any = 0
    data: Any = None
    dtype: str = "int8"
    axis: int = 0


def file_of(kind: str, inputs: list[Value], outputs: list[Value], options: Any = None) -> bytes:
    model = schema.ModelT()
    model.version = 3
    model.description = b""
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = VERSIONS.get(kind, 2)
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.name = b"main"
    graph.tensors = []
    for number, value in enumerate([*inputs, *outputs]):
        tensor = schema.TensorT()
        tensor.name = f"t{number}".encode()
        tensor.shape = list(value.shape)
        tensor.type = getattr(schema.TensorType, TYPES[value.dtype])
        tensor.buffer = 0
        if value.scale is not None:
            quantised = schema.QuantizationParametersT()
            quantised.scale = np.atleast_1d(np.asarray(value.scale, np.float32)).tolist()
            quantised.zeroPoint = np.zeros(len(quantised.scale), np.int64) + value.zero
            quantised.zeroPoint = quantised.zeroPoint.tolist()
            quantised.quantizedDimension = value.axis
            tensor.quantization = quantised
        if value.data is not None:
            buffer = schema.BufferT()
            buffer.data = list(np.ascontiguousarray(value.data).tobytes())
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs = list(range(len(inputs)))
    operator.outputs = list(range(len(inputs), len(inputs) + len(outputs)))
    if options is not None:
        operator.builtinOptionsType = getattr(
            schema.BuiltinOptions, type(options).__name__.removesuffix("T")
        )
        operator.builtinOptions = options
    graph.operators = [operator]
    graph.inputs = [i for i, value in enumerate(inputs) if value.data is None]
    graph.outputs = operator.outputs
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def options_of(name: str, **fields: Any) -> Any:
    made = getattr(schema, f"{name}OptionsT")()
    for field, value in fields.items():
        assert hasattr(made, field), field
        setattr(made, field, value)
    return made


class Draw:
    """Random numbers, shapes and weights; the seed decides everything."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def number(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def pick(self, *values: Any) -> Any:
        return values[self.number(0, len(values) - 1)]

    def scale(self, about: float = 0.05) -> float:
        return float(np.float32(about * 2 ** self.random.uniform(-2, 2)))

    def zero(self) -> int:
        return self.number(-128, 127)

    def shape(self, rank: int | None = None, most: int = 5) -> tuple[int, ...]:
        rank = self.number(1, 4) if rank is None else rank
        return tuple(self.number(1, most) for _ in range(rank))

    def value(self, shape: tuple[int, ...], about: float = 0.05) -> Value:
        return Value(shape, self.scale(about), self.zero())

    def ints(self, values: Any) -> Value:
        data = np.asarray(values, np.int32)
        return Value(data.shape, None, data=data, dtype="int32")

    def weighted(self, shape, axis, terms, x):
        """Weights, bias and a scale that uses the range of int8."""
        outputs = shape[axis]
        each = self.number(0, 1) if outputs > 1 else 0
        scales = [self.scale(0.01) for _ in range(outputs if each else 1)]
        data = self.random.integers(-127, 128, shape).astype(np.int8)
        weights = Value(shape, scales, 0, data, axis=axis)
        bias = self.random.integers(-3000, 3000, outputs).astype(np.int32)
        biased = Value((outputs,), [s * x.scale for s in scales], 0, bias, "int32")
        out = float(
            np.float32(x.scale * scales[0] * 60 * terms**0.5 * 2 ** self.random.uniform(0, 2))
        )
        return weights, biased, out

    def window(self, extra: dict[str, Any] | None = None):
        """Input shape, window, stride, dilation, padding and the output's height and width."""
        while True:
            height, width = self.number(1, 9), self.number(1, 9)
            sides = self.number(1, 4), self.number(1, 4)
            stride = self.number(1, 3), self.number(1, 3)
            apart = (1, 1) if self.number(0, 2) or extra is None else (2, self.number(1, 2))
            if apart != (1, 1):
                stride = (1, 1)
            padding = self.number(0, 1)
            out = []
            for side, size, step, distance in zip(
                (height, width), sides, stride, apart, strict=True
            ):
                extent = (size - 1) * distance + 1
                out.append(-(-side // step) if padding == 0 else -(-(side - extent + 1) // step))
            if min(out) >= 1:
                return (height, width), sides, stride, apart, padding, tuple(out)
