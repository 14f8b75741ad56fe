"""An operator's numbers in the form that kernels take: weights by tiles, the scaling of sums."""

import numpy as np
import numpy.typing as npt

from kernels.cpu.network.dots import Dots
from kernels.cpu.network.layout import Constants
from kernels.cpu.network.requantise import MOST_SHIFT, parameters
from kernels.cpu.network.steps import Scaling
from kernels.network import Window
from kernels.network.graph import convolutions, products
from kernels.network.graph.operator import Operator
from kernels.network.graph.rounding import scale


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


def window_of(op: convolutions.Convolution) -> Window:
    """Return the window of a convolution."""
    sides = op.weights.shape[1:3] if isinstance(op, convolutions.Conv2D) else op.weights.shape[:2]
    return convolutions.window_of(sides, op.stride, op.dilation, op.padding)


def scaling_of(op: convolutions.Convolution, lanes: int, constants: Constants) -> dict[str, int]:
    """Return the fields of a convolution's scaling."""
    zero = np.full(len(op.bias), op.output_zero + 128, np.int64)
    multiplier, shift = op.multiplier.astype(np.int64), -op.exponent.astype(np.int64)
    least, most = (_outputs(op, largest_sums(op) * side) for side in (-1, 1))
    # A channel that always gives the same has any scale: many are far from the others'.
    still = (least == most) & ((shift < 1) | (shift > MOST_SHIFT))
    multiplier, shift = np.where(still, 0, multiplier), np.where(still, 1, shift)
    found = parameters(multiplier, shift, np.where(still, most + 128, zero), lanes)
    if found is None:
        return _apart(Scaling.TWICE, op.multiplier, op.exponent, constants)
    kind = Scaling.ABOVE_ZERO if op.low >= op.output_zero else Scaling.SIGNED
    return {"SCALING": kind, "PARAMETERS": constants.keep(found)}


def scaling_once(op: products.FullyConnected, lanes: int, constants: Constants) -> dict[str, int]:
    """Return the fields of a fully connected layer's scaling."""
    shift = op.shift.astype(np.int64) - 31
    found = parameters(op.multiplier, shift, op.output_zero + 128, lanes, first=0)
    if found is None:
        return _apart(Scaling.ONCE, op.multiplier, op.shift, constants)
    kind = Scaling.ABOVE_ZERO if op.low >= op.output_zero else Scaling.SYMMETRIC
    return {"SCALING": kind, "PARAMETERS": constants.keep(found)}


def _apart(
    kind: Scaling,
    multiplier: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    constants: Constants,
) -> dict[str, int]:
    """Return the fields of a scaling whose multipliers and shifts stay two numbers each."""
    return {
        "SCALING": kind,
        "MULTIPLIERS": constants.keep(multiplier.astype(np.int64)),
        "SHIFTS": constants.keep(shift.astype(np.int64)),
    }


def largest_sums(op: products.Weighted) -> npt.NDArray[np.int64]:
    """Return how large each output's sum, without bias, can be: that of (x - zero) * w."""
    by_output = np.moveaxis(op.weights, op.outputs_axis, 0).reshape(len(op.bias), -1)
    return 255 * np.abs(by_output.astype(np.int32)).sum(axis=1, dtype=np.int64)


def _outputs(op: convolutions.Convolution, sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what each channel makes of a sum, without bias."""
    scaled = scale(sums + op.bias, op.multiplier.astype(np.int64), op.exponent.astype(np.int64))
    return np.clip(scaled + op.output_zero, op.low, op.high)
