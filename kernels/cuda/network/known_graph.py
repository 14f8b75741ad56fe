"""A graph with every operator, for the known-answer test of networks on a card.

graph = graph_of_all(SIMULATED_SIZES)    # its last output, of argmax, is int32
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.network.graph import (
    convolutions,
    elementwise,
    moves,
    normal,
    products,
    softmax,
    windows,
)
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.operator import Form, Operator

MOST = (1 << 31) - 1
ENDS = {"output_zero": 3, "low": -120, "high": 126}
SIDES = {"left_zero": 5, "right_zero": -7}
SCALED: dict[str, Any] = {"multiplier": 1518500250, "exponent": -6, **ENDS}
IMAGE, NUMBERS = 0, 1
"""The two inputs."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of images, of the first convolution, and of a product (m, k, n)."""

    side: int
    channels: int
    outputs: int
    product: tuple[int, int, int]

    @property
    def half(self) -> int:
        """The side of what the pools give."""
        return (self.side + 1) // 2

    @property
    def features(self) -> int:
        """Channels of the two pools together."""
        return 2 * self.outputs


CARD_SIZES = Sizes(side=21, channels=21, outputs=301, product=(300, 700, 520))
SIMULATED_SIZES = Sizes(side=4, channels=2, outputs=3, product=(3, 5, 4))


class _Maker:
    """Nodes so far, and random weights."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.random = np.random.default_rng(19)
        self.nodes: list[Node] = []

    def put(self, operator: Operator, *inputs: int) -> int:
        """Add a node; return the place of its value."""
        self.nodes.append(Node(operator, inputs))
        return 1 + len(self.nodes)

    def ints(self, *shape: int) -> npt.NDArray[np.int8]:
        """Return random int8."""
        return self.random.integers(-128, 128, shape).astype(np.int8)

    def scaling(self, count: int, terms: int) -> dict[str, Any]:
        """Return what brings sums of so many products to the range of int8."""
        return {
            "multiplier": self.random.integers(1 << 30, 1 << 31, count).astype(np.int32),
            "bias": self.random.integers(-9000, 9000, count).astype(np.int32),
            "exponent": np.full(count, -round(np.log2(120 * terms**0.5)), np.int8),
            "input_zero": 4,
            **ENDS,
        }


def graph_of_all(sizes: Sizes) -> Graph:
    """Return the graph."""
    make = _Maker(sizes)
    table, images = _images(make)
    fours = _fours(make)
    resized, moved = _moves(make, table)
    dense, rows = _rows(make, resized)
    ends = (*images, *fours, *moved, *rows, *_heads(make, dense))
    inputs = Form((1, sizes.side, sizes.side, sizes.channels)), Form((1, 4), 4)
    return Graph(inputs, tuple(make.nodes), ends)


def _images(make: _Maker) -> tuple[int, tuple[int, ...]]:
    """Convolutions, and what is done to each entry: return a table's value, and the ends."""
    put, ints, scaling = make.put, make.ints, make.scaling
    channels, outputs = make.sizes.channels, make.sizes.outputs
    slides: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1)}
    conv = put(
        convolutions.Conv2D(
            weights=ints(outputs, 3, 3, channels), **slides, **scaling(outputs, 9 * channels)
        ),
        IMAGE,
    )
    deep = put(
        convolutions.DepthwiseConv2D(weights=ints(3, 3, outputs), **slides, **scaling(outputs, 9)),
        conv,
    )
    narrow = put(
        convolutions.Conv2D(
            weights=ints(outputs, 1, 1, outputs), stride=(1, 1), dilation=(1, 1),
            padding=(0, 0, 0, 0), **scaling(outputs, outputs),
        ),
        deep,
    )  # fmt: skip
    added = put(
        elementwise.Add(
            sign=-1, left_multiplier=1 << 30, left_exponent=0, right_multiplier=1500000000,
            right_exponent=-1, **SIDES, **SCALED | {"exponent": -19},
        ),
        conv, deep,
    )  # fmt: skip
    multiplied = put(elementwise.Multiply(**SIDES, **SCALED), added, narrow)
    larger = put(elementwise.Larger(sign=-1), multiplied, conv)
    table = put(elementwise.Table(table=ints(256)), larger)
    tables = put(elementwise.ChannelTable(table=ints(outputs, 256)), table)
    return table, (narrow, added, tables)


def _fours(make: _Maker) -> tuple[int, ...]:
    """Convolutions of channels that come in fours, and in sixteens: return the ends."""
    put, ints, scaling, sizes = make.put, make.ints, make.scaling, make.sizes
    fours = 8 * (sizes.outputs // 16) + 4
    slides: dict[str, Any] = {"stride": (2, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1)}
    point: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0)}
    weights = ints(fours, 1, 1, sizes.channels)
    wide = put(
        convolutions.Conv2D(weights=weights, **point, **scaling(fours, sizes.channels)), IMAGE
    )
    deep = put(
        convolutions.DepthwiseConv2D(weights=ints(3, 3, fours), **slides, **scaling(fours, 9)), wide
    )
    seen = put(
        convolutions.Conv2D(weights=ints(16, 3, 3, fours), **slides, **scaling(16, 9 * fours)), deep
    )
    last = put(
        convolutions.DepthwiseConv2D(weights=ints(2, 3, 16), **slides, **scaling(16, 6)), seen
    )
    return deep, last


def _moves(make: _Maker, table: int) -> tuple[int, tuple[int, ...]]:
    """Pools, and entries that move: return what is resized, and the ends."""
    put, side, half, features = make.put, make.sizes.side, make.sizes.half, make.sizes.features
    pools: dict[str, Any] = {"size": (3, 2), "stride": (2, 2), "padding": (1, 0, 1, 1)}
    pools |= {"low": -120, "high": 120}
    most, mean = put(windows.MaxPool(**pools), table), put(windows.AveragePool(**pools), table)
    joined = put(moves.Concatenate(axis=3), most, mean)
    height = (side + 2 - 3) // 2 + 1
    padded = put(moves.Pad(before=(0, 1, 0, 0), after=(0, 0, 2, 0), value=-3), joined)
    cut = put(
        moves.Slice(begin=(0, 0, 1, 0), size=(1, height, 2, features), step=(1, 1, -1, 1)), padded
    )
    taken = put(moves.Take(axis=2, places=np.array([1, 0, 1], np.int32)), cut)
    turned = put(moves.Transpose(order=(0, 2, 3, 1)), taken)
    resized = put(windows.ResizeBilinear(size=(half, half), align_corners=0, half_pixel=1), joined)
    spread = put(moves.Spread(step=(2, 1), value=4), IMAGE)
    return resized, (padded, turned, resized, spread)


def _rows(make: _Maker, resized: int) -> tuple[int, tuple[int, ...]]:
    """Products of rows, sums and norms: return the dense layer's value, and the ends."""
    put, ints, random = make.put, make.ints, make.random
    half, features = make.sizes.half, make.sizes.features
    flat = put(moves.Reshape(shape=(1, half * half, features)), resized)
    right = put(moves.Constant(value=ints(1, features, 5)))
    pairs = put(
        products.BatchMatMul(**SIDES, **SCALED | {"exponent": -round(np.log2(240 * features**0.5))}),
        flat, right,
    )  # fmt: skip
    summed = put(
        windows.Sum(axes=(1,), keep_dims=0, input_zero=9, **SCALED | {"exponent": -3}), resized
    )
    shift = np.full(11, 38 + round(np.log2(features**0.5)), np.uint8)
    dense = put(
        products.FullyConnected(
            weights=ints(11, features), multiplier=random.integers(1 << 30, 1 << 31, 11),
            bias=np.arange(11, dtype=np.int32), shift=shift, keep_dims=1, input_zero=-2, **ENDS,
        ),
        summed,
    )  # fmt: skip
    normed = put(
        normal.LayerNorm(
            zeros=(3, -5), multipliers=(4096, 1777), epsilon=12345,
            factor=random.integers(1 << 20, 1 << 23, features).astype(np.int32),
            offset=random.integers(-(1 << 44), 1 << 44, features), **ENDS,
        ),
        resized, resized,
    )  # fmt: skip
    normed = put(
        normal.ChannelNorm(
            zeros=(1,), multipliers=random.integers(0, 900, (1, features)).astype(np.int32),
            epsilon=9, factor=random.integers(1 << 20, 1 << 23, features).astype(np.int32),
            offset=random.integers(-(1 << 44), 1 << 44, features), **ENDS,
        ),
        normed,
    )  # fmt: skip
    return dense, (pairs, summed, normed, dense)


def _heads(make: _Maker, dense: int) -> tuple[int, ...]:
    """Softmax, an embedding, and the largest: return the ends."""
    put, ints = make.put, make.ints
    exps = (np.exp(-0.05 * np.arange(256)) * MOST).astype(np.int32)
    exps[0] = MOST
    soft = put(softmax.Softmax(exps=exps), dense)
    numbers = put(moves.Take(axis=1, places=np.array([3, 0, 2], np.int32)), NUMBERS)
    numbers = put(moves.Transpose(order=(1, 0)), numbers)
    embedded = put(moves.Embed(rows=ints(6, 7)), numbers)
    best = put(windows.ArgMax(), dense)
    return soft, embedded, best
