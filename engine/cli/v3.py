"""`tx send` on the v3 network, whose nodes are CometBFT's."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from typing import TYPE_CHECKING

from engine.cli.options import say
from engine.cli.sending import PriceOptions, say_sent
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
    from node_client.rpc import NodeClient
    from node_client.v3.rpc import Tip
    from node_client.v3.transfer import Transfer

KNOWN_CHAINS = ("cpc-comet-staking-devnet-1",)
"""Chain ids that are signed for without being asked for."""


@dataclass(frozen=True, kw_only=True)
class ChainOptions:
    """Which v3 chain is meant."""

    chain_id: str | None = setting(
        None, _("v3 network only: sign for this chain id, and no other.")
    )


def deliver(
    client: "NodeClient",
    key: "PrivateKey",
    to: str,
    units: int,
    price: PriceOptions,
    chain: ChainOptions,
    said: str,
    json: bool,
) -> None:
    """Sign a transfer, hand it in, and say what became of it.

    Raises NodeError, Refused, InvalidData or SetupError.
    """
    from node_client.errors import AlreadyInPool, NodeError
    from node_client.v3.rpc import status
    from node_client.wire import V3

    start = client.ask(status).height if price.wait > 0 else 0
    tx = _signed(client, key, to, units, price, chain)
    try:
        with suppress(AlreadyInPool):  # the same bytes, from a try whose answer was lost
            client.ask(partial(V3.send, tx=tx))
    except NodeError as error:
        error.advice = _(
            "The transfer may have arrived. To send it again without paying twice, name its nonce:"
            " --nonce {nonce}"
        ).format(nonce=tx.nonce)
        raise
    height = _wait_for(client, tx, start, price.wait) if price.wait > 0 else None
    say_sent(tx, said, height, price.wait, json)
    if height is None and not json:
        say(
            _(
                "Send the next one when this one is in a block: two with nonce {nonce} may both be"
                " received, and one is dropped."
            ).format(nonce=tx.nonce)
        )


def _signed(
    client: "NodeClient",
    key: "PrivateKey",
    to: str,
    units: int,
    price: PriceOptions,
    chain: ChainOptions,
) -> "Transfer":
    from node_client.errors import InsufficientBalance
    from node_client.networks import format_cpc
    from node_client.v3.rpc import account_of, status
    from node_client.v3.transfer import LEAST_GAS_PRICE, Transfer

    tips = client.ask_each(status) or {"": client.ask(status)}
    chain_id = _one_chain(tips, chain.chain_id)
    ask = partial(account_of, address=key.address)
    accounts = client.ask_each(ask) or {"": client.ask(ask)}
    nonce = price.nonce
    if nonce is None:
        nonce = _one_nonce({name: account.nonce for name, account in accounts.items()})
    tx = Transfer(
        chain_id=chain_id,
        from_address=key.address,
        to_address=to,
        amount=units,
        nonce=nonce,
        gas_price=LEAST_GAS_PRICE if price.gas_price is None else price.gas_price,
    ).signed_by(key)
    balance = max(account.balance for account in accounts.values())
    if balance < tx.cost:
        raise InsufficientBalance(
            "insufficient_balance",
            advice=_("The account has {balance} CPC and needs {needed}.").format(
                balance=format_cpc(balance), needed=format_cpc(tx.cost)
            ),
        )
    return tx


def _wait_for(client: "NodeClient", tx: "Transfer", start: int, seconds: float) -> int | None:
    """Return the height of the block above `start` that contains it, None where none does in time.

    It is sent: a node that fails now is no reason not to say so, or it would be sent a second time.
    """
    import time

    from node_client.errors import NodeError
    from node_client.v3.rpc import block_at, status

    deadline = time.monotonic() + seconds
    searched = start
    while time.monotonic() < deadline:
        with suppress(NodeError):
            tip = client.ask(status).height
            while searched < tip and time.monotonic() < deadline:
                block = client.ask(partial(block_at, height=searched + 1))
                searched = block.height
                if tx.hash() in block.transaction_hashes():
                    return searched
        time.sleep(0.2)
    return None


def _one_chain(tips: "dict[str, Tip]", wanted: str | None) -> str:
    """Return the chain id to sign for: what all nodes say, and known here or asked for."""
    from engine.runtime.errors import SetupError

    found = {tip.chain_id for tip in tips.values()}
    if len(found) > 1:
        raise SetupError(
            _("the nodes are of different chains: {chains}").format(
                chains=", ".join(sorted(found))
            ),
            advice=_("Point --node at nodes of one chain."),
        )
    (chain,) = found
    if chain != wanted and (wanted is not None or chain not in KNOWN_CHAINS):
        raise SetupError(
            _("the node is of chain {chain}, and {wanted} is what may be signed for").format(
                chain=chain, wanted=wanted or ", ".join(KNOWN_CHAINS)
            ),
            advice=_(
                "Name the chain that you mean with --chain-id: a transfer that is signed for it can"
                " be played on it."
            ),
        )
    return chain


def _one_nonce(said: dict[str, int]) -> int:
    """Return the account's nonce, which all nodes must agree on: a wrong one can pay twice, later."""
    from engine.runtime.errors import SetupError

    if len(set(said.values())) > 1:
        told = ", ".join(f"{name}: {nonce}" for name, nonce in said.items())
        raise SetupError(
            _("the nodes disagree about the account's next nonce ({told})").format(told=told),
            advice=_(
                "Wait for the next block and try again, or name the nodes that you trust alone; --nonce"
                " says the nonce at your word."
            ),
        )
    return next(iter(said.values()))
