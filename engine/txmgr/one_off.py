"""One transaction that a person asked for: its nonce, its price, its signature, and its block.

    tx = sign_and_send(client, key, draft, network, known=nonce_in_ledger(path), tell=print)
    height = wait_for_block(client, tx, start=tip.height, seconds=90)

What the node says is a claim. The nonce is one that the account's own signatures in blocks bear out
(`node_client.nonce_proof`), the text has no other reading that costs more or goes elsewhere
(`node_client.ambiguity`), and the price is the network's own or the operator's, never the node's.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from gettext import gettext as _
from pathlib import Path

from engine.runtime.database import Database
from engine.runtime.errors import DatabaseError
from engine.txmgr.funding import advice_on_price, advice_to_fund
from engine.txmgr.ledger_reader import LedgerReader
from engine.txmgr.options import FinalityOptions
from node_client import errors
from node_client.ambiguity import sign_safely
from node_client.keys import PrivateKey
from node_client.keystore import Keystore
from node_client.networks import Network, format_cpc
from node_client.nonce_proof import (
    NOTHING,
    NonceProof,
    own_transactions,
    prove_nonce,
    settle_claim,
)
from node_client.rpc import NodeClient
from node_client.transaction import Transaction

BLOCKS_A_LOOK = 64
"""Blocks read at most before the tip and the clock are looked at again."""


def sign_and_send(
    client: NodeClient,
    key: PrivateKey,
    draft: Transaction,
    network: Network,
    *,
    gas_price: int | None = None,
    nonce: int | None = None,
    known: NonceProof = NOTHING,
    accept_burn: int = 0,
    keys: Keystore | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Transaction:
    """Give `draft` its nonce, price, limit and fee, sign it, send it once, and return it.

    `gas_price` in units a gas, None for the network's least. `nonce`: the account's next one at the
    operator's word. `known`: what is proven of it already. `accept_burn`: units that a liar may burn
    in its place. `tell` gets lines of progress where blocks have to be read. Raises UnprovenNonce,
    AmbiguousTransaction, InsufficientBalance and the node's errors; nothing was signed then, or,
    after Refused and NodeError, nothing was taken.
    """
    price = network.min_gas_price if gas_price is None else gas_price
    fee = draft.base_gas * price
    priced = {"gas_price": price, "gas_limit": draft.base_gas, "fee": fee}
    draft = draft.model_copy(update=priced)
    balance = _highest_balance(client, key.address)
    if balance < draft.amount + fee:
        raise _without_funds(client, network, balance, draft, keys)
    tx = _sign(client, key, draft, network, balance, nonce, known, accept_burn, tell)
    try:
        # A node that lies may drop it: where there are others, they have it, too.
        (client.broadcast if len(client.urls) > 1 else client.send)(tx)
    except errors.AlreadyInPool:
        return tx
    except errors.InsufficientBalance:
        raise _without_funds(client, network, balance, draft, keys) from None
    except errors.GasPriceTooLow as error:
        error.advice = advice_on_price(network)
        raise
    return tx


def wait_for_block(
    client: NodeClient, tx: Transaction, *, start: int, seconds: float
) -> int | None:
    """Return the height of the block above `start` that holds `tx`; None where time ran out.

    Only a block proves a transaction. A tip that the node makes up costs nothing: blocks are read
    one after another, and one that is not there ends the look. Nor does a node that fails end it:
    the transaction is sent, and a person who is not told so sends it a second time.
    """
    deadline = time.monotonic() + seconds
    searched = start
    while time.monotonic() < deadline:
        with suppress(errors.NodeError):
            tip = client.status().height
            for height in range(searched + 1, min(tip, searched + BLOCKS_A_LOOK) + 1):
                if time.monotonic() >= deadline:
                    return None
                own = own_transactions(client.block(height), tx.from_address)
                # The hash is not enough: another reading of the digits has the same one.
                if any(found.to_json() == tx.to_json() for found in own):
                    return height
                searched = height
        time.sleep(0.2)
    return None


def nonce_in_ledger(path: Path) -> NonceProof:
    """Return what an engine's ledger proves of its account's nonces; NOTHING where there is none.

    Read only, also while an engine has it open. By the ledger's own rule: its transactions count
    together as far as none is missing, since a node's word may have chosen their nonces; and none
    in the last few blocks, which may be rolled back.
    """
    if not path.is_file():
        return NOTHING
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as ledger:
            reader = LedgerReader(Database(path, ledger))
            tip = reader.scan_position()
            deep = -1 if tip is None else tip[0] - FinalityOptions.depth
            return NonceProof(reader.proven(deep), "ledger", deep)
    except (sqlite3.Error, DatabaseError):
        return NOTHING  # the chain is asked instead


def _sign(
    client: NodeClient,
    key: PrivateKey,
    draft: Transaction,
    network: Network,
    balance: int,
    nonce: int | None,
    known: NonceProof,
    accept_burn: int,
    tell: Callable[[str], None],
) -> Transaction:
    if nonce is not None:
        proof, claimed = NonceProof(nonce, "operator"), nonce
    else:
        proof, claimed = known, client.nonce(key.address)
    confirmed = client.balance(key.address).nonce
    confirmed_balance = agreed_balance(client, key.address)

    def prove() -> NonceProof:
        return prove_nonce(client, key.address, confirmed, known=proof, tell=tell)

    def sign() -> Transaction:
        return sign_safely(
            draft.model_copy(update={"nonce": max(claimed, proof.first_unspent)}),
            key,
            first_unspent=proof.first_unspent,
            min_gas_price=network.min_gas_price,
            spendable=balance,
            accept_burn=accept_burn,
            balance=confirmed_balance,
        )

    if nonce is None:
        claimed, proof = settle_claim(client, key.address, claimed, confirmed, proof, tell)
    try:
        return sign()
    except errors.AmbiguousTransaction as error:
        if nonce is not None or not error.waiting_helps or proof.first_unspent >= confirmed:
            raise
        proof = prove()
        return sign()


def agreed_balance(client: NodeClient, address: str) -> int | None:
    """Return the most that a node says the account has, in units; None where fewer than two answer.

    One node may say less than there is, to have a text signed that costs more than it says.
    """
    said = [account.balance for account in client.each_balance(address).values()]
    return max(said) if len(said) > 1 else None


def _highest_balance(client: NodeClient, address: str) -> int:
    """The most that a node says: a fee that rules other readings out must not trust the least."""
    said = [account.balance for account in client.each_balance(address).values()]
    return max(said) if said else client.balance(address).balance


def _without_funds(
    client: NodeClient, network: Network, balance: int, draft: Transaction, keys: Keystore | None
) -> errors.InsufficientBalance:
    has = _("The account has {balance} CPC and needs {needed}.").format(
        balance=format_cpc(balance), needed=format_cpc(draft.amount + draft.fee)
    )
    how = advice_to_fund(draft.from_address, network.name, client.urls[0], keys)
    return errors.InsufficientBalance("insufficient_balance", advice=f"{has} {how}")
