"""What every `tx` command does with its draft: price and nonce, sign, send, wait, say.

deliver(context, nodes, files, key, draft, price, _("Sent ..."), json)
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import KeyFiles, NodeOptions, say, say_json
from engine.runtime.settings import setting
from engine.txmgr.options import GasOptions

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
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
    from engine.node.preflight import look_at_chain
    from engine.runtime.paths import ledger_path
    from engine.txmgr.one_off import nonce_in_ledger, sign_and_send, wait_for_block
    from node_client.networks import parse_cpc

    client = nodes.connect(context)
    chain = look_at_chain(client)
    tx = sign_and_send(
        client,
        key,
        draft,
        chain.network,
        gas_price=price.gas_price,
        nonce=price.nonce,
        accept_burn=parse_cpc(price.accept_burn) if price.accept_burn else 0,
        known=nonce_in_ledger(ledger_path(chain.chain_id, chain.genesis, key.address)),
        keys=files.keystore(),
        tell=_tell,
    )
    height = None
    if price.wait > 0:
        height = wait_for_block(client, tx, start=chain.tip.height, seconds=price.wait)
    say_sent(tx, said, height, price.wait, json)


def say_sent(
    tx: "Transaction | Transfer", said: str, height: int | None, wait: float, json: bool
) -> None:
    """Say what became of a transaction that a node has. `height`: of its block, where one was seen."""
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


def _tell(line: str) -> None:
    typer.echo(line, err=True)
