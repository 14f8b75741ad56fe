"""How the devnet's answers are falsified, for tests of a client's distrust.

>>> falsify(Telling(Lie.NONCE, value=2**63), "/nonce/cpc1...", b'{"nonce": 3}')
b'{"nonce":9223372036854775808}'
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from node_client.errors import InvalidData

HUGE_BODY_BYTES = 10 * 1024 * 1024
OTHER_CHAIN_ID = "cpc-mainnet-1"
REDIRECTED = "/devnet/redirected"
"""Where a redirect leads: behind this prefix the same routes answer honestly."""


class Lie(StrEnum):
    """Kinds of false answer. What was asked is carried out, but for REDIRECT and REFUSAL's kind.

    Where a kind takes a `value`, it may be anything that JSON has: no type, no bound is checked.
    """

    BLOCK_HASH = "block_hash"
    """GET /block: state_root altered; roots fit, but hash, links and signature do not."""
    ALTERED_RESULT = "altered_result"
    """GET /block: the first result's result_hash altered; the roots do not fit."""
    HEIGHT = "height"
    """GET /block: an honest block of another height (the one below; for 0 the one above)."""
    CHAIN_ID = "chain_id"
    """GET /block: another chain_id, nothing else. An honest other chain has its own server."""
    TX_HASH = "tx_hash"
    """POST /tx/send: another transaction's hash."""
    GARBAGE = "garbage"
    """Any: HTML with status 200, called JSON."""
    HALF_BODY = "half_body"
    """Any: content-length is right, and the connection ends after half of it."""
    HUGE_BODY = "huge_body"
    """Any: the true answer, followed by 10 MiB of spaces."""
    REDIRECT = "redirect"
    """Any: 307 to a place that gives the true answer; Faults counts who goes there."""
    NONCE = "nonce"
    """GET /nonce and GET /balance: the nonce is `value`. `path` keeps it to one of them."""
    BALANCE = "balance"
    """GET /balance: the balance is `value`; a number becomes the string that the node sends."""
    TIP = "tip"
    """GET /status: the height is `value`, all else is true."""
    BEHIND = "behind"
    """GET /status and GET /block: the node stands `value` blocks behind, always."""
    REFUSAL = "refusal"
    """POST /tx/send: rejected with the text `value`; nothing is carried out."""
    LEAST_PRICE = "least_price"
    """POST /tx/send: `gas_price G < min value`, where G is less; such a one is not carried out."""
    NOTHING_KEPT = "nothing_kept"
    """POST /tx/send: received, whatever it is, and nothing is kept of it."""


_WITH_VALUE = {Lie.NONCE, Lie.BALANCE, Lie.TIP, Lie.BEHIND, Lie.REFUSAL, Lie.LEAST_PRICE}

_PATHS: dict[Lie, tuple[str, ...]] = {
    Lie.BLOCK_HASH: ("/block/",),
    Lie.ALTERED_RESULT: ("/block/",),
    Lie.HEIGHT: ("/block/",),
    Lie.CHAIN_ID: ("/block/",),
    Lie.TX_HASH: ("/tx/send",),
    Lie.NONCE: ("/nonce/", "/balance/"),
    Lie.BALANCE: ("/balance/",),
    Lie.TIP: ("/status",),
    Lie.BEHIND: ("/status", "/block/"),
    Lie.REFUSAL: ("/tx/send",),
    Lie.LEAST_PRICE: ("/tx/send",),
    Lie.NOTHING_KEPT: ("/tx/send",),
}

PLAIN_LIES = tuple(kind for kind in Lie if kind not in _WITH_VALUE | {Lie.NOTHING_KEPT})
"""The kinds that say themselves what they say, and after which an honest answer mends all."""


@dataclass(slots=True)
class Telling:
    """A lie, how often it is still told (None: always), and to whom: paths that begin with `path`."""

    kind: Lie
    times: int | None = None
    path: str = ""
    value: Any = None

    def __post_init__(self) -> None:
        """Raise InvalidData for a kind that lacks its value, or has one and no use for it."""
        if (self.kind in _WITH_VALUE) is (self.value is None):
            needs = "needs a value" if self.kind in _WITH_VALUE else "has no use for a value"
            raise InvalidData(f"the lie {self.kind} {needs}")

    def concerns(self, path: str) -> bool:
        """Whether answers to this path are to be falsified, as far as the path tells."""
        if self.times == 0 or not path.startswith(self.path):
            return False
        return path.startswith(_PATHS.get(self.kind, ("",)))


def other_height(path: str) -> str:
    """The path of a neighbour of the block at `path`; the same path where it has no number."""
    digits = path.removeprefix("/block/")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return path
    height = int(digits)
    return f"/block/{height - 1 if height else 1}"


def falsify(telling: Telling, path: str, body: bytes) -> bytes | None:
    """Return the false body, or None where there is nothing to lie about in this one.

    HEIGHT, HALF_BODY and REDIRECT are no matter of the body alone: see `misbehaviour`; nor are
    BEHIND and what concerns POST /tx/send: see `node`.
    """
    if telling.kind is Lie.GARBAGE:
        return b"<html>502 Bad Gateway</html>"
    if telling.kind is Lie.HUGE_BODY:
        return body + b" " * HUGE_BODY_BYTES
    alter = _ALTERATIONS.get(telling.kind)
    if alter is None or not telling.concerns(path):
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not alter(answer, telling.value):
        return None
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


Answer = dict[str, Any]


def _alter_state_root(block: Answer, _value: Any) -> bool:
    header = block.get("header")
    if header is None:
        return False
    header["state_root"] = _other_hex(header["state_root"])
    return True


def _alter_chain_id(block: Answer, _value: Any) -> bool:
    header = block.get("header")
    if header is None:
        return False
    header["chain_id"] = OTHER_CHAIN_ID
    return True


def _alter_result(block: Answer, _value: Any) -> bool:
    for tx in block.get("txs", []):
        if tx["tx_type"] == "SUBMIT_RESULT":
            tx["payload"]["result_hash"] = _other_hex(tx["payload"]["result_hash"])
            return True
    return False


def _alter_tx_hash(answer: Answer, _value: Any) -> bool:
    if "tx_hash" not in answer:
        return False
    answer["tx_hash"] = _other_hex(answer["tx_hash"])
    return True


def _setter(field: str) -> Callable[[Answer, Any], bool]:
    def alter(answer: Answer, value: Any) -> bool:
        if field not in answer:
            return False
        answer[field] = value
        return True

    return alter


def _alter_balance(answer: Answer, value: Any) -> bool:
    return _setter("balance")(answer, str(value) if type(value) is int else value)


_ALTERATIONS: dict[Lie, Callable[[Answer, Any], bool]] = {
    Lie.BLOCK_HASH: _alter_state_root,
    Lie.CHAIN_ID: _alter_chain_id,
    Lie.ALTERED_RESULT: _alter_result,
    Lie.TX_HASH: _alter_tx_hash,
    Lie.NONCE: _setter("nonce"),
    Lie.BALANCE: _alter_balance,
    Lie.TIP: _setter("height"),
}


def _other_hex(text: str) -> str:
    """The same text with another first character."""
    return ("0" if text[:1] != "0" else "1") + text[1:]
