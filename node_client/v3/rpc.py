"""The questions to a v3 node, each one HTTP exchange with one node, by CometBFT's public RPC.

    tip = status(node)                           # /status
    account = account_of(node, address)          # /abci_query, path /account/ADDRESS
    block = block_at(node, 17)                   # /block
    tx_hash = broadcast(node, signed)            # /broadcast_tx_sync

`NodeClient.ask` puts them to one of several nodes. Everything raised is a NodeError, or Refused.
There is no proof of an account's state: balance and nonce are the node's word.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from gettext import gettext as _
from typing import Any

from node_client.address import check_address
from node_client.errors import (
    AlreadyInPool,
    BadResponse,
    InsufficientBalance,
    NodeNotReady,
    NotFound,
    Refused,
    UnknownRefusal,
)
from node_client.refusals import shorten
from node_client.responses import Account, reason_of
from node_client.transport import SMALL_BODY, HttpNode
from node_client.v3.answers import (
    BlockResult,
    BroadcastResult,
    QueryResult,
    RpcError,
    StatusResult,
    parse_account,
    parse_envelope,
    transaction_json,
)
from node_client.v3.transfer import Transfer

MAX_BLOCK_BODY = 8 * 2**20
"""Bound, in bytes, of a block's JSON: the network's blocks have 2 MiB at most, 2.8 MB as base64."""


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a node stands. `last_hash` in lower-case hex; `time` as CometBFT writes it."""

    chain_id: str
    height: int
    last_hash: str
    time: str
    catching_up: bool


@dataclass(frozen=True, slots=True)
class Block:
    """A block. It is final once it is there; `app_hash` is the state after the block before."""

    chain_id: str
    height: int
    hash: str
    time: str
    proposer: str
    app_hash: str
    data_hash: str
    txs: list[bytes]

    def transaction_hashes(self) -> list[str]:
        """Return the hashes of the transactions: SHA-256 of their bytes."""
        return [hashlib.sha256(raw).hexdigest() for raw in self.txs]

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary; transactions as their JSON, or in hex."""
        found = zip(self.transaction_hashes(), self.txs, strict=True)
        return asdict(self) | {
            "txs": [{"hash": tx_hash, "tx": transaction_json(raw)} for tx_hash, raw in found]
        }


def status(node: HttpNode) -> Tip:
    """Return where the node stands."""
    found = _ask(node, "/status", StatusResult.model_validate)
    sync = found.sync_info
    return Tip(
        found.node_info.network,
        sync.latest_block_height,
        sync.latest_block_hash.lower(),
        sync.latest_block_time,
        sync.catching_up,
    )


def account_of(node: HttpNode, address: str) -> Account:
    """Return balance, in units, and next nonce; zeros for an unknown account."""
    check_address(address)

    def parse(value: Any) -> Account:
        answer = QueryResult.model_validate(value).response
        if answer.code != 0:
            raise ValueError(answer.log or _("the query was refused"))
        said = parse_account(answer.value)
        return Account(address, said.balance, said.nonce)

    return _ask(node, f"/abci_query?path=%22/account/{address}%22", parse)


def block_at(node: HttpNode, height: int) -> Block:
    """Return the block at `height`. Its hash is the node's word. Raises NotFound."""

    def parse(value: Any) -> Block:
        found = BlockResult.model_validate(value)
        header = found.block.header
        if header.height != height:
            raise ValueError(
                _("it is block {found}, not {height}").format(found=header.height, height=height)
            )
        return Block(
            chain_id=header.chain_id,
            height=height,
            hash=found.block_id.hash.lower(),
            time=header.time,
            proposer=header.proposer_address.lower(),
            app_hash=header.app_hash.lower(),
            data_hash=header.data_hash.lower(),
            txs=found.block.data.txs or [],
        )

    return _ask(node, f"/block?height={height}", parse, limit=MAX_BLOCK_BODY)


def broadcast(node: HttpNode, tx: Transfer) -> str:
    """Hand a signed transfer in, and return its hash. Taken is not included: a block proves it.

    The same bytes may be sent again: the nonce lets them in once. Raises Refused or NodeError.
    """
    tx.check()
    found = _ask(node, f"/broadcast_tx_sync?tx=0x{tx.raw().hex()}", BroadcastResult.model_validate)
    if found.hash.lower() != tx.hash():
        raise BadResponse(
            _("{name} answered for another transaction, {tx_hash}").format(
                name=node.name, tx_hash=found.hash.lower()
            )
        )
    if found.code != 0:
        raise _refusal(found.log)
    return tx.hash()


def _ask[T](node: HttpNode, path: str, parse: Callable[[Any], T], *, limit: int = SMALL_BODY) -> T:
    """Ask for `path`. An error comes with HTTP 200 or 500, and JSON-RPC's envelope in both."""
    response = node.exchange("GET", path, limit=limit)
    if response.status == 503:
        raise NodeNotReady(_("{name} is not ready (503)").format(name=node.name))
    if response.status not in (200, 500):
        raise BadResponse(
            _("{name} answered {answer}").format(name=node.name, answer=response.status)
        )
    try:
        found = parse_envelope(response.body)
        if not isinstance(found, RpcError):
            return parse(found)
    except (ValueError, RecursionError) as error:
        reason = reason_of(error)
        raise BadResponse(
            _("{name} gave a wrong answer: {reason}").format(name=node.name, reason=reason)
        ) from None
    raise _failure(node, found)


def _failure(node: HttpNode, error: RpcError) -> Exception:
    said = shorten(f"{error.message}: {error.data}" if error.data else error.message)
    if "already exists in cache" in said:
        return AlreadyInPool(said)
    if "current blockchain height" in said or "is not available, lowest height" in said:
        return NotFound(f"{node.name}: {said}")
    return BadResponse(_("{name} answered {answer}").format(name=node.name, answer=said))


def _refusal(log: str) -> Refused:
    """The exception for the application's reason to refuse a transaction."""
    said = shorten(log) or _("no reason given")
    if said == "insufficient balance":
        return InsufficientBalance(said)
    if said == "invalid nonce":
        advice = _(
            "Another transaction of this account was faster: send again after the next block."
        )
        return UnknownRefusal(said, advice=advice)
    return UnknownRefusal(said)
