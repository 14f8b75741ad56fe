"""Transactions and the ComputeResult that a SUBMIT_RESULT carries, as the node reads them.

draft = Transaction(tx_type="TRANSFER", from_address="cpc1...", amount=1, nonce=0)
signed = draft.signed_by(key)
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from gettext import gettext as _
from typing import Annotated, Any, Self

from msgspec.json import Encoder
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey, verify_digest


class TxType(StrEnum):
    """The kinds of transaction that the January 2026 node takes."""

    TRANSFER = "TRANSFER"
    STAKE = "STAKE"
    UNSTAKE = "UNSTAKE"
    SUBMIT_RESULT = "SUBMIT_RESULT"
    UPDATE_VALIDATOR = "UPDATE_VALIDATOR"
    DELEGATE = "DELEGATE"
    UNDELEGATE = "UNDELEGATE"
    UNJAIL = "UNJAIL"


BASE_GAS = {
    TxType.TRANSFER: 21_000,
    TxType.STAKE: 40_000,
    TxType.UNSTAKE: 40_000,
    TxType.SUBMIT_RESULT: 80_000,
    TxType.UPDATE_VALIDATOR: 30_000,
    TxType.DELEGATE: 35_000,
    TxType.UNDELEGATE: 35_000,
    TxType.UNJAIL: 50_000,
}

_json = Encoder()
_sorted_json = Encoder(order="sorted")

NonNegative = Annotated[StrictInt, Field(ge=0)]


class ComputeResult(BaseModel):
    """The payload of a SUBMIT_RESULT. Field order is the order in the block's compute leaf."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: StrictStr
    worker_address: StrictStr
    result_hash: StrictStr
    proof: StrictStr
    nonce: StrictInt = 0
    signature: StrictStr

    def hash(self) -> str:
        """Return the leaf of the block's compute root: SHA-256 of compact UTF-8 JSON, as hex."""
        values = self.model_dump()
        if abs(self.nonce) < 2**63:
            with suppress(UnicodeEncodeError):  # of a lone surrogate, which `digest_of` refuses
                return hashlib.sha256(_json.encode(values)).hexdigest()
        return digest_of(json.dumps(values, separators=(",", ":"), ensure_ascii=False)).hex()

    def signing_digest(self) -> bytes:
        """Return what the worker's own signature covers: SHA-256 of the joined fields.

        The chain names the fields and neither checks the signature nor states digest and encoding;
        ours are SHA-256, and r || s in hex.
        """
        text = f"{self.task_id}{self.worker_address}{self.result_hash}{self.proof}{self.nonce}"
        return digest_of(text)

    def signed_by(self, key: PrivateKey) -> Self:
        """Return a copy with the worker's signature."""
        return self.model_copy(update={"signature": key.sign_digest(self.signing_digest())})


class Transaction(BaseModel):
    """A transaction as the node's JSON has it. Amounts and fees in units of 10^-18 CPC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tx_type: TxType
    from_address: StrictStr
    to_address: StrictStr | None = None
    amount: NonNegative
    fee: NonNegative = 0
    nonce: NonNegative
    signature: StrictStr = ""
    pub_key: StrictStr = ""
    payload: dict[str, Any] = Field(default_factory=dict)
    gas_price: NonNegative = 0
    gas_limit: NonNegative = 0

    @property
    def base_gas(self) -> int:
        """Gas that the node takes for this kind of transaction, whatever the limit says."""
        return BASE_GAS[self.tx_type]

    def signing_text(self) -> str:
        """Return the text whose SHA-256 is both hash and signed digest. Nothing separates numbers."""
        return joined_text(dict(self))

    def digest(self) -> bytes:
        """Return the SHA-256 of the signing text, 32 bytes."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return digest_of(self.signing_text())

    def __copy__(self) -> Self:
        """Return a copy that may be given other values: it has no digest yet."""
        copied = super().__copy__()
        copied.__dict__.pop("_digest", None)
        return copied

    def hash(self) -> str:
        """Return the transaction's hash, 64 hex digits."""
        return self.digest().hex()

    def signed_by(self, key: PrivateKey) -> Self:
        """Return a copy with public key and signature; `from_address` must be the key's.

        This signs whatever it is given. `node_client.ambiguity.sign_safely` is what programs call.
        """
        if key.address != self.from_address:
            raise InvalidTransaction(
                _("{from_address} is not the address of {key!r}").format(
                    from_address=self.from_address, key=key
                )
            )
        with_key = self.model_copy(update={"pub_key": key.public_key})
        digest = with_key.digest()
        signed = with_key.model_copy(update={"signature": key.sign_digest(digest)})
        signed.__dict__["_digest"] = digest  # the signature is no part of it
        return signed

    def signature_fits(self) -> bool:
        """Return whether the signature is the public key's over this transaction."""
        return verify_digest(self.pub_key, self.digest(), self.signature)

    def compute_result(self) -> ComputeResult:
        """Return the payload of a SUBMIT_RESULT. Raises InvalidTransaction if it is not one."""
        try:
            return ComputeResult.model_validate(self.payload)
        except ValueError:
            raise InvalidTransaction(
                _(
                    "the payload is not a ComputeResult: task_id, worker_address, result_hash,"
                    " proof and signature must be there as strings, nonce as an integer"
                )
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Return the body of POST /tx/send."""
        return self.model_dump(mode="json")


def joined_text(fields: Mapping[str, Any]) -> str:
    """Return the text whose SHA-256 is a transaction's hash, from the values of all its fields."""
    payload = sorted_json(fields["payload"])
    return (
        f"{fields['tx_type']}{fields['from_address']}{fields['to_address'] or ''}"
        f"{fields['amount']}{fields['fee']}{fields['nonce']}"
        f"{fields['gas_price']}{fields['gas_limit']}{payload}{fields['pub_key']}"
    )


def sorted_json(payload: dict[str, Any]) -> str:
    """Return what `json.dumps` gives with sorted keys and no spaces.

    A result's payload, which holds a proof of kilobytes, is written in a seventh of the time.
    """
    if not is_plain(payload):
        return json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return _sorted_json.encode(payload).decode()


def is_plain(values: Mapping[str, Any]) -> bool:
    """Whether there are only texts and numbers that all encoders of JSON write alike.

    They differ beyond ASCII, in one of its characters, and beyond 63 bits.
    """
    return all(
        _is_plain(name)
        and (_is_plain(value) if type(value) is str else type(value) is int and abs(value) < 2**63)
        for name, value in values.items()
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and "\x7f" not in text


def digest_of(text: str) -> bytes:
    """Return the SHA-256 of a text in UTF-8. Raises InvalidTransaction for a lone surrogate."""
    try:
        return hashlib.sha256(text.encode()).digest()
    except UnicodeEncodeError:
        raise InvalidTransaction(_("a lone surrogate stands in the text")) from None
