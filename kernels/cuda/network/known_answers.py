"""The known-answer test of networks on a card: a graph with every operator, a tree and a product.

    problem_of(machine, CARD_SIZES)      # "" or a sentence

What is right is computed here by numpy. Sizes for a card have several tiles of each operand, and rows,
columns and entries that no block divides.
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.cuda.network.commitment import commit
from kernels.cuda.network.jobs import product
from kernels.cuda.network.machine import Machine
from kernels.cuda.network.model import Model
from kernels.cuda.network.run import run
from kernels.device import Integers, ResultTree
from kernels.network.graph import (
    convolutions,
    elementwise,
    moves,
    normal,
    products,
    softmax,
    windows,
)
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import run_layers
from kernels.network.graph.operator import Form, Operator
from kernels.network.graph.reference import multiply
from kernels.network.graph.run import run_graph

MOST = (1 << 31) - 1
ENDS = {"output_zero": 3, "low": -120, "high": 126}
SIDES = {"left_zero": 5, "right_zero": -7}
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of images, of the first convolution, and of a product (m, k, n)."""

    side: int
    channels: int
    outputs: int
    product: tuple[int, int, int]


CARD_SIZES = Sizes(side=21, channels=20, outputs=300, product=(300, 700, 520))
SIMULATED_SIZES = Sizes(side=4, channels=2, outputs=3, product=(3, 5, 4))


def problem_of(machine: Machine, sizes: Sizes) -> str:
    """Return what the machine does otherwise than numpy, in a sentence; "" for nothing. May raise."""
    graph = graph_of_all(sizes)
    bytes_only = Graph(graph.inputs, graph.nodes, graph.outputs[:-1])
    samples = _samples(graph, sizes)
    model = Model(machine)
    rows = run(model, bytes_only, samples, layers=False, group=2)
    if not np.array_equal(rows.to_host(), run_graph(bytes_only, samples, REFERENCE, SAMPLES)):
        return _("the known-answer test of networks failed: outputs differ from the host's")
    layered = run(model, graph, samples, layers=True, group=SAMPLES)
    right = run_layers(graph, samples, REFERENCE, SAMPLES)
    if not np.array_equal(layered.to_host(), right):
        return _("the known-answer test of networks failed: layers differ from the host's")
    random = np.random.default_rng(20)
    m, k, n = sizes.product
    A, B = (random.integers(-128, 128, shape).astype(np.int8) for shape in ((m, k), (k, n)))
    C, tree = product(machine, A, B)
    if not np.array_equal(C, multiply(A, B.T)):
        return _("the known-answer test of networks failed: a product differs from the host's")
    for matrix, found in ((right, commit(layered)), (C, tree)):
        if not _same_tree(matrix, found):
            return _("the known-answer test of networks failed: a commitment differs")
    return ""


def _same_tree(matrix: Integers, found: ResultTree) -> bool:
    form = MatrixForm(len(matrix), matrix.shape[1], 4)
    right = MatrixTree(form, matrix)
    leaves = sorted({0, form.leaf_count - 1})
    return found.result_hash == right.result_hash and (
        found.siblings(leaves) == right.siblings(leaves)
    )


def graph_of_all(sizes: Sizes) -> Graph:
    """Return a graph with every operator; its last output, of argmax, is int32."""
    random = np.random.default_rng(19)
    side, channels, outputs = sizes.side, sizes.channels, sizes.outputs
    half, features = (side + 1) // 2, 2 * outputs
    nodes: list[Node] = []

    def put(operator: Operator, *inputs: int) -> int:
        nodes.append(Node(operator, inputs))
        return 1 + len(nodes)

    def ints(*shape: int) -> npt.NDArray[np.int8]:
        return random.integers(-128, 128, shape).astype(np.int8)

    def scaling(count: int, terms: int) -> dict[str, Any]:
        """Sums of so many products, brought to the range of int8."""
        exponent = np.full(count, -round(np.log2(120 * terms**0.5)), np.int8)
        multiplier = random.integers(1 << 30, 1 << 31, count).astype(np.int32)
        bias = random.integers(-9000, 9000, count).astype(np.int32)
        return {
            "bias": bias,
            "multiplier": multiplier,
            "exponent": exponent,
            "input_zero": 4,
            **ENDS,
        }

    slides: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1)}
    scaled: dict[str, Any] = {"multiplier": 1518500250, "exponent": -6, **ENDS}
    pools: dict[str, Any] = {"size": (3, 2), "stride": (2, 2), "padding": (1, 0, 1, 1)}
    pools |= {"low": -120, "high": 120}
    conv = put(
        convolutions.Conv2D(
            weights=ints(outputs, 3, 3, channels), **slides, **scaling(outputs, 9 * channels)
        ),
        0,
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
            right_exponent=-1, **SIDES, **scaled | {"exponent": -19},
        ),
        conv, deep,
    )  # fmt: skip
    multiplied = put(elementwise.Multiply(**SIDES, **scaled), added, narrow)
    larger = put(elementwise.Larger(sign=-1), multiplied, conv)
    table = put(elementwise.Table(table=ints(256)), larger)
    tables = put(elementwise.ChannelTable(table=ints(outputs, 256)), table)
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
    spread = put(moves.Spread(step=(2, 1), value=4), 0)
    flat = put(moves.Reshape(shape=(1, half * half, features)), resized)
    right = put(moves.Constant(value=ints(1, features, 5)))
    pairs = put(
        products.BatchMatMul(**SIDES, **scaled | {"exponent": -round(np.log2(240 * features**0.5))}),
        flat, right,
    )  # fmt: skip
    summed = put(
        windows.Sum(axes=(1,), keep_dims=0, input_zero=9, **scaled | {"exponent": -3}), resized
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
    exps = (np.exp(-0.05 * np.arange(256)) * MOST).astype(np.int32)
    exps[0] = MOST
    soft = put(softmax.Softmax(exps=exps), dense)
    numbers = put(moves.Take(axis=1, places=np.array([3, 0, 2], np.int32)), 1)
    numbers = put(moves.Transpose(order=(1, 0)), numbers)
    embedded = put(moves.Embed(rows=ints(6, 7)), numbers)
    best = put(windows.ArgMax(), dense)
    ends = (
        narrow, deep, added, multiplied, tables, padded, turned, resized, spread, pairs, summed,
        normed, dense, soft, embedded, best,
    )  # fmt: skip
    inputs = Form((1, side, side, channels)), Form((1, 4), 4)
    return Graph(inputs, tuple(nodes), ends)


def _samples(graph: Graph, sizes: Sizes) -> npt.NDArray[np.int8]:
    """Images, and numbers of rows, some of them outside of the table."""
    random = np.random.default_rng(21)
    images = random.integers(-128, 128, (SAMPLES, sizes.side**2 * sizes.channels)).astype(np.int8)
    numbers = random.integers(-2, 9, (SAMPLES, 4)).astype("<i4").view(np.int8)
    made = np.concatenate([images, numbers], axis=1)
    assert made.shape[1] == graph.sample_entries
    return made
