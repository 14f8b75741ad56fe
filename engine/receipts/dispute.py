"""A dispute: one entry of a result that is not what follows from the rest, for anybody to check.

    dispute = find_dispute(receipt, model, samples, output, right)   # None: the result is right
    check_dispute(read_dispute(content), model, samples)             # or WrongClaim

A file: {"receipt", "node", "row", "column", "leaves", "siblings"}, in canonical form. `leaves` are
those of the result's tree, base64, that the entry and what it follows from lie in, in ascending order.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from typing import Annotated

import numpy as np
import numpy.typing as npt
from msgspec import Meta, MsgspecError, Struct, convert, json

from engine.poc_protocol.strict_json import canonical
from engine.receipts.document import Number, Receipt, faults_of, read_document, receipt_of
from engine.runtime.errors import BadInput, WrongClaim
from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.device import Device
from kernels.errors import InvalidNetwork, InvalidProof, WrongResult
from kernels.network import reference
from kernels.network.fast import forward, forward_layers
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import columns_of_layers, layer_columns
from kernels.network.graph.single_entry import entry_of, first_difference, needs_of
from kernels.network.model import Network, decode_network

Rows = npt.NDArray[np.signedinteger]


class _Claim(Struct, frozen=True, forbid_unknown_fields=True):
    node: Number | None
    row: Number
    column: Number
    leaves: str
    siblings: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})*\Z")]


@dataclass(frozen=True, slots=True)
class Dispute:
    """See the module. `node`: the layer, None for the outputs; `column`: of the whole row."""

    receipt: Receipt
    node: int | None
    row: int
    column: int
    leaves: bytes
    siblings: bytes

    def encode(self) -> bytes:
        """Return the file's bytes."""
        value = {
            "receipt": json.decode(self.receipt.encode()),
            "node": self.node,
            "row": self.row,
            "column": self.column,
            "leaves": base64.b64encode(self.leaves).decode("ascii"),
            "siblings": self.siblings.hex(),
        }
        return canonical(value).encode() + b"\n"


def read_dispute(content: bytes) -> Dispute:
    """Return the dispute in a file, unchecked. Raises BadInput."""
    value = read_document(content, _("a dispute"))
    try:
        fields = dict(value)
        receipt = receipt_of(fields.pop("receipt", None))
        claim = convert(fields, _Claim)
        leaves = base64.b64decode(claim.leaves, validate=True)
    except (MsgspecError, ValueError, TypeError) as error:
        raise BadInput(_("this is not a dispute: {error}").format(error=error)) from None
    siblings = bytes.fromhex(claim.siblings)
    return Dispute(receipt, claim.node, claim.row, claim.column, leaves, siblings)


@dataclass(frozen=True, slots=True)
class Disputed:
    """What a receipt of an inference is about: the network, its samples, and the result's form."""

    network: Network | Graph
    samples: npt.NDArray[np.int8]
    form: MatrixForm
    layers: bool

    @classmethod
    def of(cls, receipt: Receipt, model: bytes, samples: bytes) -> "Disputed":
        """Return it. Raises WrongClaim where the receipt is not valid, BadInput for other files."""
        if faults := faults_of(receipt):
            raise WrongClaim(_("the receipt is not valid: {fault}").format(fault=faults[0]))
        body = receipt.body
        if body.kind != "inference":
            raise BadInput(_("only a result of the kind inference can be disputed like this"))
        for name, content in (("model", model), ("input", samples)):
            named = body.bytes_of(name)
            if named is None or named.sha256 != hashlib.sha256(content).hexdigest():
                raise BadInput(_("{name}: the receipt is about another one").format(name=name))
        try:
            network = decode_network(model)
        except InvalidNetwork as error:
            raise BadInput(_("the model is not valid: {error}").format(error=error)) from error
        layers, batch = body.payload.get("layers") is True, body.payload.get("batch", 1)
        if type(batch) is not int or batch < 1 or len(samples) != batch * network.sample_entries:
            raise BadInput(_("the receipt's batch does not fit the input"))
        form = MatrixForm(batch, network.columns, network.entry_bytes)
        if layers and isinstance(network, Graph):
            form = MatrixForm(batch, network.columns + layer_columns(network), 4)
        rows = np.frombuffer(samples, np.int8).reshape(-1, network.sample_entries)
        return cls(network, rows, form, layers)

    def compute(self, device: Device) -> Rows:
        """Return the right rows, computed on this device."""
        shaped = self.samples.reshape(len(self.samples), *self.network.input_shape)
        if self.layers and isinstance(self.network, Graph):
            return forward_layers(self.network, shaped, device)
        return forward(self.network, shaped, device)

    def first_difference(self, rows: Rows, right: Rows) -> tuple[int | None, int, int] | None:
        """Return node, row and column of the first entry that is not right."""
        if self.layers and isinstance(self.network, Graph):
            return first_difference(self.network, rows, right)
        found = np.argwhere(rows != right)
        return (None, *found[0].tolist()) if len(found) else None

    def leaves(self, node: int | None, row: int, column: int) -> list[int]:
        """Return the leaves that a dispute opens. Raises WrongClaim where there is no such entry."""
        spans = [(column, 1)]
        columns = range(self.form.columns)
        if self.layers and isinstance(self.network, Graph):
            parts = {one.node: (one.first, one.count) for one in columns_of_layers(self.network)}
            whole = (0, self.network.columns) if node is None else parts.get(node, (0, 0))
            columns = range(whole[0], whole[0] + whole[1])
            if len(columns):
                spans += [parts[one] for one in needs_of(self.network, node).feeders]
        elif node is not None:
            columns = range(0)
        if column not in columns or row >= self.form.rows:
            raise WrongClaim(_("the result has no such entry"))
        width = 4096 // self.form.entry_bytes
        parts_of_row = {
            part
            for first, count in spans
            for part in range(first // width, (first + count - 1) // width + 1)
        }
        return sorted(row * self.form.leaves_per_row + part for part in parts_of_row)

    def right_entry(
        self, node: int | None, row: int, column: int, entries: Callable[[int, int], Rows]
    ) -> int:
        """Return what the entry must be; `entries(first, count)` gives opened columns of its row."""
        sample = self.samples[row : row + 1]
        if not (self.layers and isinstance(self.network, Graph)):
            shaped = sample.reshape(1, *self.network.input_shape)
            return int(reference.forward(self.network, shaped)[0, column])
        needs = needs_of(self.network, node)
        parts = {one.node: one for one in columns_of_layers(self.network)}
        sums = {one: entries(parts[one].first, parts[one].count) for one in needs.feeders}
        first = 0 if node is None else parts[node].first
        return entry_of(self.network, needs, sample, sums, column - first)


def find_dispute(
    receipt: Receipt,
    model: bytes,
    samples: bytes,
    output: bytes,
    compute: Callable[[Disputed], Rows],
) -> Dispute | None:
    """Return a dispute of the first layer that is wrong; None where the result is right.

    `compute` gives the right rows. Raises BadInput for files that the receipt is not about, WrongClaim.
    """
    about = Disputed.of(receipt, model, samples)
    if len(output) != about.form.data_bytes:
        raise BadInput(_("output: it has another size than the receipt's result"))
    rows = about.form.entries(output)
    tree = MatrixTree(about.form, rows)
    if tree.result_hash.hex() != receipt.body.result_hash:
        raise BadInput(_("output: the receipt is about another one"))
    place = about.first_difference(rows, compute(about))
    if place is None:
        return None
    leaves = about.leaves(*place)
    opened = b"".join(_leaf(about.form, rows, leaf).tobytes() for leaf in leaves)
    return Dispute(receipt, *place, opened, tree.siblings(leaves))


def check_dispute(dispute: Dispute, model: bytes, samples: bytes) -> tuple[int, int]:
    """Return the entry that the result commits to, and what it must be, which is another one.

    Raises WrongClaim where the dispute does not hold, BadInput for other files than the receipt's.
    """
    about = Disputed.of(dispute.receipt, model, samples)
    place = (dispute.node, dispute.row, dispute.column)
    leaves, at, opened = about.leaves(*place), 0, {}
    for leaf in leaves:
        _row, first, last = about.form.leaf_place(leaf)
        size = (last - first) * about.form.entry_bytes
        part = dispute.leaves[at : at + size]
        if len(part) != size:
            raise WrongClaim(_("the dispute opens less than is needed"))
        opened[leaf] = np.frombuffer(part, about.form.dtype)
        at += size
    if at != len(dispute.leaves):
        raise WrongClaim(_("the dispute opens more than is needed"))
    try:
        about.form.check_openings(leaves, dispute.siblings)
        root = bytes.fromhex(dispute.receipt.body.result_hash)
        about.form.check_entries(root, opened, dispute.siblings)
    except (InvalidProof, WrongResult) as error:
        message = _("the opened entries are not the result's: {error}")
        raise WrongClaim(message.format(error=error)) from None
    row = np.zeros(about.form.columns, about.form.dtype)
    for leaf, entries in opened.items():
        _row, first, last = about.form.leaf_place(leaf)
        row[first:last] = entries
    right = about.right_entry(*place, lambda first, count: row[first : first + count])
    committed = int(row[dispute.column])
    if committed == right:
        raise WrongClaim(_("the entry is right: there is nothing to dispute"))
    return committed, right


def _leaf(form: MatrixForm, rows: Rows, leaf: int) -> Rows:
    row, first, last = form.leaf_place(leaf)
    return rows[row, first:last]
