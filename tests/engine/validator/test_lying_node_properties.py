"""A node that lies as it likes, against payouts and `tx send`, in one process and without HTTP.

The devnet's chain is the truth and the judge. Whoever sees a signed text may read its digits otherwise
and hand that in. What must hold: beyond what the operator accepts, no text is signed that can cost more
than was asked, or go elsewhere; and no transfer is paid twice, unless another transaction of the
account's took its nonce.
"""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.runtime.errors import EngineError
from engine.txmgr.one_off import HandSender
from engine.validator.payouts import Payer
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.database import Store
from engine.validator.store.transfers import Transfers
from node_client.ambiguity import colliding_transactions
from node_client.devnet import Chain
from node_client.errors import BadResponse, NodeClientError, NotFound
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.rpc import Account, NodeStatus
from node_client.transaction import Transaction
from tests.engine.chain_client import ChainClient
from tests.liar import forged_chain

CPC = UNITS_PER_CPC
DEPTH = 2
DEVNET = NETWORKS["devnet"]
QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
PAYER, HAND, WORKER, RECEIVER = (PrivateKey(bytes([n]) * 32) for n in (11, 12, 13, 14))
DIGIT_WORKER, DIGIT_RECEIVER = (PrivateKey(bytes([n]) * 32) for n in (2, 5))
"""Their addresses end in a digit: 1 CPC to cpc1...5 is also 51 CPC to cpc1..."""
FEES = 10**12
"""More than all fees that one life can pay at the network's least price."""
HUGE = st.sampled_from([1, 9, 31, 64, 65, 990, 10**6, 2**62, 2**63 - 1])


class LyingClient(ChainClient):
    """One node that lies, and the chain behind it."""

    def __init__(self, chain):
        super().__init__(chain)
        self.sent = []
        self.tell_the_truth()

    def tell_the_truth(self):
        self.nonce_lie = self.confirmed_lie = self.balance_lie = self.height_lie = None
        self.added, self.forged, self.drops = {}, {}, False

    def forge(self, height, txs):
        self.added = {height: txs}
        self.go_on()

    def go_on(self):
        """The forged blocks reach as far as the true ones."""
        if self.added and min(self.added) <= self.chain.height:
            self.forged = forged_chain(self.chain, self.added)
        else:
            self.added, self.forged = {}, {}

    def status(self):
        said = self.chain.status()
        if self.forged:
            tip = max(self.forged)
            said |= {"height": tip, "last_hash": self.forged[tip].hash()}
        if self.height_lie is not None:
            said["height"] = self.height_lie
        return NodeStatus.model_validate(said)

    def block(self, height, *, expected_hash=None):
        block = self.forged.get(height) or self.chain.block(height)
        if block is None:
            raise NotFound("Block not found")
        if expected_hash not in (None, block.hash()):
            raise BadResponse(f"block {height} has another hash")
        return block

    def balance(self, address):
        true = self.chain.account(address)
        balance = true.balance if self.balance_lie is None else self.balance_lie
        nonce = true.nonce if self.confirmed_lie is None else self.confirmed_lie
        return Account(address, balance, nonce)

    def nonce(self, address, pending=True):
        if self.nonce_lie is not None:
            return self.nonce_lie
        return super().nonce(address, pending)

    def each_block_hash(self, height):
        return {"http://devnet": self.block(height).hash()}

    def send(self, tx):
        self.sent.append(tx)
        return tx.hash() if self.drops else super().send(tx)


class Lies(RuleBasedStateMachine):
    """Everything that a node can say, and everything that can be done with what was signed."""

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=QUICK)
        self.store = Store.open(Path(self.directory.name) / "validator.sqlite", Policy())
        self.transfers = Transfers(self.store.database)
        coins = {key.address: 1000 * CPC for key in (PAYER, HAND)}
        self.chain = Chain(coins, clock=lambda: 0.0, genesis_time=0.0)
        self.client = LyingClient(self.chain)
        self.highest = 0
        self.owed = self.asked = 0
        self.made_good = set()  # transfers that were lost, and planned again
        self.others = {}  # nonce -> what another wallet has signed with the payer's key
        self.shown = 0  # the payer's nonces below were shown to be spent, if only in forged blocks
        self.judged = set()
        self.accepted = {}  # the hash of what was signed by hand -> what it may burn
        self.accepts = 0  # payouts now
        self.may_burn = {HAND.address: 0, PAYER.address: 0}
        self.restart(accepts=0)
        self.produce()

    def teardown(self):
        self.client.tell_the_truth()
        self.store.close()
        self.directory.cleanup()

    # --- the programs -----------------------------------------------------------------------------

    @rule(accepts=st.sampled_from([0, 0, 60 * CPC]))
    def restart(self, accepts):
        self.accepts = accepts
        self.may_burn[PAYER.address] += accepts
        genesis = self.chain.block(0).hash()
        self.payer = Payer(
            self.store,
            self.client,
            PAYER,
            DEVNET,
            chain=genesis,
            depth=DEPTH,
            accept_burn=accepts,
            sleep=lambda _s: None,
        )

    @rule(
        units=st.sampled_from([CPC, 5 * CPC, 2 * 10**17]),
        worker=st.sampled_from([WORKER, DIGIT_WORKER]),
    )
    def owe(self, units, worker=WORKER):
        self.transfers.plan([(worker.address, units)])
        self.owed += units

    @rule()
    def pay(self):
        with suppress(NodeClientError, EngineError):
            self.payer.step()
        for lost in self.transfers.in_state("lost"):
            if lost.id not in self.made_good:
                self.made_good.add(lost.id)
                self.transfers.plan([(lost.worker_address, lost.units)])

    @rule(blocks=st.integers(1, DEPTH + 1))
    def pay_for_a_while(self, blocks):
        for _block in range(blocks):
            self.pay()
            self.produce()
        self.pay()

    @rule(
        units=st.sampled_from([5 * CPC, CPC, 15 * 10**17, 250 * CPC, 1_234_567 * 10**12]),
        receiver=st.sampled_from([RECEIVER, DIGIT_RECEIVER]),
        accepts=st.sampled_from([0, CPC // 2, 60 * CPC]),
        forges=st.booleans(),
    )
    def send_by_hand(self, units, receiver=RECEIVER, accepts=0, forges=False):
        """`forges`: between the parts, what was sent is shown in a block that the node makes up."""
        draft = Transaction(
            tx_type="TRANSFER",
            from_address=HAND.address,
            to_address=receiver.address,
            amount=units,
            nonce=0,
        )
        before = len(self.client.sent)
        sender = HandSender(self.client, HAND, DEVNET, accept_burn=accepts)
        with suppress(NodeClientError):
            for _tx in sender.send(draft, in_parts=True):
                if forges and self.chain.height > 0:
                    self.client.forge(self.chain.height, self.client.sent[before:])
        if forges:
            self.client.forge(self.chain.height + 1, [])
        new = self.client.sent[before:]
        assert sum(tx.amount for tx in new) <= units
        assert len({tx.nonce for tx in new}) == len(new)
        for tx in new:
            assert (tx.to_address, tx.gas_price) == (receiver.address, 1000)
            self.accepted[tx.hash()] = accepts if len(new) == 1 else 0
        if new:
            self.asked += units
            self.may_burn[HAND.address] += accepts

    # --- the chain --------------------------------------------------------------------------------

    @rule()
    def produce(self):
        self.chain.produce()
        self.highest = max(self.highest, self.chain.height)
        self.client.go_on()

    @rule(blocks=st.integers(1, DEPTH), put_back=st.booleans())
    def roll_back(self, blocks, put_back):
        deepest = self.chain.height - max(1, self.highest - DEPTH)
        if (blocks := min(blocks, deepest)) > 0:
            self.chain.roll_back(blocks, put_back=put_back)
            self.client.go_on()

    @rule()
    def forget(self):
        self.chain.forget(None)

    @precondition(lambda self: self.transfers.in_state("signed"))
    @rule(arrives=st.booleans(), data=st.data())
    def another_wallet_takes_a_nonce(self, arrives, data):
        transfer = data.draw(st.sampled_from(self.transfers.in_state("signed")))
        other = transfer.transaction.model_copy(update={"to_address": PAYER.address, "amount": 7})
        other = other.signed_by(PAYER)
        self.others.setdefault(other.nonce, []).append(other)
        if arrives:
            self.chain.send(other)

    # --- the liar ---------------------------------------------------------------------------------

    @rule()
    def tell_the_truth(self):
        self.client.tell_the_truth()

    @rule(nonce=HUGE, confirmed=st.booleans(), insist=st.booleans())
    def lie_about_the_nonce(self, nonce, confirmed, insist):
        self.client.nonce_lie = nonce
        self.client.confirmed_lie = nonce if confirmed else None
        if insist:
            self.send_by_hand(5 * CPC)
            self.owe(5 * CPC)
            self.pay()

    @rule(balance=st.sampled_from([0, 1, 10**40]))
    def lie_about_the_balance(self, balance):
        self.client.balance_lie = balance

    @rule(height=st.sampled_from([0, 3, 2**62, 2**63 - 1]))
    def lie_about_the_height(self, height):
        self.client.height_lie = height

    @rule()
    def drop_what_is_sent(self):
        self.client.drops = True

    @rule(back=st.integers(0, 6))
    def make_up_blocks(self, back):
        self.client.forge(max(1, self.chain.height - back), [])

    @precondition(lambda self: self.transfers.in_state("signed"))
    @rule(
        back=st.integers(0, 6),
        kind=st.sampled_from(["unsigned", "reading", "another wallet's"]),
        insist=st.booleans(),
        data=st.data(),
    )
    def make_up_a_block_that_spends(self, back, kind, insist, data):
        mine = data.draw(st.sampled_from(self.transfers.in_state("signed"))).transaction
        if kind == "unsigned":
            txs = [mine.model_copy(update={"amount": 1, "signature": "ab" * 64})]
        elif kind == "reading":
            digits = str(mine.amount)
            to = f"{mine.to_address}{digits[:-1]}"
            txs = [mine.model_copy(update={"to_address": to, "amount": int(digits[-1])})]
            assert txs[0].signature_fits()
        else:
            txs = self.others.get(mine.nonce, [])[:1]
        if kind != "unsigned":
            self.shown = max([self.shown, *(tx.nonce + 1 for tx in txs)])
        self.client.forge(max(1, self.chain.height - back), txs)
        if insist:
            self.pay_for_a_while(DEPTH + 1)

    @precondition(lambda self: self.client.sent)
    @rule(data=st.data())
    def hand_in_another_reading(self, data):
        tx = data.draw(st.sampled_from(self.client.sent))
        readings = colliding_transactions(tx, first_unspent=0, min_gas_price=1000)
        if tx.from_address == PAYER.address:
            readings = [one for one in readings if one.nonce >= self.shown]
        if readings:
            reading = data.draw(st.sampled_from(readings))
            assert reading.signature_fits()
            self.chain.send(reading)

    @precondition(lambda self: self.client.sent)
    @rule(data=st.data())
    def hand_in_again(self, data):
        self.chain.send(data.draw(st.sampled_from(self.client.sent)))

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def no_signed_text_can_cost_more_or_go_elsewhere(self):
        for tx in self.client.sent:
            if tx.hash() in self.judged:
                continue
            self.judged.add(tx.hash())
            spent = self.chain.account(tx.from_address).nonce
            if tx.from_address == PAYER.address:
                spent = max(spent, self.shown)
            for reading in colliding_transactions(tx, first_unspent=spent, min_gas_price=1000):
                assert reading.nonce == tx.nonce, reading
                burned = 21_000 * (reading.gas_price - tx.gas_price)
                if reading.to_address == tx.to_address:
                    burned += max(0, reading.amount - tx.amount)
                elif reading.amount > 21_000 * tx.gas_price:
                    burned += reading.amount
                assert burned <= self.accepted.get(tx.hash(), self.accepts), reading

    @invariant()
    def nothing_is_paid_twice(self):
        lost = self.transfers.in_state("lost")
        for transfer in lost:
            assert transfer.nonce in self.others, "lost, and no other transaction has its nonce"
        excused = sum(transfer.units for transfer in lost)
        paid = sum(self.chain.account(one.address).balance for one in (WORKER, DIGIT_WORKER))
        assert paid <= self.owed + excused

    @invariant()
    def no_account_loses_more_than_was_asked(self):
        """Another reading at the same nonce may pay the receiver less, and the miners more."""
        excused = sum(transfer.units for transfer in self.transfers.in_state("lost"))
        for key, most in ((HAND, self.asked), (PAYER, self.owed + excused)):
            lost = 1000 * CPC - self.chain.account(key.address).balance
            assert lost <= most + self.may_burn[key.address] + FEES


CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]

TestLies = Lies.TestCase
TestLies.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=CHECKS
)


class LongLies(Lies):
    """The same, for as long as it takes."""


TestLongLies = pytest.mark.long(LongLies.TestCase)
TestLongLies.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=CHECKS
)
