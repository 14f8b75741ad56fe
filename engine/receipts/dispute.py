"""A dispute: one entry of a result that is not what follows from the rest, for anybody to check.

    dispute = find_dispute(receipt, files, output, compute)   # None: the result is right
    check_dispute(read_dispute(content), files)               # or WrongClaim

`files` are the payload's: {"model", "input"}, or {"a", "b"} of a product.

A file: {"receipt", "node", "row", "column", "leaves", "siblings"}, in canonical form. `leaves` are
those of the result's tree, base64, that the entry and what it follows from lie in, in ascending order.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Annotated

import numpy as np
from msgspec import Meta, MsgspecError, Struct, convert, json

from engine.poc_protocol.strict_json import canonical
from engine.receipts.disputed import Disputed, Rows, disputed
from engine.receipts.document import Number, Receipt, read_document, receipt_of
from engine.runtime.errors import BadInput, WrongClaim
from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.errors import InvalidProof, WrongResult


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


def find_dispute(
    receipt: Receipt,
    files: Mapping[str, bytes],
    output: bytes,
    compute: Callable[[Disputed], Rows],
) -> Dispute | None:
    """Return a dispute of the first entry that is wrong; None where the result is right.

    `files`: those of the payload, by its fields. `compute` gives the right rows. Raises BadInput for
    files that the receipt is not about, WrongClaim.
    """
    about = disputed(receipt, files)
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


def check_dispute(dispute: Dispute, files: Mapping[str, bytes]) -> tuple[int, int]:
    """Return the entry that the result commits to, and what it must be, which is another one.

    Raises WrongClaim where the dispute does not hold, BadInput for other files than the receipt's.
    """
    about = disputed(dispute.receipt, files)
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
    rows: dict[int, Rows] = {}
    for leaf, entries in opened.items():
        row, first, last = about.form.leaf_place(leaf)
        rows.setdefault(row, np.zeros(about.form.columns, about.form.dtype))[first:last] = entries
    right = about.right_entry(*place, lambda row, first, count: rows[row][first : first + count])
    committed = int(rows[dispute.row][dispute.column])
    if committed == right:
        raise WrongClaim(_("the entry is right: there is nothing to dispute"))
    return committed, right


def _leaf(form: MatrixForm, rows: Rows, leaf: int) -> Rows:
    row, first, last = form.leaf_place(leaf)
    return rows[row, first:last]
