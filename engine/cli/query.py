"""`cpc-engine query`: read the chain."""

from functools import partial
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.config.completion import completer
from engine.cli.config.groups import with_options
from engine.cli.options import (
    Json,
    KeysDirectory,
    NodeOptions,
    command_group,
    say,
    say_foreign_json,
    say_json,
)

if TYPE_CHECKING:
    from node_client.block import Block

app = command_group(_("Read the chain."))


@app.command()
@with_options
def status(context: typer.Context, nodes: NodeOptions, json: Json = False) -> None:
    """Show height, newest block and network of the node."""
    from node_client.wire import wire_of

    client = nodes.connect(context)
    wire = wire_of(client)
    told = client.ask(wire.status).told
    if json:
        say_json({**told, "wire": wire.name, "takes_results": wire.takes_results})
        return
    for name, value in told.items():
        say(f"{name + ':':<13} {value}")
    say(wire.standing())


@app.command()
@with_options
def balance(
    context: typer.Context,
    nodes: NodeOptions,
    address: Annotated[
        str,
        typer.Argument(
            help=_("An address, or the name of a key."), autocompletion=completer("KEY")
        ),
    ],
    json: Json = False,
) -> None:
    """Show balance and confirmed nonce of an account."""
    from node_client.networks import format_cpc
    from node_client.wire import wire_of

    address = account_address(address)
    client = nodes.connect(context)
    account = client.ask(partial(wire_of(client).account, address=address))
    if json:
        say_json({"address": address, "balance": str(account.balance), "nonce": account.nonce})
        return
    say(
        ngettext(
            "{balance} CPC ({units} unit), nonce {nonce}",
            "{balance} CPC ({units} units), nonce {nonce}",
            account.balance,
        ).format(balance=format_cpc(account.balance), units=account.balance, nonce=account.nonce)
    )


@app.command()
@with_options
def block(
    context: typer.Context,
    nodes: NodeOptions,
    height: Annotated[int, typer.Argument(min=0, help=_("Height of the block."))],
    json: Json = False,  # noqa: ARG001
) -> None:
    """Show a block as JSON, with its hash, and what is wrong with it in `fault`."""
    from node_client.wire import wire_of

    client = nodes.connect(context)
    say_foreign_json(client.ask(partial(wire_of(client).block, height=height)))


@app.command()
@with_options
def results(
    context: typer.Context,
    nodes: NodeOptions,
    last: Annotated[int, typer.Option(min=1, help=_("How many blocks to look at."))] = 20,
    height: Annotated[int | None, typer.Option(min=0, help=_("Only this block."))] = None,
    address: Annotated[str | None, typer.Option(help=_("Only this worker."))] = None,
    json: Json = False,
) -> None:
    """List the results in the newest blocks, oldest first."""
    from node_client.address import check_address
    from node_client.refusals import shorten

    if address is not None:
        check_address(address)
    client = nodes.connect(context)
    tip = client.status().height if height is None else height
    first = max(0, tip - last + 1) if height is None else height
    found: list[dict[str, Any]] = []
    for at in range(first, tip + 1):
        found += _results_of(client.block(at), address)
    if json:
        say_foreign_json(found)
        return
    for result in found:
        names = ("height", "tx_hash", "worker_address", "task_id", "result_hash", "fault")
        say(" ".join(shorten(str(result[name])) for name in names if result[name]))
    say(
        ngettext(
            "{count} result in blocks {first} to {last}",
            "{count} results in blocks {first} to {last}",
            len(found),
        ).format(count=len(found), first=first, last=tip)
    )


def _results_of(block: "Block", address: str | None) -> list[dict[str, Any]]:
    """Return a row for each result: as the node reads it, and what is wrong with it in `fault`.

    That is why it cannot be read, or, unless its sender signed it, that its block does not prove it.
    """
    from node_client.errors import InvalidTransaction
    from node_client.transaction import ComputeResult

    rows: list[dict[str, Any]] = []
    for tx in block.txs:
        if not tx.is_result or address not in (None, tx.from_address):
            continue
        fields = dict.fromkeys(ComputeResult.model_fields) | {"worker_address": tx.from_address}
        fault = block.fault if block.fault and tx.own(tx.from_address) is None else ""
        try:
            fields = tx.compute_result().model_dump()
        except InvalidTransaction as error:
            fault = str(error)
        rows.append({"height": block.height, "tx_hash": tx.hash()} | fields | {"fault": fault})
    return rows


def account_address(text: str) -> str:
    """Return an account's address, given as such or as a key's name. Raises NodeClientError."""
    from node_client.address import check_address, is_address

    if is_address(text) or text.startswith("cpc1"):
        return check_address(text)
    return KeysDirectory().keystore().info(text).address
