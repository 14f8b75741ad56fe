"""How the devnet's answers are falsified, for tests of a client's distrust.

>>> falsify(Lie.GARBAGE, "/status", b"{}")
b'<html>502 Bad Gateway</html>'
"""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

HUGE_BODY_BYTES = 10 * 1024 * 1024
OTHER_CHAIN_ID = "cpc-mainnet-1"
REDIRECTED = "/devnet/redirected"
"""Where a redirect leads: behind this prefix the same routes answer honestly."""


class Lie(StrEnum):
    """Kinds of false answer. Whatever the answer, the request was carried out, but for REDIRECT."""

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


BLOCK_LIES = {Lie.BLOCK_HASH, Lie.ALTERED_RESULT, Lie.HEIGHT, Lie.CHAIN_ID}


def concerns(kind: Lie, path: str) -> bool:
    """Whether this kind of lie has anything to do with answers to this path."""
    if kind in BLOCK_LIES:
        return path.startswith("/block/")
    if kind is Lie.TX_HASH:
        return path == "/tx/send"
    return True


def other_height(path: str) -> str:
    """The path of a neighbour of the block at `path`; the same path where it has no number."""
    digits = path.removeprefix("/block/")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return path
    height = int(digits)
    return f"/block/{height - 1 if height else 1}"


def falsify(kind: Lie, path: str, body: bytes) -> bytes | None:
    """The false body, or None where there is nothing to lie about in this one.

    HEIGHT, HALF_BODY and REDIRECT are no matter of the body alone: see `misbehaviour`.
    """
    if kind is Lie.GARBAGE:
        return b"<html>502 Bad Gateway</html>"
    if kind is Lie.HUGE_BODY:
        return body + b" " * HUGE_BODY_BYTES
    alter = _ALTERATIONS.get(kind)
    if alter is None or not concerns(kind, path):
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not alter(answer):
        return None
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _alter_state_root(block: dict[str, Any]) -> bool:
    header = block.get("header")
    if header is None:
        return False
    header["state_root"] = _other_hex(header["state_root"])
    return True


def _alter_chain_id(block: dict[str, Any]) -> bool:
    header = block.get("header")
    if header is None:
        return False
    header["chain_id"] = OTHER_CHAIN_ID
    return True


def _alter_result(block: dict[str, Any]) -> bool:
    for tx in block.get("txs", []):
        if tx["tx_type"] == "SUBMIT_RESULT":
            tx["payload"]["result_hash"] = _other_hex(tx["payload"]["result_hash"])
            return True
    return False


def _alter_tx_hash(answer: dict[str, Any]) -> bool:
    if "tx_hash" not in answer:
        return False
    answer["tx_hash"] = _other_hex(answer["tx_hash"])
    return True


_ALTERATIONS: dict[Lie, Callable[[dict[str, Any]], bool]] = {
    Lie.BLOCK_HASH: _alter_state_root,
    Lie.CHAIN_ID: _alter_chain_id,
    Lie.ALTERED_RESULT: _alter_result,
    Lie.TX_HASH: _alter_tx_hash,
}


def _other_hex(text: str) -> str:
    """The same text with another first character."""
    return ("0" if text[:1] != "0" else "1") + text[1:]
