"""What a person asked for once: its nonce, its price, its signature, and its block.

    sender = HandSender(client, key, network, known=nonce_in_ledger(path), tell=print)
    txs = list(sender.send(draft, in_parts=True))      # 1.5 CPC as 1 and 0.5
    heights = wait_for_blocks(client, txs, start=tip.height, seconds=90)

What the node says is a claim. The nonce is one that the account's own signatures in blocks bear out
(`node_client.nonce_proof`), the text has no other reading that costs more or goes elsewhere
(`node_client.ambiguity`), and the price is the network's own or the operator's, never the node's.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path

from engine.runtime.database import Database
from engine.runtime.errors import BadInput, DatabaseError
from engine.txmgr.funding import advice_on_price, advice_to_fund
from engine.txmgr.ledger_reader import LedgerReader
from engine.txmgr.options import FinalityOptions
from node_client import errors
from node_client.ambiguity import one_digit_parts, sign_safely
from node_client.keys import PrivateKey
from node_client.keystore import Keystore
from node_client.networks import Network, format_cpc
from node_client.nonce_proof import (
    NOTHING,
    NonceProof,
    check_claim,
    own_transactions,
    prove_nonce,
    settle_claim,
)
from node_client.rpc import NodeClient
from node_client.transaction import Transaction

BLOCKS_A_LOOK = 64
"""Blocks read at most before the tip and the clock are looked at again."""

MOST_PARTS = 18
"""Transactions that one amount is sent in at most. A node queues MAX_QUEUED_NONCES of an account."""


class HandSender:
    """Sends from one key, each transaction at the nonce after the one before."""

    def __init__(
        self,
        client: NodeClient,
        key: PrivateKey,
        network: Network,
        *,
        gas_price: int | None = None,
        nonce: int | None = None,
        known: NonceProof = NOTHING,
        accept_burn: int = 0,
        keys: Keystore | None = None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """`gas_price` in units a gas, None for the network's least.

        `nonce`: the account's next one at the operator's word. `known`: what is proven of it already.
        `accept_burn`: units that a liar may burn in all. `tell` gets lines before blocks are read, and
        before an amount is sent in parts.
        """
        self.sent: list[Transaction] = []
        """What a node has taken, in order."""
        self.open: Transaction | None = None
        """What was signed and handed out, while no node has said that it took it."""
        self._client, self._key, self._network = client, key, network
        self._price = network.min_gas_price if gas_price is None else gas_price
        self._by_word = nonce is not None
        self._next = nonce
        self._proof = known if nonce is None else NonceProof(nonce, "operator")
        self._accept_burn = accept_burn
        self._keys = keys
        self._tell = tell

    def send(self, draft: Transaction, *, in_parts: bool = False) -> Iterator[Transaction]:
        """Give `draft` its nonce, price, limit and fee, sign it, send it once, and yield it.

        `in_parts`: where its digits can be read otherwise, parts of one digit each, which put nothing
        at stake, are sent in its place and yielded one by one. Raises BadInput, UnprovenNonce,
        AmbiguousTransaction, InsufficientBalance and the node's errors. What is in `sent` was sent
        then, and what is in `open` may have been, whatever a node said of it.
        """
        fee = draft.base_gas * self._price
        priced = {"gas_price": self._price, "gas_limit": draft.base_gas, "fee": fee}
        draft = draft.model_copy(update=priced)
        rest: list[Transaction] = []
        balance = self._require_funds([draft])
        try:
            tx = self._sign(draft, balance)
        except errors.AmbiguousTransaction as error:
            if not in_parts or error.waiting_helps:
                raise
            first, *rest = self._parts(draft, balance, error)
            self._accept_burn = 0  # it bounds all parts together, and none of them needs it
            tx = self._sign(first, balance - _needed(rest))
        yield self._hand_in(tx)
        while rest:
            balance = self._require_funds(rest)
            part = rest.pop(0)
            yield self._hand_in(self._sign(part, balance - _needed(rest)))

    def _parts(
        self, whole: Transaction, balance: int, error: errors.AmbiguousTransaction
    ) -> list[Transaction]:
        """Return a draft for each digit of the amount. Raises `error` where these are no help."""
        amounts = one_digit_parts(whole.amount)
        parts = [whole.model_copy(update={"amount": amount}) for amount in amounts]
        assert self._next is not None
        for nonce, part in enumerate(parts, self._next):
            try:
                self._sign_at(nonce, part, balance, accept_burn=0)
            except errors.AmbiguousTransaction as again:
                if len(parts) == 1 or not again.waiting_helps:
                    raise error from None
        if len(parts) > MOST_PARTS:
            raise BadInput(
                ngettext(
                    "{cpc} CPC would take {n} transaction, one a digit, and {most} is the most",
                    "{cpc} CPC would take {n} transactions, one a digit, and {most} is the most",
                    len(parts),
                ).format(cpc=format_cpc(whole.amount), n=len(parts), most=MOST_PARTS),
                advice=_("Round it, such as to {cpc} CPC.").format(
                    cpc=format_cpc(sum(amounts[:MOST_PARTS]))
                ),
            )
        self._require_funds(parts)
        self._tell(
            ngettext(
                "{cpc} CPC is sent as {n} transaction, since its digits could be read "
                "otherwise in one: {listed}. Their fees are {fees} CPC together.",
                "{cpc} CPC is sent as {n} transactions, since its digits could be read "
                "otherwise in one: {listed}. Their fees are {fees} CPC together.",
                len(parts),
            ).format(
                cpc=format_cpc(whole.amount),
                n=len(parts),
                listed=" + ".join(map(format_cpc, amounts)),
                fees=format_cpc(sum(part.fee for part in parts)),
            )
        )
        return parts

    def _sign(self, draft: Transaction, spendable: int) -> Transaction:
        address = self._key.address
        # What this command has signed proves nothing: a node's word may have chosen the nonces.
        made_here = frozenset(tx.signature for tx in self.sent)
        confirmed = self._client.balance(address).nonce
        if self._next is None:
            self._next, self._proof = settle_claim(
                self._client,
                address,
                self._client.nonce(address),
                confirmed,
                self._proof,
                self._tell,
            )
        check_claim(self._next, self._proof)
        for last_try in (False, True):
            nonce = max(self._next, self._proof.first_unspent)
            try:
                return self._sign_at(nonce, draft, spendable, self._accept_burn)
            except errors.AmbiguousTransaction as error:
                known = last_try or self._by_word or self._proof.first_unspent >= confirmed
                if known or not error.waiting_helps:
                    raise
                self._proof = prove_nonce(
                    self._client,
                    address,
                    confirmed,
                    known=self._proof,
                    tell=self._tell,
                    made_here=made_here,
                )
        raise AssertionError("unreachable")

    def _sign_at(
        self, nonce: int, draft: Transaction, spendable: int, accept_burn: int
    ) -> Transaction:
        return sign_safely(
            draft.model_copy(update={"nonce": nonce}),
            self._key,
            first_unspent=self._proof.first_unspent,
            min_gas_price=self._network.min_gas_price,
            spendable=spendable,
            accept_burn=accept_burn,
            balance=agreed_balance(self._client, self._key.address),
        )

    def _hand_in(self, tx: Transaction) -> Transaction:
        self.open, self._next = tx, tx.nonce + 1
        # A node that lies may drop it: where there are others, they have it, too.
        hand_in = self._client.broadcast if len(self._client.urls) > 1 else self._client.send
        try:
            with suppress(errors.AlreadyInPool):
                hand_in(tx)
        except errors.InsufficientBalance:
            balance = _highest_balance(self._client, self._key.address)
            raise self._without_funds(balance, tx.amount + tx.fee) from None
        except errors.GasPriceTooLow as error:
            error.advice = advice_on_price(self._network)
            raise
        self.sent.append(tx)
        self.open = None
        return tx

    def _require_funds(self, drafts: list[Transaction]) -> int:
        """Return the account's balance in units. Raises InsufficientBalance where it is too little."""
        balance = _highest_balance(self._client, self._key.address)
        if balance < _needed(drafts):
            raise self._without_funds(balance, _needed(drafts))
        return balance

    def _without_funds(self, balance: int, needed: int) -> errors.InsufficientBalance:
        has = _("The account has {balance} CPC and needs {needed}.").format(
            balance=format_cpc(balance), needed=format_cpc(needed)
        )
        how = advice_to_fund(
            self._key.address, self._network.name, self._client.urls[0], self._keys
        )
        return errors.InsufficientBalance("insufficient_balance", advice=f"{has} {how}")


def wait_for_blocks(
    client: NodeClient, txs: Sequence[Transaction], *, start: int, seconds: float
) -> dict[int, int]:
    """Return the heights of the blocks above `start` that hold these, by nonce, once all are found.

    One that is in no block when time runs out is left out. Only a block proves a transaction. A tip
    that the node makes up costs nothing: blocks are read one after another, and one that is not there
    ends the look. Nor does a node that fails end it: they are sent, and a person who is not told so
    sends them a second time.
    """
    deadline = time.monotonic() + seconds
    searched = start
    found: dict[int, int] = {}
    while len(found) < len(txs) and time.monotonic() < deadline:
        with suppress(errors.NodeError):
            tip = client.status().height
            for height in range(searched + 1, min(tip, searched + BLOCKS_A_LOOK) + 1):
                if len(found) == len(txs) or time.monotonic() >= deadline:
                    break
                block = client.block(height)
                # The hash is not enough: another reading of the digits has the same one.
                own = [one.to_json() for one in own_transactions(block, txs[0].from_address)]
                found |= {tx.nonce: height for tx in txs if tx.to_json() in own}
                searched = height
        if len(found) < len(txs):
            time.sleep(0.2)
    return found


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


def _needed(drafts: list[Transaction]) -> int:
    return sum(draft.amount + draft.fee for draft in drafts)
