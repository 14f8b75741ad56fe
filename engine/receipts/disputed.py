"""What a receipt is about, where one entry of its result can be proven wrong by itself.

about = disputed(receipt, {"model": ..., "input": ...})    # or {"a": ..., "b": ...}, of a product
about.leaves(node, row, column)                            # what a dispute of this entry opens
about.right_entry(node, row, column, opened)               # what it must be
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import gettext as _

import numpy as np
import numpy.typing as npt

from engine.receipts.document import Body, Receipt, faults_of
from engine.runtime.errors import BadInput, WrongClaim
from kernels.commit.rows import MATRIX_LEAF_BYTES, MatrixForm
from kernels.data import Data
from kernels.device import Device
from kernels.errors import InvalidNetwork, InvalidTask
from kernels.network import reference
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import columns_of_layers
from kernels.network.graph.single_entry import entry_of, first_difference, needs_of
from kernels.network.graph.stream import start_of, states_of
from kernels.network.model import Network, decode_network
from kernels.work.inference import InferenceWork
from kernels.work.matmul import MatrixWork

Rows = npt.NDArray[np.signedinteger]
Place = tuple[int | None, int, int]
"""Node (None: the outputs, or a product), row, and column of the whole row."""
Opened = Callable[[int, int, int], Rows]
"""`opened(row, first, count)`: entries of the result that are opened."""


class Disputed(ABC):
    """A result, and how each entry of it follows from the files, and from entries before it."""

    form: MatrixForm

    @abstractmethod
    def compute(self, device: Device) -> Rows:
        """Return the right rows, computed on this device."""

    def first_difference(self, rows: Rows, right: Rows) -> Place | None:
        """Return the place of the first entry that is not right."""
        found = np.argwhere(rows != right)
        return (None, *found[0].tolist()) if len(found) else None

    def leaves(self, node: int | None, row: int, column: int) -> list[int]:
        """Return the leaves that a dispute opens. Raises WrongClaim where there is no such entry."""
        if node is not None or row >= self.form.rows or column >= self.form.columns:
            raise WrongClaim(_("the result has no such entry"))
        return self.leaves_of(row, [(column, 1)])

    def leaves_of(self, row: int, spans: list[tuple[int, int]]) -> list[int]:
        """Return the leaves of spans (first column, columns) of a row, in ascending order."""
        width = MATRIX_LEAF_BYTES // self.form.entry_bytes
        parts = {
            part
            for first, count in spans
            for part in range(first // width, (first + count - 1) // width + 1)
        }
        return sorted(row * self.form.leaves_per_row + part for part in parts)

    @abstractmethod
    def right_entry(self, node: int | None, row: int, column: int, opened: Opened) -> int:
        """Return what the entry must be."""


def disputed(receipt: Receipt, files: Mapping[str, bytes]) -> Disputed:
    """Return what a receipt is about; `files` by their fields in the payload.

    Raises WrongClaim where the receipt is not valid, BadInput for other files.
    """
    if faults := faults_of(receipt):
        raise WrongClaim(_("the receipt is not valid: {fault}").format(fault=faults[0]))
    body = receipt.body
    kinds = {"inference": ("model", "input"), "matmul": ("a", "b")}
    if body.kind not in kinds:
        raise BadInput(_("a result of the kind {kind} is not disputed").format(kind=body.kind))
    state = ("state",) if body.kind == "inference" and "state" in body.payload else ()
    for name in (*kinds[body.kind], *state):
        if name not in files:
            raise BadInput(_("{name}: the receipt is about one: name it").format(name=name))
        named = body.bytes_of(name)
        if named is None or named.sha256 != hashlib.sha256(files[name]).hexdigest():
            raise BadInput(_("{name}: the receipt is about another one").format(name=name))
    return _product(body, files) if body.kind == "matmul" else _inference(body, files, bool(state))


@dataclass(frozen=True, slots=True)
class DisputedProduct(Disputed):
    """C = A B: an entry is a row of A times a column of B, and follows from nothing else."""

    work: MatrixWork
    A: npt.NDArray[np.int8]
    B: npt.NDArray[np.int8]
    form: MatrixForm

    def compute(self, device: Device) -> Rows:
        """Return C, computed on this device."""
        return self.work.matrix(device)

    def right_entry(self, node: int | None, row: int, column: int, opened: Opened) -> int:  # noqa: ARG002
        """Return the sum of the products of that row and column."""
        return int(self.A[row].astype(np.int64) @ self.B[:, column].astype(np.int64))


def _product(body: Body, files: Mapping[str, bytes]) -> Disputed:
    a, b = files["a"], files["b"]
    m, k, n = (_side(body, name) for name in ("m", "k", "n"))
    try:
        work = MatrixWork(m, k, n, Data.of_bytes(a), Data.of_bytes(b))
    except InvalidTask as error:
        raise BadInput(str(error)) from error
    A, B = (np.frombuffer(x, np.int8).reshape(shape) for x, shape in ((a, (m, k)), (b, (k, n))))
    return DisputedProduct(work, A, B, work.form)


def _side(body: Body, name: str) -> int:
    side = body.payload.get(name)
    if type(side) is not int:
        raise BadInput(_("the receipt's m, k and n are no numbers"))
    return side


@dataclass(frozen=True, slots=True)
class DisputedInference(Disputed):
    """Rows of outputs, and of layers where these are committed to; of a stream also of states."""

    work: InferenceWork
    network: Network | Graph
    samples: npt.NDArray[np.int8]
    start: npt.NDArray[np.int8]
    form: MatrixForm

    def compute(self, device: Device) -> Rows:
        """Return the right rows, computed on this device."""
        return self.work.matrix(device)

    def first_difference(self, rows: Rows, right: Rows) -> Place | None:
        """Return the first layer's; of a stream in the first wrong row, which met right states."""
        if len(self.start):
            wrong = np.flatnonzero((rows != right).any(axis=1))[:1]
            if not len(wrong):
                return None
            at = int(wrong[0])
            found = self._first(rows[at : at + 1], right[at : at + 1])
            return None if found is None else (found[0], at, found[2])
        return self._first(rows, right)

    def _first(self, rows: Rows, right: Rows) -> Place | None:
        if self.work.layers and isinstance(self.network, Graph):
            return first_difference(self.network, rows, right)
        return Disputed.first_difference(self, rows, right)

    def leaves(self, node: int | None, row: int, column: int) -> list[int]:
        """Return those of the entry, of sums that it follows from, and of the states before."""
        if not (self.work.layers and isinstance(self.network, Graph)):
            leaves = Disputed.leaves(self, node, row, column)
        else:
            parts = {one.node: (one.first, one.count) for one in columns_of_layers(self.network)}
            first, count = (0, self.network.columns) if node is None else parts.get(node, (0, 0))
            if column not in range(first, first + count) or row >= self.form.rows:
                raise WrongClaim(_("the result has no such entry"))
            feeders = needs_of(self.network, node).feeders
            leaves = self.leaves_of(row, [(column, 1), *(parts[one] for one in feeders)])
        if len(self.start) and row > 0:
            span = (self.network.columns - len(self.start), len(self.start))
            return self.leaves_of(row - 1, [span]) + leaves
        return leaves

    def right_entry(self, node: int | None, row: int, column: int, opened: Opened) -> int:
        """Return it, by the sums and states that are opened."""
        sample, network = self.samples[row : row + 1], self.network
        if not isinstance(network, Graph):
            shaped = sample.reshape(1, *network.input_shape)
            return int(reference.forward(network, shaped)[0, column])
        if len(self.start):
            states = self.start.reshape(1, -1)
            if row > 0:
                states = states_of(network, opened(row - 1, 0, network.columns)[np.newaxis])
            sample = np.concatenate([sample, states], axis=1)
        if not self.work.layers:
            return int(reference.forward(network, sample)[0, column])
        needs = needs_of(network, node)
        parts = {one.node: one for one in columns_of_layers(network)}
        sums = {one: opened(row, parts[one].first, parts[one].count) for one in needs.feeders}
        first = 0 if node is None else parts[node].first
        return entry_of(network, needs, sample, sums, column - first)


def _inference(body: Body, files: Mapping[str, bytes], stateful: bool) -> Disputed:
    layers, batch = body.payload.get("layers") is True, body.payload.get("batch", 1)
    if type(batch) is not int or batch < 1:
        raise BadInput(_("the receipt's batch does not fit the input"))
    model, samples, *state = (
        Data.of_bytes(files[name]) for name in ("model", "input", "state")[: 2 + stateful]
    )
    try:
        network = decode_network(files["model"])
        work = InferenceWork.of(model, samples, batch, True, layers, *state)
    except InvalidNetwork as error:
        raise BadInput(_("the model is not valid: {error}").format(error=error)) from error
    except InvalidTask as error:
        raise BadInput(str(error)) from error
    rows = np.frombuffer(files["input"], np.int8).reshape(batch, -1)
    start = np.empty(0, np.int8)
    if isinstance(network, Graph) and network.states:
        start = np.frombuffer(files["state"], np.int8) if stateful else start_of(network)
    return DisputedInference(work, network, rows, start, work.form)
