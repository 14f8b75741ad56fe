"""Checks committed layers by a compiled program (check.py): some samples, with one draw of weights."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.cpu.memory import LINE, aligned, round_up
from kernels.cpu.network.check import DIGITS, STARTS, VECTORS
from kernels.cpu.network.dots import usable_dots
from kernels.cpu.network.layout import NoProgram
from kernels.cpu.network.plan import plan
from kernels.cpu.network.program import Kernels, kernels_of
from kernels.cpu.network.runner import memory_of
from kernels.cpu.network.steps import Field, Memory, Op, Program
from kernels.cpu.network.weights import rows_of_weights
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import product_layers
from kernels.network.graph.parts import Part, Units

MOST_KEPT = 256
"""Parts of which the steps are kept."""


def checker(graph: Graph) -> "Checker | None":
    """Return what checks rows of this graph's layers, or None: then graph/layers.py does."""
    usable = usable_dots()
    if not usable:
        return None
    try:
        return Checker(graph, kernels_of(usable[0]), plan(graph, usable[0]))
    except NoProgram:
        return None


@dataclass(frozen=True, slots=True)
class _Layer:
    """A product's weights, n x k, and where its part of the secrets lies: r, W r in digits, its sum."""

    node: int
    weights: npt.NDArray[np.int8]
    length: int
    random: int
    digits: int
    size: int
    moved: int


class Checker:
    """A program that takes the sums of its products from the row that is checked."""

    def __init__(self, graph: Graph, kernels: Kernels, program: Program) -> None:
        self._kernels, self._program = kernels, program
        self._steps, self._layers, size = _places(graph, kernels.dots.parts, program)
        self._secrets = aligned((size,), np.uint8)
        self._secrets[:] = 0
        self._arena = aligned((program.arena_bytes,), np.uint8)
        self._arena[:] = 0
        self._scratch = aligned((program.scratch,), np.int32)
        self._memory = memory_of(program, self._arena, self._scratch, program.steps)
        self._memory[Memory.SECRETS] = self._secrets.ctypes.data
        self._lock = threading.Lock()
        self._whole = Units(graph).whole
        self._kept: dict[Part, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def wrong(
        self,
        samples: npt.NDArray[np.int8],
        rows: npt.NDArray[np.int32],
        random_bytes: Callable[[int], bytes],
        parts: Sequence[Part] | None = None,
    ) -> int | None:
        """Return the first node whose sums are wrong, -1 where outputs are; None: all is right.

        `parts`: what is looked at of each sample; None: all of it.
        """
        program = self._program
        parts = parts or [self._whole] * len(samples)
        out, memory = np.empty((1, program.columns), np.int8), self._memory
        with self._lock:
            self._draw(random_bytes, {node for part in parts for node in part.tested})
            for one, its_row, part in zip(samples, rows, parts, strict=True):
                sample, row = (np.require(x, requirements=["C", "W"]) for x in (one, its_row))
                steps, places = self._steps_of(part)
                memory[Memory.STEPS], memory[Memory.STEP_COUNT] = steps.ctypes.data, len(steps)
                sums = row[program.columns :].ctypes.data
                step = self._kernels.run(memory.ctypes.data, sample[np.newaxis], out, 0, 1, sums, 0)
                if step >= 0:
                    return program.nodes[places[step]]
                if part.outputs and not np.array_equal(out[0], row[: program.columns]):
                    return -1
        return None

    def _steps_of(self, part: Part) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the steps of a part, and their places; sums that are not tested are taken."""
        if part in self._kept:
            return self._kept[part]
        nodes, ops = np.array(self._program.nodes), self._steps[:, Field.OP]
        wanted = np.isin(nodes, list(part.computed))
        wanted |= (nodes < 0) & np.where(ops == Op.STORE, part.outputs, part.inputs)
        places = np.flatnonzero(wanted)
        steps = self._steps[places]
        steps[~np.isin(nodes[places], list(part.tested)), Field.RANDOM] = -1
        if len(self._kept) < MOST_KEPT:
            self._kept[part] = steps, places
        return steps, places

    def _draw(self, random_bytes: Callable[[int], bytes], nodes: set[int]) -> None:
        """Draw r for each of these layers, and compute W r."""
        secrets, words = self._secrets, self._secrets.view(np.int64)
        for layer in self._layers:
            if layer.node not in nodes:
                continue
            n, k = layer.weights.shape
            drawn = np.frombuffer(random_bytes(8 * n * VECTORS), "<i8").reshape(n, VECTORS)
            first = layer.random // 8
            random = words[first : first + VECTORS * n].reshape(VECTORS, n)
            random[:] = drawn.T
            product = np.empty((VECTORS, k), np.int64)
            packed = secrets[layer.digits : layer.digits + layer.size]
            self._kernels.digits(layer.weights, random, layer.length, packed, product)
            words[layer.moved // 8 : layer.moved // 8 + VECTORS] = product.sum(axis=1) * 128


def _places(
    graph: Graph, parts: int, program: Program
) -> tuple[npt.NDArray[np.int64], list[_Layer], int]:
    """Return the steps with places in the secrets, the layers, and the size of the secrets."""
    steps, size, layers, found = program.steps.copy(), 0, set(product_layers(graph)), []

    def room(count: int) -> int:
        nonlocal size
        size, at = size + round_up(count, LINE), size
        return at

    for step, place in zip(steps, program.nodes, strict=True):
        if place not in layers:
            continue
        weights = rows_of_weights(graph.nodes[place].operator)
        n, segments, length = weights.shape
        digit_bytes = segments * -(-length // 4) * VECTORS * DIGITS * 4 * parts
        random, digits, moved = (
            room(count) for count in (8 * VECTORS * n, digit_bytes, 2 * 8 * VECTORS + STARTS)
        )
        step[Field.RANDOM], step[Field.DIGITS], step[Field.WEIGHTS_SUM] = random, digits, moved
        whole = np.require(weights.reshape(n, -1), requirements=["C", "W"])
        found.append(_Layer(place, whole, length, random, digits, digit_bytes, moved))
    return steps, found, size + LINE
