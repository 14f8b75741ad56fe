"""A graph as an ONNX file of quantised operators, so that ONNX Runtime can be timed beside it.

Activations are uint8 (int8 with 128 added), weights int8 with a scale for each output: what ONNX
Runtime's x86 kernels are fastest with. Only a graph's ratios of scales are known; they are what decides
the outputs, so each value gets a scale of its own, chosen where an addition asks for it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kernels.network.graph import convolutions, elementwise, moves, products, softmax, windows
from kernels.network.graph.graph import Graph

MICROSOFT = "com.microsoft"
ADD_BITS = 20
"""An addition's sides are shifted to the left by so many."""


def onnx_of(graph: Graph) -> bytes:
    """Return the file: one input x, channels first, and one output. Raise KeyError for others."""
    return _Writer(graph).file()


def to_input(graph: Graph, sample: np.ndarray) -> np.ndarray:
    """Return a sample, int8 with channels last, as the file takes it."""
    shape = graph.inputs[0].shape
    x = (sample.reshape(shape).astype(np.int16) + 128).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if len(shape) == 4 else x


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.scales = self._scales()
        self.makers: dict[type[Any], Callable[..., str]] = {
            convolutions.Conv2D: self.convolution,
            convolutions.DepthwiseConv2D: self.convolution,
            products.FullyConnected: self.dense,
            elementwise.Add: self.add,
            windows.MaxPool: self.max_pool,
            windows.AveragePool: self.average_pool,
            softmax.Softmax: self.softmax,
            moves.Reshape: self.reshape,
        }

    def _scales(self) -> list[float]:
        """Each value's scale: an addition fixes that of a side which it alone takes."""
        first = len(self.graph.inputs)
        scales = [1.0] * len(self.graph.forms)
        uses = [i for node in self.graph.nodes for i in node.inputs]
        for place, node in enumerate(self.graph.nodes):
            op = node.operator
            scales[first + place] = scales[node.inputs[0]]
            if not isinstance(op, elementwise.Add):
                continue
            left, right = (
                m * 2.0 ** (e + op.exponent - 62 + ADD_BITS) * op.multiplier
                for m, e in (
                    (op.left_multiplier, op.left_exponent),
                    (op.right_multiplier, op.right_exponent),
                )
            )
            a, b = node.inputs
            if uses.count(a) == 1:
                scales[a] = scales[b] * left / right
            else:
                scales[b] = scales[a] * right / left
            scales[first + place] = scales[a] / left
        return scales

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, domain=domain, **attributes))
        return name

    def quantised(self, value: int, zero: int) -> list[str]:
        """Scale and zero point of a value."""
        return [
            self.constant(np.float32(self.scales[value])),
            self.constant(np.uint8(zero + 128)),
        ]

    def weights(self, op: products.Weighted, value: int, out: int, real: np.ndarray) -> list[str]:
        """The weights' scales, and their zero points."""
        scales = real * self.scales[out] / self.scales[value]
        return [
            self.constant(scales.astype(np.float32)),
            self.constant(np.zeros(len(op.bias), np.int8)),
        ]

    def convolution(self, op: convolutions.Convolution, names: list[str], x: int, out: int) -> str:
        if isinstance(op, convolutions.Conv2D):
            weights, groups = op.weights.transpose(0, 3, 1, 2), 1
        else:
            weights = op.weights.transpose(2, 0, 1)[:, np.newaxis]
            groups = self.graph.forms[x].shape[3]
        real = op.multiplier * 2.0 ** (op.exponent.astype(np.float64) - 31)
        inputs = [
            *names, *self.quantised(x, op.input_zero), self.constant(weights),
            *self.weights(op, x, out, real), *self.quantised(out, op.output_zero),
            self.constant(op.bias.astype(np.int32)),
        ]  # fmt: skip
        return self.node(
            "QLinearConv", inputs, kernel_shape=list(weights.shape[2:]), group=groups,
            strides=list(op.stride), dilations=list(op.dilation), pads=list(op.padding),
        )  # fmt: skip

    def dense(self, op: products.FullyConnected, names: list[str], x: int, out: int) -> str:
        real = op.multiplier / 2.0 ** op.shift.astype(np.float64)
        inputs = [
            *names, *self.quantised(x, op.input_zero), self.constant(op.weights),
            *self.weights(op, x, out, real), self.constant(op.bias.astype(np.int32)),
            *self.quantised(out, op.output_zero),
        ]  # fmt: skip
        return self.node("QGemm", inputs, MICROSOFT, transB=1)

    def add(self, op: elementwise.Add, names: list[str], a: int, b: int, out: int) -> str:
        zeros = (op.left_zero, op.right_zero, op.output_zero)
        sides = [self.quantised(i, zero) for i, zero in zip((a, b, out), zeros, strict=True)]
        return self.node(
            "QLinearAdd", [names[0], *sides[0], names[1], *sides[1], *sides[2]], MICROSOFT
        )

    def max_pool(self, op: windows.MaxPool, names: list[str], _x: int, _out: int) -> str:
        return self.node(
            "MaxPool", names, kernel_shape=list(op.size), strides=list(op.stride),
            pads=list(op.padding),
        )  # fmt: skip

    def average_pool(self, op: windows.AveragePool, names: list[str], x: int, out: int) -> str:
        assert op.size == self.graph.forms[x].shape[1:3]  # of the whole image
        ends = [*self.quantised(x, 0), *self.quantised(out, 0)]
        return self.node("QLinearGlobalAveragePool", [*names, *ends], MICROSOFT, channels_last=0)

    def reshape(self, _op: moves.Reshape, names: list[str], _x: int, out: int) -> str:
        shape = np.array(self.graph.forms[out].shape, np.int64)
        return self.node("Reshape", [*names, self.constant(shape)])

    def softmax(self, op: softmax.Softmax, names: list[str], _x: int, _out: int) -> str:
        scale = -np.log(op.exps[1] / 2.0**31)  # entry 1 is exp of minus one step, in Q0.31
        step = [self.constant(np.float32(scale)), self.constant(np.uint8(128))]
        small = [self.constant(np.float32(1 / 256)), self.constant(np.uint8(0))]
        real = self.node("Softmax", [self.node("DequantizeLinear", [*names, *step])], axis=-1)
        return self.node("QuantizeLinear", [real, *small])

    def file(self) -> bytes:
        """The whole graph."""
        graph, (form,) = self.graph, self.graph.inputs
        shape = list(form.shape)
        if len(shape) == 4:
            shape = [shape[0], shape[3], *shape[1:3]]
        names = ["x"]
        for place, node in enumerate(graph.nodes):
            given = [names[i] for i in node.inputs]
            maker = self.makers[type(node.operator)]
            names.append(maker(node.operator, given, *node.inputs, 1 + place))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.UINT8, sides)
            for name, sides in (("x", shape), (names[graph.outputs[0]], None))
        ]
        whole = helper.make_graph(
            self.nodes, "network", ends[:1], ends[1:], list(self.constants.values())
        )
        sets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(whole, opset_imports=sets, ir_version=9)
        return bytes(model.SerializeToString())
