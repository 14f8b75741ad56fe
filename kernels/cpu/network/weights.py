"""An operator's weights in the form that tiles take."""

import numpy as np
import numpy.typing as npt

from kernels.cpu.network.dots import Dots
from kernels.network import Window
from kernels.network.graph import convolutions, products
from kernels.network.graph.operator import Operator


def rows_of_weights(op: Operator) -> npt.NDArray[np.int8]:
    """Return a product layer's weights, outputs x segments x length (tiles.py)."""
    assert isinstance(op, products.Weighted)
    if isinstance(op, products.FullyConnected):
        return op.weights[:, np.newaxis]
    outputs, height, width, _channels = op.weights.shape
    assert isinstance(op, convolutions.Conv2D)
    segments = height if op.dilation[1] == 1 else height * width
    return op.weights.reshape(outputs, segments, -1)


def pack_weights(weights: npt.NDArray[np.int8], dots: Dots) -> tuple[npt.NDArray[np.uint8], int]:
    """Return weights, outputs x segments x length, as tiles read them, and the quads of a segment."""
    n, segments, length = weights.shape
    quads, lanes = -(-length // 4), dots.lanes
    vectors = -(-n // lanes)
    padded = np.zeros((vectors * lanes, segments, 4 * quads), np.int8)
    padded[:n, :, :length] = weights
    by_quad = padded.reshape(vectors, lanes, segments, quads, 4).transpose(2, 3, 0, 1, 4)
    parts, first = [], 0
    while first < vectors:
        wide = next(v for v in dots.tiles if v <= vectors - first)
        block = np.ascontiguousarray(by_quad[:, :, first : first + wide])
        parts.append(dots.pack(block).reshape(-1))
        first += wide
    return np.concatenate(parts), quads


def pack_taps(
    op: convolutions.DepthwiseConv2D, order: npt.NDArray[np.intp], dots: Dots
) -> npt.NDArray[np.uint8]:
    """Return weights as depthwise.py reads them; `order`: the channel of each lane."""
    by_tap = op.weights.reshape(-1, op.weights.shape[2])[:, order]
    groups = -(-len(by_tap) // 4)
    padded = np.zeros((4 * groups, len(order)), np.int8)
    padded[: len(by_tap)] = by_tap
    by_lane = padded.reshape(groups, 4, -1, 4, dots.lanes).transpose(2, 0, 3, 4, 1)
    return dots.pack(np.ascontiguousarray(by_lane))


def window_of(op: convolutions.Convolution) -> Window:
    """Return the window of a convolution."""
    sides = op.weights.shape[1:3] if isinstance(op, convolutions.Conv2D) else op.weights.shape[:2]
    return convolutions.window_of(sides, op.stride, op.dilation, op.padding)
