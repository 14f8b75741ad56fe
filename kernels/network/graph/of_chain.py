"""A network of version 1, a chain of layers, as a graph: the same bits, by a graph's operators.

A dense layer is a convolution over an image of one place, since both round twice; a fully connected
operator of a graph rounds once.
"""

import math

import numpy as np

from kernels.errors import InvalidNetwork
from kernels.network.graph.convolutions import Conv2D
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.moves import Reshape
from kernels.network.graph.operator import Form, Operator
from kernels.network.graph.windows import ArgMax, AveragePool, MaxPool
from kernels.network.layers import ArgMax as LastLayer
from kernels.network.layers import Conv2D as ConvolutionLayer
from kernels.network.layers import Dense, Flatten, Layer, Pool, Weighted
from kernels.network.model import Network


def graph_of_chain(network: Network) -> Graph | None:
    """Return the graph; None where the stricter bounds of a graph's sums refuse a layer."""
    shape, operators = network.input_shape, list[Operator]()
    try:
        for layer in network.layers:
            if isinstance(layer, Dense):
                operators.append(Reshape((1, 1, 1, math.prod(shape))))
            elif isinstance(layer, ConvolutionLayer | Pool):
                operators.append(Reshape((1, *shape)))
            operators += _operators(layer)
            shape = layer.output(shape)
            operators.append(Reshape(shape))
        nodes = [Node(operator, (i,)) for i, operator in enumerate(operators)]
        return Graph((Form(network.input_shape),), tuple(nodes), (len(nodes),))
    except InvalidNetwork:
        return None


def _operators(layer: Layer) -> list[Operator]:
    """What stands between two reshapes: nothing for a layer that is one itself."""
    match layer:
        case Dense():
            return [_convolution(layer, (1, 1), (1, 1), (0, 0, 0, 0))]
        case ConvolutionLayer():
            window = layer.window
            sides = layer.weights.shape[1], layer.weights.shape[2]
            return [_convolution(layer, sides, window.stride, window.padding)]
        case Pool():
            kind = AveragePool if layer.mean else MaxPool
            sides = layer.window.height, layer.window.width
            return [kind(sides, layer.window.stride, (0, 0, 0, 0), -128, 127)]
        case LastLayer():
            return [ArgMax()]
        case Flatten():
            return []
        case _:
            raise TypeError(type(layer))


def _convolution(
    layer: Weighted,
    sides: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> Conv2D:
    to = layer.rescale
    return Conv2D(
        weights=layer.weights.reshape(len(layer.weights), *sides, -1),
        bias=to.bias,
        input_zero=layer.input_zero,
        output_zero=to.zero,
        low=to.low,
        high=to.high,
        multiplier=to.multiplier,
        exponent=-to.shift.astype(np.int8),
        stride=stride,
        dilation=(1, 1),
        padding=padding,
    )
