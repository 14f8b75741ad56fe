"""One request to one node, and its response, checked.

    status = get(node, "/status", NodeStatus.model_validate)
    block = get_block(node, 17, limit=2**20)
    tx_hash = post_transaction(node, signed)

A response is never believed as it is: it is bounded (`transport.py`), read strictly (`responses.py`),
and must be for what was asked. Everything raised is a NodeError, or Refused. Which node to ask, and
how often, is `rpc.py`'s to say.
"""

from collections.abc import Callable, Sequence
from gettext import gettext as _
from typing import Any

from node_client.block import Block
from node_client.block_body import read_block
from node_client.errors import (
    BadResponse,
    InvalidData,
    Malformed,
    NodeError,
    NodeNotReady,
    NotFound,
    Refused,
    TakesNoResults,
)
from node_client.refusals import refusal, shorten
from node_client.responses import (
    Account,
    BalanceResponse,
    NodeStatus,
    NonceResponse,
    SendResponse,
    parse_json,
    reason_of,
)
from node_client.transaction import Transaction
from node_client.transport import SMALL_BODY, HttpNode, HttpResponse
from node_client.v3.answers import chain_of, is_comet


def get[T](
    node: HttpNode,
    path: str,
    parse: Callable[[Any], T],
    *,
    limit: int = SMALL_BODY,
    always: bool = False,
) -> T:
    """Ask for `path`, and return what `parse` makes of the JSON of at most `limit` bytes.

    `parse` raises ValueError or InvalidData for JSON that is not a valid answer. `always`: whether
    every node has an answer, so that 404 is a wrong one and not NotFound. Raises NodeError.
    """
    response = node.exchange("GET", path, limit=limit)
    if response.status == 404 and always:
        raise BadResponse(_("{name} has no {path} (404)").format(name=node.name, path=path))
    return _parsed(_ok_body(response, node), node, parse)


def get_block(node: HttpNode, height: int, *, limit: int) -> Block:
    """Return the block at `height`, its signature its proposer's; `fault` says what is wrong with it.

    `limit` in bytes of JSON; of a larger block only the header is read, and no signature is seen.
    Raises NodeError, NotFound among them.
    """
    response = node.exchange("GET", f"/block/{height}", limit=limit, cut=True)
    body = _ok_body(response, node)
    try:
        block = read_block(body, cut=response.cut)
        _check_place(block, height)
    except ValueError as error:
        reason = reason_of(error)
    else:
        return block
    raise _wrong_answer(node, reason)


def get_status(node: HttpNode) -> NodeStatus:
    """Return the node's tip and what it says of itself. Raises NodeError.

    A node of the v3 network raises TakesNoResults; one that has no block yet says -1, and is not
    ready.
    """

    def parse(value: Any) -> NodeStatus:
        if is_comet(value):
            raise TakesNoResults(
                _(
                    "{name} is a CometBFT node of chain {chain_id}: this network takes no results yet"
                ).format(name=node.name, chain_id=chain_of(value))
            )
        return NodeStatus.model_validate(value)

    status = get(node, "/status", parse, always=True)
    if status.height < 0:
        raise NodeNotReady(
            _("{name} is not ready: it has no block yet, it starts or syncs").format(name=node.name)
        )
    return status


def get_account(node: HttpNode, address: str) -> Account:
    """Return balance and confirmed nonce of a checked address. Raises NodeError."""

    def parse(value: Any) -> Account:
        answer = BalanceResponse.model_validate(value)
        check_echo(answer.address, address)
        return Account(address, int(answer.balance), answer.nonce)

    return get(node, f"/balance/{address}", parse, always=True)


def get_nonce(node: HttpNode, address: str, *, pending: bool) -> int:
    """Return the next free nonce of a checked address, or the confirmed one. Raises NodeError."""

    def parse(value: Any) -> int:
        answer = NonceResponse.model_validate(value)
        check_echo(answer.address, address)
        check_echo(answer.pending, pending)
        return answer.nonce

    path = f"/nonce/{address}{'' if pending else '?pending=false'}"
    return get(node, path, parse, always=True)


def post_transaction(node: HttpNode, tx: Transaction) -> str:
    """Hand a signed transaction in, once, and return its hash. Raises Refused or NodeError."""
    response = node.exchange("POST", "/tx/send", limit=SMALL_BODY, body=_sent(tx))
    return _accepted(response, node, tx)


def post_transactions(
    node: HttpNode, txs: Sequence[Transaction]
) -> tuple[list[str | Refused], NodeError | None]:
    """Hand signed transactions in, in this order; return what the node says of each, and a failure.

    A hash where it took it. Of those behind the last answer it is not known whether they arrived,
    unless the failure says `nothing_sent`.
    """
    responses, failure = node.post_all("/tx/send", [_sent(tx) for tx in txs], limit=SMALL_BODY)
    said: list[str | Refused] = []
    for response, tx in zip(responses, txs, strict=False):
        try:
            said.append(_accepted(response, node, tx))
        except Refused as refused:
            said.append(refused)
        except NodeError as error:
            return said, error
    return said, failure


def _sent(tx: Transaction) -> bytes:
    return tx.model_dump_json().encode()


def _accepted(response: HttpResponse, node: HttpNode, tx: Transaction) -> str:
    if response.status in (400, 422):
        raise Malformed(_detail(response) or f"HTTP {response.status}")
    said = _parsed(_ok_body(response, node), node, SendResponse.model_validate)
    tx_hash = tx.hash()
    if said.tx_hash != tx_hash:
        raise BadResponse(
            _("{name} answered for another transaction, {tx_hash}").format(
                name=node.name, tx_hash=said.tx_hash
            )
        )
    if said.status == "rejected":
        raise refusal(said.error or "")
    return tx_hash


def check_echo(said: object, asked: object) -> None:
    """Raise ValueError where the response is for something else than what was asked."""
    if said != asked:
        raise ValueError(
            shorten(_("it is for {said!r}, not for {asked!r}").format(said=said, asked=asked))
        )


def _ok_body(response: HttpResponse, node: HttpNode) -> bytes:
    """Return a 200's body. Raises NodeNotReady, NotFound or BadResponse for every other status."""
    match response.status:
        case 200:
            return response.body
        case 503:
            raise NodeNotReady(_("{name} is not ready (503)").format(name=node.name))
        case 404:
            raise NotFound(f"{node.name}: {_detail(response) or _('not found')} (404)")
        case status:
            said = _detail(response)
            raise BadResponse(
                _("{name} answered {answer}").format(
                    name=node.name, answer=f"{status}: {said}" if said else status
                )
            )


def _parsed[T](body: bytes, node: HttpNode, parse: Callable[[Any], T]) -> T:
    try:
        return parse(parse_json(body))
    except (ValueError, RecursionError, InvalidData) as error:
        reason = reason_of(error)
    raise _wrong_answer(node, reason)


def _wrong_answer(node: HttpNode, reason: str) -> BadResponse:
    return BadResponse(
        _("{name} gave a wrong answer: {reason}").format(name=node.name, reason=reason)
    )


def _check_place(block: Block, height: int) -> None:
    """Raise ValueError where it is another block, or not its proposer's."""
    if block.height != height:
        raise ValueError(
            _("it is block {found}, not {height}").format(found=block.height, height=height)
        )
    not_read = block.pq_signature is None
    unsigned_genesis = height == 0 and not block.pq_signature
    if not (not_read or unsigned_genesis or block.signature_fits()):
        raise ValueError(_("its signature is not its proposer's"))


def _detail(response: HttpResponse) -> str:
    """The reason in an error's body, shortened: `detail` as FastAPI has it, else nothing."""
    try:
        detail = parse_json(response.body)["detail"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""
    if isinstance(detail, str):
        return shorten(detail)
    if not isinstance(detail, list):
        return ""
    return shorten("; ".join(_complaint(item) for item in detail[:5]))


def _complaint(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    where, what = item.get("loc"), item.get("msg")
    place = ".".join(str(part)[:40] for part in where[:5]) if isinstance(where, list) else ""
    return f"{place}: {what[:80]}" if isinstance(what, str) else place
