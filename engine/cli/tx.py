"""`cpc-engine tx`: transactions by hand."""

from gettext import gettext as _
from shlex import quote
from typing import Annotated

import typer

from engine.cli import v3
from engine.cli.config.groups import with_options
from engine.cli.options import Json, KeyFiles, NodeOptions, command_group
from engine.cli.sending import From, PriceOptions, deliver, deliver_in_parts

app = command_group(_("Send transactions."))


@app.command()
@with_options
def send(
    context: typer.Context,
    to: Annotated[str, typer.Argument(help=_("Receiver's address."))],
    amount: Annotated[str, typer.Argument(help=_("Amount in CPC, such as 100 or 0.5."))],
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    chain: v3.ChainOptions,
    json: Json = False,
) -> None:
    """Send coins; where an amount's digits can be read in two ways, a transaction for each digit."""
    from node_client.address import check_address
    from node_client.networks import format_cpc, parse_cpc
    from node_client.transaction import Transaction, TxType
    from node_client.wire import V3, wire_of

    check_address(to)
    units = parse_cpc(amount)
    key = files.load_key(from_)
    said = _("Sent {amount} CPC to {to}.").format(amount=format_cpc(units), to=to)
    client = nodes.connect(context)
    if wire_of(client) is V3:
        v3.deliver(client, key, to, units, price, chain, said, json)
        return
    draft = Transaction(
        tx_type=TxType.TRANSFER, from_address=key.address, to_address=to, amount=units, nonce=0
    )
    again = f"cpc-engine tx send {to} {{cpc}} --from {quote(from_)}"
    again += "".join(f" --node {url}" for url in client.urls)
    if price.gas_price is not None:
        again += f" --gas-price {price.gas_price}"
    deliver_in_parts(context, nodes, files, key, draft, price, said, again, json)


@app.command("submit-result")
@with_options
def submit_result(
    context: typer.Context,
    task_id: Annotated[str, typer.Option(help=_("UUID of the task."))],
    result_hash: Annotated[
        str, typer.Option(help=_("Result, 64 hex digits; a leading 0x is dropped."))
    ],
    from_: From,
    price: PriceOptions,
    files: KeyFiles,
    nodes: NodeOptions,
    proof: Annotated[str, typer.Option(help=_("Proof, in hex."))] = "",
    index: Annotated[int, typer.Option(min=0, max=15, help=_("Index of the block's task."))] = 0,
    json: Json = False,
) -> None:
    """Send the result of a task."""
    from engine.runtime.errors import BadInput
    from engine.tasks.derivation import check_result_hash, check_task_id
    from node_client.transaction import ComputeResult, Transaction, TxType

    check_task_id(task_id)
    result_hash = check_result_hash(result_hash)
    if len(proof) % 2 or not set(proof) <= set("0123456789abcdef"):
        raise BadInput(_("the proof is not lower-case hex: two digits per byte, without 0x"))
    key = files.load_key(from_)
    payload = ComputeResult(
        task_id=task_id,
        worker_address=key.address,
        result_hash=result_hash,
        proof=proof,
        nonce=index,
        signature="",
    ).signed_by(key)
    draft = Transaction(
        tx_type=TxType.SUBMIT_RESULT,
        from_address=key.address,
        amount=0,
        nonce=0,
        payload=payload.model_dump(),
    )
    said = _("Sent the result of task {task_id}.").format(task_id=task_id)
    deliver(context, nodes, files, key, draft, price, said, json)
