"""Amounts in parts, on a devnet's chain in this process: money, nonces and lies in the middle."""

import pytest

from engine.txmgr.one_off import HandSender
from node_client.devnet import Chain
from node_client.devnet.state import AccountState
from node_client.errors import AmbiguousTransaction, InsufficientBalance, NodeUnreachable
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS
from node_client.rpc import Account
from node_client.transaction import Transaction
from tests.engine.chain_client import ChainClient
from tests.liar import forged_chain

HAND, RECEIVER = PrivateKey(b"\x0c" * 32), PrivateKey(b"\x0e" * 32)
FEE = 21_000_000


def chain_with(units):
    chain = Chain({HAND.address: AccountState(units)}, clock=lambda: 1_700_000_000.0)
    chain.produce()
    return chain


def draft_of(units):
    return Transaction(
        tx_type="TRANSFER",
        from_address=HAND.address,
        to_address=RECEIVER.address,
        amount=units,
        nonce=0,
    )


def received(chain):
    chain.produce()
    return chain.account(RECEIVER.address).balance


def test_the_sum_and_all_fees_are_there_before_the_first_is_signed():
    units = 15 * 10**17
    chain = chain_with(units + 2 * FEE - 1)
    sender = HandSender(ChainClient(chain), HAND, NETWORKS["devnet"])
    with pytest.raises(InsufficientBalance) as raised:
        list(sender.send(draft_of(units), in_parts=True))
    assert "needs 1.500000000042" in raised.value.advice
    assert not sender.sent
    assert sender.open is None
    assert received(chain) == 0
    chain = chain_with(units + 2 * FEE)
    assert list(
        HandSender(ChainClient(chain), HAND, NETWORKS["devnet"]).send(
            draft_of(units), in_parts=True
        )
    )
    assert received(chain) == units


def test_money_that_is_gone_in_the_middle_stops_it():
    chain = chain_with(10 * 10**18)
    sender = HandSender(ChainClient(chain), HAND, NETWORKS["devnet"])
    parts = sender.send(draft_of(7_500_000_000_000_000_000), in_parts=True)
    assert next(parts).amount == 7 * 10**18
    chain.produce()
    other = draft_of(2 * 10**18 + 9 * 10**17).model_copy(
        update={"nonce": 1, "fee": FEE, "gas_price": 1000, "gas_limit": 21_000}
    )
    assert chain.send(other.signed_by(HAND)) is None
    chain.produce()
    with pytest.raises(InsufficientBalance):
        next(parts)
    assert [tx.amount for tx in sender.sent] == [7 * 10**18]
    assert sender.open is None


def test_what_an_unanswered_part_leaves_open_is_known():
    chain = chain_with(10 * 10**18)

    class LosesAnswers(ChainClient):
        def send(self, tx):
            super().send(tx)
            if tx.nonce == 1:
                raise NodeUnreachable("no answer in time")

    sender = HandSender(LosesAnswers(chain), HAND, NETWORKS["devnet"])
    with pytest.raises(NodeUnreachable):
        list(sender.send(draft_of(1_250_000_000_000_000_000), in_parts=True))
    assert [tx.nonce for tx in sender.sent] == [0]
    assert sender.open.nonce == 1
    assert received(chain) == 12 * 10**17


class Liar(ChainClient):
    """Says that 9 is the next nonce, and shows what was sent in a block that it makes up."""

    def __init__(self, chain):
        super().__init__(chain)
        self.confirmed, self.forged = 0, {}

    def nonce(self, address, pending=True):
        return 9

    def balance(self, address):
        return Account(address, 1000 * 10**18, self.confirmed)

    def block(self, height, *, expected_hash=None):
        return self.forged.get(height) or super().block(height)

    def status(self):
        said = super().status()
        forged = self.forged.get(said.height)
        return said.model_copy(update={"last_hash": forged.hash()}) if forged else said


def test_its_own_part_in_a_made_up_block_proves_no_nonce():
    """Nonce 10 reads as nonce 0, which is free: it would be paid twice."""
    chain = chain_with(1000 * 10**18)
    liar = Liar(chain)
    sender = HandSender(liar, HAND, NETWORKS["devnet"])
    parts = sender.send(draft_of(1_250_000_000_000_000_000), in_parts=True)
    assert next(parts).nonce == 9
    liar.forged = forged_chain(chain, {chain.height: sender.sent})
    liar.confirmed = 10
    with pytest.raises(AmbiguousTransaction) as raised:
        next(parts)
    assert raised.value.waiting_helps
    assert len(sender.sent) == 1
    assert sender.open is None
