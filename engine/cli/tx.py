"""`cpc-engine tx`: transactions by hand."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.config.groups import with_options
from engine.cli.options import Json, KeyFiles, NodeOptions, command_group, say, say_json
from engine.runtime.settings import setting
from engine.txmgr.options import GasOptions

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
    from node_client.rpc import NodeClient
    from node_client.transaction import Transaction

app = command_group(_("Send transactions."))

From = Annotated[str, typer.Option("--from", help=_("Name of the key that pays."))]


@dataclass(frozen=True, kw_only=True)
class PriceOptions(GasOptions):
    """What a transaction may cost, and how long its block is waited for."""

    wait: float = setting(0.0, _("Seconds to wait until it is in a block; 0: do not wait."))


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
    json: Json = False,
) -> None:
    """Send coins."""
    from node_client.address import check_address
    from node_client.networks import format_cpc, parse_cpc
    from node_client.transaction import Transaction, TxType

    check_address(to)
    units = parse_cpc(amount)
    key = files.load_key(from_)
    client = nodes.connect(context)
    draft = Transaction(
        tx_type=TxType.TRANSFER, from_address=key.address, to_address=to, amount=units, nonce=0
    )
    tx = _sign_and_send(client, key, draft, price.gas_price)
    said = _("Sent {amount} CPC to {to}.").format(amount=format_cpc(units), to=to)
    _finish(client, tx, said, price.wait, json)


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
    from engine.tasks.derivation import check_hash, check_task_id
    from node_client.transaction import ComputeResult, Transaction, TxType

    check_task_id(task_id)
    result_hash = check_hash(
        result_hash.removeprefix("0x"), _("result hash")
    )  # as the guide has it
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
    client = nodes.connect(context)
    tx = _sign_and_send(client, key, draft, price.gas_price)
    _finish(
        client,
        tx,
        _("Sent the result of task {task_id}.").format(task_id=task_id),
        price.wait,
        json,
    )


def _sign_and_send(
    client: "NodeClient", key: "PrivateKey", draft: "Transaction", gas_price: int | None
) -> "Transaction":
    from engine.node.preflight import look_at_chain
    from node_client.ambiguity import sign_safely
    from node_client.errors import InsufficientBalance

    chain = look_at_chain(client)
    account = client.balance(key.address)
    price = chain.network.min_gas_price if gas_price is None else gas_price
    draft = draft.model_copy(
        update={
            "nonce": client.nonce(key.address),
            "gas_price": price,
            "gas_limit": draft.base_gas,
            "fee": draft.base_gas * price,
        }
    )
    if account.balance < draft.amount + draft.fee:
        error = InsufficientBalance("insufficient_balance")
        error.advice = _advice_to_fund(client, account.balance, draft)
        raise error
    tx = sign_safely(
        draft,
        key,
        first_unspent=account.nonce,
        min_gas_price=chain.network.min_gas_price,
        spendable=account.balance,
        # An amount of two digits or more always has a reading at its own nonce that pays less: to
        # send that one instead gains nobody anything, and costs the account no more.
        accept_harmless=True,
    )
    try:
        client.send(tx)
    except InsufficientBalance as error:
        error.advice = _advice_to_fund(client, account.balance, draft)
        raise
    return tx


def _advice_to_fund(client: "NodeClient", balance: int, draft: "Transaction") -> str:
    from node_client.networks import format_cpc

    needed = format_cpc(draft.amount + draft.fee)
    return _(
        "The account has {balance} CPC and needs {needed}. Fund it:"
        " cpc-engine tx send {address} 10 --from faucet --node {url}"
    ).format(
        balance=format_cpc(balance), needed=needed, address=draft.from_address, url=client.urls[0]
    )


def _finish(client: "NodeClient", tx: "Transaction", said: str, wait: float, json: bool) -> None:
    height = _wait_for(client, tx, wait) if wait > 0 else None
    if json:
        say_json({"tx_hash": tx.hash(), "nonce": tx.nonce, "fee": str(tx.fee), "height": height})
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


def _wait_for(client: "NodeClient", tx: "Transaction", seconds: float) -> int | None:
    """Return the height of the block that contains it: only a block proves a transaction."""
    import time

    deadline = time.monotonic() + seconds
    searched = max(0, client.status().height - 1)
    while time.monotonic() < deadline:
        tip = client.status().height
        for height in range(searched + 1, tip + 1):
            if any(held.hash() == tx.hash() for held in client.block(height).txs):
                return height
        searched = max(searched, tip)
        time.sleep(0.2)
    return None
