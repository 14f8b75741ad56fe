"""A batch of samples through a graph on the card; the result's rows lie there, to be hashed.

    rows = run(model, graph, samples, layers=False, group=64)   # CardRows
    rows.to_host()

`Inputs` and `launch` are its two halves: what comes from the host, and what can be recorded.

What a row holds is `kernels.network.graph.run.run_graph`'s, or with `layers` that of
`kernels.network.graph.layers.run_layers`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.cuda.network.machine import Array, Block, CardSums, Machine
from kernels.cuda.network.model import Axis, Model
from kernels.cuda.network.operators import RUN
from kernels.cuda.network.operators import run as run_operator
from kernels.cuda.network.products import FINISH, SUMS
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.layers import layer_columns, product_layers
from kernels.network.graph.normal import Norm
from kernels.network.graph.run import Rows, inputs_of, run_values

ROW_STEP = 64
"""Rows of a result begin at multiples of so many bytes: SHA-256 takes as many at a time."""


@dataclass(frozen=True, slots=True)
class CardRows:
    """A result on the card: rows x columns entries; a row begins `pitch` bytes after the last one."""

    machine: Machine
    block: Block
    rows: int
    columns: int
    entry_bytes: int
    pitch: int

    @classmethod
    def empty(cls, machine: Machine, rows: int, columns: int, entry_bytes: int) -> "CardRows":
        """Return room for them. Raises TaskTooLarge."""
        pitch = -(-columns * entry_bytes // ROW_STEP) * ROW_STEP
        return cls(machine, machine.empty(rows * pitch), rows, columns, entry_bytes, pitch)

    def to_host(self) -> Rows:
        """Return them as a matrix. Raises DeviceFault."""
        content = self.machine.read(
            self.block, self.rows, self.columns * self.entry_bytes, self.pitch
        )
        return content.view(f"<i{self.entry_bytes}").reshape(self.rows, self.columns)


def supports(graph: Graph) -> bool:
    """Whether each of its operators is one that the card does; normalisations take int8 there."""
    return all(
        type(node.operator) in RUN
        and not (
            isinstance(node.operator, Norm)
            and any(graph.forms[i].entry_bytes != 1 for i in node.inputs)
        )
        for node in graph.nodes
    )


class Inputs:
    """Samples on the card, in groups, each as the graph's inputs are. Raises TaskTooLarge."""

    def __init__(self, machine: Machine, graph: Graph, count: int, group: int) -> None:
        self._machine, self._graph, self.count = machine, graph, count
        self.groups = [
            [
                machine.array(min(group, count - start), *form.shape, entry_bytes=form.entry_bytes)
                for form in graph.inputs
            ]
            for start in range(0, count, group)
        ]

    def write(self, samples: npt.NDArray[np.int8]) -> None:
        """Copy samples there, as many as there is room for."""
        flat, start = samples.reshape(len(samples), -1), 0
        for group in self.groups:
            some = flat[start : start + len(group[0])]
            for array, content in zip(group, inputs_of(self._graph, some), strict=True):
                self._machine.write(array.block, content)
            start += len(some)


def launch(model: Model, graph: Graph, inputs: Inputs, *, layers: bool) -> CardRows:
    """Return the rows of what lies in `inputs`; nothing is waited for. Raises TaskTooLarge."""
    columns, entry_bytes = graph.columns, graph.entry_bytes
    if layers:
        columns, entry_bytes = columns + layer_columns(graph), 4
    rows = CardRows.empty(model.machine, inputs.count, columns, entry_bytes)
    kept_layers = set(product_layers(graph)) if layers else set()
    start = 0
    for group in inputs.groups:
        kept: list[CardSums] = []

        def step(
            place: int, node: Node, x: tuple[Array, ...], kept: list[CardSums] = kept
        ) -> Array:
            operator = node.operator
            if place not in kept_layers:
                return run_operator(model, operator, *x)
            kept.append(SUMS[type(operator)](model, operator, *x))
            made: Array = FINISH[type(operator)](model, operator, x, kept[-1])
            return made

        outputs = run_values(graph, group, step)
        parts = [*map(_as_sums, outputs), *kept]
        sizes = [x.entry_bytes for x in outputs] + [4] * len(kept)
        _write(model, rows, start, len(group[0]), list(zip(parts, sizes, strict=True)))
        start += len(group[0])
    return rows


def run(
    model: Model, graph: Graph, samples: npt.NDArray[np.int8], *, layers: bool, group: int
) -> CardRows:
    """Return the outputs, and with `layers` the sums of each product layer, of all samples.

    The same model with the same graph finds its weights on the card. Raises TaskTooLarge, DeviceFault.
    """
    inputs = Inputs(model.machine, graph, len(samples), group)
    inputs.write(samples)
    rows = launch(model, graph, inputs, layers=layers)
    model.machine.wait()
    return rows


def _as_sums(x: Array) -> CardSums:
    """An output as a row for each sample; one sample's is the same for all."""
    columns = x.count // len(x)
    return CardSums(x.block, len(x), columns, columns)


def _write(
    model: Model, rows: CardRows, start: int, samples: int, parts: list[tuple[CardSums, int]]
) -> None:
    """Put the parts of these samples' rows side by side, widened to the rows' entries."""
    pitch = rows.pitch // rows.entry_bytes
    at = start * pitch
    for part, entry_bytes in parts:
        each = max(1, part.rows // samples)
        apart = part.pitch * each if part.rows >= samples else 0
        axes: list[Axis] = [
            (part.columns, 1, 0, 1, part.columns, 1, 1),
            (each, 1, 0, 1, each, part.pitch, part.columns),
            (samples, 1, 0, 1, samples, apart, pitch),
        ]
        model.move(
            part.block, rows.block, axes,
            entry_bytes=entry_bytes, target_bytes=rows.entry_bytes, start=at,
        )  # fmt: skip
        at += each * part.columns
