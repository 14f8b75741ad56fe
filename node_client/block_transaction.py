"""A transaction in a block, as the node serves it: read leniently, since most are not ours to judge.

    for tx in block.txs:
        mine = tx.own(address)  # the strict Transaction, where the address's key signed it

The node takes more than this program ever sends (types that we do not use, a result whose own nonce
is "7", extra fields), and a lying node may serve any JSON. So no value raises here: what cannot be
read as the field's type is "" or None, and what cannot be hashed has no hash.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from gettext import gettext as _
from typing import Any

from node_client.address import address_from_public_key
from node_client.errors import InvalidData, InvalidTransaction
from node_client.transaction import ComputeResult, Transaction, TxType, joined_text

_OPTIONAL: dict[str, Any] = {
    "to_address": None,
    "fee": 0,
    "signature": "",
    "pub_key": "",
    "payload": {},
    "gas_price": 0,
    "gas_limit": 0,
}
_NUMBERS = ("amount", "fee", "nonce", "gas_price", "gas_limit")
_TEXTS = ("tx_type", "from_address", "pub_key")


class ServedResult(ComputeResult):
    """A payload as the node reads it: its nonce may be 7, "7", 7.0 or true, or not be there (0).

    The node's leaf has the nonce as an integer. That is recorded for "7" (block 38 of
    `tests/vectors/foreign_blocks.json`); the others follow the same rule of the same library,
    pydantic, and where they do not, the block's compute_root does not fit and the block says so.
    """

    nonce: int = 0


@dataclass(frozen=True)
class BlockTransaction:
    """One element of a block's `txs`. `raw` is the JSON value that the node served."""

    raw: Any

    @property
    def tx_type(self) -> str:
        """The type's name, also one that this program does not know; "" where it is no text."""
        return self._text("tx_type")

    @property
    def from_address(self) -> str:
        """The sender, "" where it is no text. Only `own` proves that it sent this."""
        return self._text("from_address")

    @property
    def to_address(self) -> str:
        """The receiver, "" where there is none or it is no text."""
        return self._text("to_address")

    @property
    def nonce(self) -> int | None:
        """The transaction's nonce, None unless it is an integer of 0 to 2^63 - 1."""
        nonce = self._fields.get("nonce")
        return nonce if type(nonce) is int and 0 <= nonce < 2**63 else None

    @property
    def is_result(self) -> bool:
        """Whether it is a SUBMIT_RESULT."""
        return self.tx_type == TxType.SUBMIT_RESULT

    @property
    def task_id(self) -> str | None:
        """The payload's task id, None where there is none."""
        payload = self._fields.get("payload")
        task_id = payload.get("task_id") if isinstance(payload, dict) else None
        return task_id if isinstance(task_id, str) else None

    def digest(self) -> bytes | None:
        """Return the hash as bytes, None where it cannot be computed."""
        return self._digest

    def hash(self) -> str | None:
        """Return the transaction's hash, 64 hex digits, None where it cannot be computed."""
        return None if self._digest is None else self._digest.hex()

    def own(self, address: str) -> Transaction | None:
        """Return the transaction if the key of `address` signed it, None for any other.

        It then is from this address, reads as a Transaction, and carries the address's public key
        with a fitting signature. The same signature can fit another reading of the digits
        (`node_client.ambiguity`), so compare all fields with what was signed.
        """
        if self.from_address != address or self.nonce is None:
            return None
        try:
            tx = Transaction.model_validate(self.raw)
            fits = address_from_public_key(tx.pub_key) == address and tx.signature_fits()
        except (ValueError, RecursionError, InvalidData):
            return None
        return tx if fits else None

    def compute_result(self) -> ComputeResult:
        """Return the payload, read as the node reads it. Raises InvalidTransaction if it is none."""
        try:
            return ServedResult.model_validate(self._fields.get("payload"))
        except (ValueError, RecursionError):
            raise InvalidTransaction(
                _(
                    "the payload is not a ComputeResult: task_id, worker_address, result_hash,"
                    " proof and signature must be there as strings, nonce as an integer"
                )
            ) from None

    @property
    def _fields(self) -> Mapping[str, Any]:
        return self.raw if isinstance(self.raw, dict) else {}

    def _text(self, name: str) -> str:
        value = self._fields.get(name)
        return value if isinstance(value, str) else ""

    @cached_property
    def _digest(self) -> bytes | None:
        fields = _OPTIONAL | dict(self._fields)
        readable = (
            all(type(fields.get(name)) is int for name in _NUMBERS)
            and all(isinstance(fields.get(name), str) for name in _TEXTS)
            and isinstance(fields["to_address"], str | None)
            and isinstance(fields["payload"], dict)
        )
        if not readable:
            return None
        try:
            return hashlib.sha256(joined_text(fields).encode()).digest()
        except (ValueError, RecursionError):  # a lone surrogate, or nested too deeply
            return None
