"""What every `tx` command does with its draft: price and nonce, sign, send, wait, say.

deliver(context, nodes, files, key, draft, price, _("Sent ..."), json)
deliver_in_parts(..., _("Sent ..."), "cpc-engine tx send cpc1... {cpc}", json)     # 1.5 as 1 and 0.5
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import KeyFiles, NodeOptions, say, say_json
from engine.cli.waiting import sign_of_life
from engine.runtime.settings import setting
from engine.txmgr.options import GasOptions

if TYPE_CHECKING:
    from engine.txmgr.one_off import HandSender
    from node_client.errors import NodeClientError
    from node_client.keys import PrivateKey
    from node_client.rpc import NodeClient
    from node_client.transaction import Transaction
    from node_client.v3.transfer import Transfer

From = Annotated[str, typer.Option("--from", help=_("Name of the key that pays."))]


@dataclass(frozen=True, kw_only=True)
class PriceOptions(GasOptions):
    """What a transaction may cost, its nonce, and how long its block is waited for."""

    nonce: int | None = setting(
        None,
        _("The account's next nonce, at your word. [what blocks and nodes prove]"),
        least=0,
    )
    accept_burn: str | None = setting(
        None, _("CPC that a lying node may burn, where digits can be read in two ways. [none]")
    )
    wait: float = setting(0.0, _("Seconds to wait until it is in a block; 0: do not wait."))


def deliver(
    context: typer.Context,
    nodes: NodeOptions,
    files: KeyFiles,
    key: "PrivateKey",
    draft: "Transaction",
    price: PriceOptions,
    said: str,
    json: bool,
) -> None:
    """Sign and send `draft`, whose nonce, price, limit and fee are chosen here; say what became of it.

    `said`: the sentence for a person once a node has it. Raises the wings' errors.
    """
    sender, start = _sender(context, nodes, files, key, price)
    (tx,) = sender.send(draft)
    height = None
    if price.wait > 0:
        height = _wait(nodes.connect(context), [tx], start, price).get(tx.nonce)
    say_sent(tx, said, height, price.wait, json)


def deliver_in_parts(
    context: typer.Context,
    nodes: NodeOptions,
    files: KeyFiles,
    key: "PrivateKey",
    draft: "Transaction",
    price: PriceOptions,
    said: str,
    again: str,
    json: bool,
) -> None:
    """As `deliver`, in one-digit parts where the amount's digits could be read otherwise.

    `again`: the command for what was not sent, with {cpc} for the amount. An error in the middle has
    in its advice what was sent, what was not, and that command.
    """
    from node_client.errors import NodeClientError
    from node_client.networks import format_cpc

    sender, start = _sender(context, nodes, files, key, price)
    try:
        for tx in sender.send(draft, in_parts=True):
            if tx.amount != draft.amount:
                sent = _("Sent {cpc} CPC: {hash} (nonce {nonce})").format(
                    cpc=format_cpc(tx.amount), hash=tx.hash(), nonce=tx.nonce
                )
                typer.echo(sent, err=json)
    except NodeClientError as error:
        _report_the_rest(error, sender, draft.amount, price, again)
        if json and sender.sent:
            _say_parts(sender.sent, {}, draft.amount)
        raise
    heights = {}
    if price.wait > 0:
        heights = _wait(nodes.connect(context), sender.sent, start, price)
    if len(sender.sent) == 1:
        (tx,) = sender.sent
        say_sent(tx, said, heights.get(tx.nonce), price.wait, json)
    elif json:
        _say_parts(sender.sent, heights, draft.amount)
    else:
        say(said)
        if heights:
            say(_("Blocks: {heights}").format(heights=_listed(sorted(set(heights.values())))))
        missing = [tx.nonce for tx in sender.sent if tx.nonce not in heights]
        if missing and price.wait > 0:
            say(
                _(
                    "In no block yet, and the node may drop them; look again: cpc-engine query block."
                    " Nonces: {nonces}"
                ).format(nonces=_listed(missing))
            )


def say_sent(
    tx: "Transaction | Transfer", said: str, height: int | None, wait: float, json: bool
) -> None:
    """Say what became of a transaction that a node has. `height`: of its block, where one was seen."""
    if json:
        one = _row(tx, height)
        say_json({**one, "transactions": [one | {"amount": str(tx.amount)}]})
        return
    say(said)
    say(_("Transaction: {hash} (nonce {nonce})").format(hash=tx.hash(), nonce=tx.nonce))
    if height is not None:
        say(_("Block: {height}").format(height=height))
    elif wait > 0:
        say(
            _(
                "It is in no block yet, and the node may drop it; look again: cpc-engine"
                " query results"
            )
        )


def _sender(
    context: typer.Context,
    nodes: NodeOptions,
    files: KeyFiles,
    key: "PrivateKey",
    price: PriceOptions,
) -> "tuple[HandSender, int]":
    """Return what sends, and the height of the tip before."""
    from engine.node.preflight import look_at_chain
    from engine.runtime.paths import ledger_path
    from engine.txmgr.one_off import HandSender, nonce_in_ledger
    from node_client.networks import parse_cpc

    client = nodes.connect(context)
    chain = look_at_chain(client)
    sender = HandSender(
        client,
        key,
        chain.network,
        gas_price=price.gas_price,
        nonce=price.nonce,
        accept_burn=parse_cpc(price.accept_burn) if price.accept_burn else 0,
        known=nonce_in_ledger(ledger_path(chain.chain_id, chain.genesis, key.address)),
        keys=files.keystore(),
        tell=_tell,
    )
    return sender, chain.tip.height


def _wait(
    client: "NodeClient", txs: "list[Transaction]", start: int, price: PriceOptions
) -> dict[int, int]:
    from engine.txmgr.one_off import wait_for_blocks

    with sign_of_life():
        return wait_for_blocks(client, txs, start=start, seconds=price.wait)


def _report_the_rest(
    error: "NodeClientError", sender: "HandSender", amount: int, price: PriceOptions, again: str
) -> None:
    """Add to the error's advice what was sent, what was not, and the command for that."""
    from node_client.errors import NodeError
    from node_client.networks import format_cpc

    uncertain = sender.open is not None and isinstance(error, NodeError)
    if not sender.sent and not uncertain:
        return
    unsent = amount - sum(tx.amount for tx in sender.sent)
    command = again.format(cpc=format_cpc(unsent))
    # What was handed out may come into a block, whatever a node says: its nonce makes it one of both.
    if sender.open is not None:
        command += f" --nonce {sender.open.nonce}"
    elif price.nonce is not None:
        command += f" --nonce {sender.sent[-1].nonce + 1}"
    lines = [error.advice] if error.advice else []
    lines += [
        _("Sent: {cpc} CPC, nonce {nonce}, {hash}").format(
            cpc=format_cpc(tx.amount), nonce=tx.nonce, hash=tx.hash()
        )
        for tx in sender.sent
    ]
    if uncertain and sender.open is not None:
        lines.append(
            _("Not known to have arrived: {cpc} CPC, nonce {nonce}, {hash}").format(
                cpc=format_cpc(sender.open.amount),
                nonce=sender.open.nonce,
                hash=sender.open.hash(),
            )
        )
        unsent -= sender.open.amount
    if unsent:
        lines.append(_("Not sent: {cpc} CPC").format(cpc=format_cpc(unsent)))
    lines.append(
        _("The rest, once all that was sent is in blocks: {command}").format(command=command)
    )
    error.advice = "\n".join(lines)


def _say_parts(sent: "list[Transaction]", heights: dict[int, int], amount: int) -> None:
    rows = [_row(tx, heights.get(tx.nonce)) | {"amount": str(tx.amount)} for tx in sent]
    unsent = amount - sum(tx.amount for tx in sent)
    say_json({"transactions": rows, "unsent": str(unsent)})


def _row(tx: "Transaction | Transfer", height: int | None) -> dict[str, Any]:
    return {"tx_hash": tx.hash(), "nonce": tx.nonce, "fee": str(tx.fee), "height": height}


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _tell(line: str) -> None:
    typer.echo(line, err=True)
