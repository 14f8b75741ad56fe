"""A receipt as a file: one JSON object in its canonical form, signed by the validator.

    {"body": {...}, "signature": r || s in hex, over T("cpc/receipt", the body's canonical text)}

Numbers are integers; fractions are text. The body's `validator` has the public key and its address.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from gettext import gettext as _
from typing import Annotated, Any, Literal

from msgspec import Meta, MsgspecError, Raw, Struct, convert, to_builtins
from msgspec.json import Encoder
from msgspec.structs import replace

from engine.poc_protocol.digests import is_signed_by, payload_digest
from engine.poc_protocol.strict_json import NotJson, canonical, parse
from engine.runtime.errors import BadInput
from kernels.digest import tagged_hash
from kernels.seeded import draw
from node_client.keys import PrivateKey

RECEIPT_TAG = "cpc/receipt"
VERSION = 1
MOST_BYTES = 16 << 20
MOST_ROWS = 64
"""Rows of a check that are listed; where more were drawn, the seed and their number say which."""

Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Number = Annotated[int, Meta(ge=0, lt=2**53)]
Text = Annotated[str, Meta(max_length=300, pattern=r"\A[ -~]*\Z")]
Amount = Annotated[str, Meta(pattern=r"\A[0-9]{1,30}(\.[0-9]{1,18})?\Z")]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """What every part of a receipt is."""


class Validator(Part, frozen=True):
    """Who signed it."""

    address: Text
    public_key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{66}\Z")]


class Bytes(Part, frozen=True):
    """Bytes, by their SHA-256 and size. `inline`: they came in the payload itself."""

    sha256: Hex32
    size: Number
    inline: bool = False


class Matrix(Part, frozen=True):
    """The form of a result that is a matrix: `entry_bytes` 1 (int8) or 4 (int32)."""

    rows: Number
    columns: Number
    entry_bytes: Literal[1, 4]


class Layer(Part, frozen=True):
    """A product layer that the result commits to: its columns, and the root over these alone."""

    node: Number
    first: Number
    columns: Number
    root: Hex32


class Check(Part, frozen=True):
    """A check that the result passed.

    `what`: proof, hash, samples, layers, product, claim, leaves, whole or second. `count` rows were
    drawn from the `seed`; `rows` lists them, where they are few. `leaves` of the result were opened.
    """

    by: Text
    what: Text
    seed: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
    count: Number
    rows: Annotated[list[Number], Meta(max_length=MOST_ROWS)]
    leaves: Annotated[list[Number], Meta(max_length=1024)]


class Worker(Part, frozen=True):
    """A worker with this result, its part of the reward, and what it signed; null for a guest."""

    address: Text
    job_id: Text
    reward: Amount
    nonce: Hex32 | None
    public_key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{66}\Z")] | None
    signature: Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")] | None


class Times(Part, frozen=True):
    """Unix milliseconds by the validator's clock."""

    posted: Number
    sent: Number
    committed: Number
    closed: Number


class Body(Part, frozen=True):
    """What is signed. `payload` has `Bytes` in place of data; `payload_sha256` is of the real one."""

    version: Literal[1]
    chain_id: Text
    validator: Validator
    task_id: Text
    job_id: Text
    kind: Text
    payload: dict[str, Any]
    payload_sha256: Hex32
    result_hash: Hex32
    proof_sha256: Hex32
    output: Bytes | None
    matrix: Matrix | None
    layers: Annotated[list[Layer], Meta(max_length=2048)]
    checks: Annotated[list[Check], Meta(max_length=16)]
    policy: dict[str, Text]
    reward: Amount
    workers: Annotated[list[Worker], Meta(min_length=1, max_length=2)]
    times: Times

    def bytes_of(self, name: str) -> Bytes | None:
        """Return what the payload says of a field with data; None where it is not one."""
        try:
            return convert(self.payload.get(name), Bytes)
        except MsgspecError:
            return None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt and its signature, which may or may not fit."""

    body: Body
    signature: str

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return _file_of(canonical(to_builtins(self.body)), self.signature)


def digest_of(body: Body) -> bytes:
    """Return what is signed, 32 bytes."""
    return _digest_of_text(canonical(to_builtins(body)))


def sign_receipt(body: Body, key: PrivateKey) -> Receipt:
    """Return the receipt; `body.validator` must be the key's."""
    return Receipt(body, key.sign_digest(digest_of(body)))


def signed_file(body: Body, payload: str, key: PrivateKey) -> bytes:
    """Return the file of the receipt that `sign_receipt` gives.

    `payload`: the canonical text of the body's; `body.payload` is not looked at.
    """
    text = _sorted(replace(body, payload=Raw(payload.encode()))).decode()
    return _file_of(text, key.sign_digest(_digest_of_text(text)))


_sorted = Encoder(order="sorted").encode
"""The canonical form of what has neither fractions nor other letters than ASCII's, at once."""


def _digest_of_text(text: str) -> bytes:
    return tagged_hash(RECEIPT_TAG, text.encode())


def _file_of(text: str, signature: str) -> bytes:
    """Return the canonical JSON of both, and a new line. `text`: the body's."""
    return f'{{"body":{text},"signature":{canonical(signature)}}}\n'.encode()


def read_receipt(content: bytes) -> Receipt:
    """Return the receipt in a file, its signature unchecked. Raises BadInput."""
    return receipt_of(read_document(content, _("a receipt")))


def read_document(content: bytes, what: str) -> Any:
    """Return the JSON in a file of ours. Raises BadInput unless it is in its canonical form."""
    try:
        if len(content) > MOST_BYTES:
            raise NotJson(_("it has more than {most} bytes").format(most=MOST_BYTES))
        value = parse(content)
        if canonical(value).encode() != content.rstrip(b"\n"):
            raise NotJson(_("it is not in its canonical form"))
    except ValueError as error:
        raise _not_one(what, error) from None
    return value


def receipt_of(value: Any) -> Receipt:
    """Return the receipt that this JSON is. Raises BadInput."""
    try:
        if not isinstance(value, dict) or set(value) != {"body", "signature"}:
            raise NotJson(_("it must have body and signature"))
        if not re.fullmatch("[0-9a-f]{128}", str(value["signature"]), re.ASCII):
            raise NotJson(_("its signature is not 128 hex digits"))
        return Receipt(convert(value["body"], Body), value["signature"])
    except (MsgspecError, ValueError) as error:
        raise _not_one(_("a receipt"), error) from None


def faults_of(receipt: Receipt, validator: str | None = None) -> list[str]:
    """Return what is wrong with a receipt by itself, in sentences; `validator`: whose it must be."""
    body, faults = receipt.body, []
    signer = body.validator
    if not is_signed_by(signer.public_key, signer.address, digest_of(body), receipt.signature):
        faults.append(_("signature: it is not {address}'s").format(address=signer.address))
    if validator is not None and validator not in (signer.address, signer.public_key):
        said = _("validator: it is {address}, not {wanted}")
        faults.append(said.format(address=signer.address, wanted=validator))
    inline = [name for name in body.payload if getattr(body.bytes_of(name), "inline", False)]
    if not inline and payload_digest(body.payload).hex() != body.payload_sha256:
        faults.append(_("payload: its SHA-256 is not payload_sha256"))
    faults += [
        _("checks: the rows of {what} are not those that its seed draws").format(what=check.what)
        for check in body.checks
        if not _rows_fit(check, body)
    ]
    return faults


def _rows_fit(check: Check, body: Body) -> bool:
    if not check.seed or body.matrix is None or check.count > body.matrix.rows:
        return not check.count and not check.rows
    return check.rows == listed_rows(check.seed, body.matrix.rows, check.count)


def listed_rows(seed: str, of: int, count: int) -> list[int]:
    """Return the rows that a check lists: those that its seed draws, where they are few."""
    return draw(bytes.fromhex(seed), of, count) if count <= MOST_ROWS else []


def text_sha256(text: str) -> str:
    """Return H of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _not_one(what: str, error: object) -> BadInput:
    reason = json.dumps(str(error)[:200])[1:-1]
    return BadInput(_("this is not {what}: {error}").format(what=what, error=reason))
