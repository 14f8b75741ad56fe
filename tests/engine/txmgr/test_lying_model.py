"""A node that may say anything at any time, against the sender: what it signs never costs more.

The node is the adversary. What it has shown is kept by the test itself: a nonce is spent where a
block that was served holds a transaction that our key signed, as the chain would take it.
"""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import engine.txmgr.manager
from node_client.ambiguity import colliding_transactions
from node_client.networks import UNITS_PER_CPC
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.engine.txmgr.lying_client import LyingClient
from tests.engine.txmgr.test_lies import READS_AT_NONCE_0, REFUSALS, look_alike
from tests.engine.txmgr.test_manager import DEPTH, KEY, Rig
from tests.engine.txmgr.test_manager_properties import LIFETIME, QUICK

GAS = BASE_GAS[TxType.SUBMIT_RESULT]
MOST_PRICE = 5000
QUESTIONS_A_ROUND = 2000
"""Of one round: more would be a loop over what the node says."""

NONCES = st.sampled_from([None, 0, 1, 2, 9, 12, 31, 64, 65, 100, 341, READS_AT_NONCE_0, 2**63 - 1])
PRICES = st.sampled_from([0, 999, 1001, 4000, 5000, 5001, 10**12, 10**30])


class ShowingClient(LyingClient):
    """Remembers which nonces the blocks that it served have spent."""

    def __init__(self, chain, honest_nodes=0):
        super().__init__(chain, honest_nodes)
        self.asked = 0
        self.shown = set()
        self.below = 0
        """All nonces below are spent: by a transaction of another program, or two nodes say so."""
        self.made_here = lambda tx_hash: False

    def block(self, height, *, expected_hash=None):
        block = super().block(height, expected_hash=expected_hash)
        for served in block.txs:
            tx = served.own(KEY.address)
            if tx is None or tx.gas_limit < tx.base_gas or tx.gas_price < 1000:
                continue
            if tx.fee < tx.base_gas * tx.gas_price:
                continue
            self.shown.add(tx.nonce)
            if not self.made_here(tx.hash()):
                self.below = max(self.below, tx.nonce + 1)
        return block

    def each_nonce(self, address, pending=True):
        said = super().each_nonce(address, pending)
        if len(said) > 1 and not pending:
            self.below = max(self.below, sorted(said.values())[-2])
        return said

    def _asked(self, name):
        self.asked += 1
        assert self.asked < QUESTIONS_A_ROUND, "it asks on and on"
        super()._asked(name)


class Lies(RuleBasedStateMachine):
    """One account whose first node, or only one, lies as it likes."""

    @initialize(honest_nodes=st.integers(0, 1), nonce=st.sampled_from([0, 8, 31]))
    def begin(self, honest_nodes, nonce):
        self.usual_lifetime = engine.txmgr.manager.TASK_LIFETIME_BLOCKS
        engine.txmgr.manager.TASK_LIFETIME_BLOCKS = LIFETIME
        self.directory = tempfile.TemporaryDirectory(dir=QUICK)
        self.signed = {}  # by hash, in the order in which they were first seen
        self.rig = Rig(
            Path(self.directory.name) / "ledger.sqlite",
            balance=UNITS_PER_CPC,
            nonce=nonce,
            max_gas_price=MOST_PRICE,
            client=lambda chain: ShowingClient(chain, honest_nodes),
        )
        self.rig.client.made_here = self.signed.__contains__
        self.rig.chain.produce()

    # --- the engine, and an honest chain -------------------------------------------------------------

    @rule(index=st.integers(0, 3))
    def compute(self, index):
        self.rig.answer_tip(index, max(1, self.rig.chain.height))
        self.round()

    @rule(blocks=st.integers(1, 4))
    def go_on(self, blocks):
        for _ in range(blocks):
            self.rig.chain.produce()
            self.round()

    @rule()
    def restart(self):
        self.rig.start()
        self.round()

    @rule(blocks=st.integers(1, DEPTH))
    def roll_back(self, blocks):
        if self.rig.chain.height > blocks:
            self.rig.chain.roll_back(blocks, put_back=False)

    @rule()
    def the_operator_sends_coins(self):
        self.rig.foreign(self.rig.chain.account(KEY.address).nonce)

    # --- lies --------------------------------------------------------------------------------------

    @rule(confirmed=NONCES, pending=NONCES)
    def lie_about_nonces(self, confirmed, pending):
        self.rig.client.confirmed, self.rig.client.pending = confirmed, pending
        self.round()

    @rule(balance=st.sampled_from([None, 0, GAS * 1000, 10**40]))
    def lie_about_the_balance(self, balance):
        self.rig.client.balance_ = balance
        self.round()

    @rule(words=st.sampled_from(REFUSALS))
    def refuse(self, words):
        self.rig.client.refuses = words
        self.round()

    @rule(least=PRICES, given=st.sampled_from(["{price}", "7"]))
    def lie_about_the_price(self, least, given):
        self.rig.client.refuses = f"gas_price {given} < min {least}"
        self.round()

    @rule()
    def swallow(self):
        self.rig.client.swallows = True
        self.round()

    @rule(back=st.integers(0, 4), blocks=st.integers(1, 8))
    def make_up_empty_blocks(self, back, blocks):
        self.forge(back, blocks, [])

    @rule(height=st.sampled_from([1, 2, 10**6, 2**63 - 2]))
    def make_up_a_height(self, height):
        self.rig.client.forge(height, height)
        self.round()

    @precondition(lambda self: self.signed)
    @rule(data=st.data(), back=st.integers(0, 2), blocks=st.integers(1, 8))
    def put_what_we_signed_into_a_block(self, data, back, blocks):
        tx = data.draw(st.sampled_from(sorted(self.signed.values(), key=lambda tx: tx.hash())))
        readings = [tx, *colliding_transactions(tx, first_unspent=0, min_gas_price=1)]
        self.forge(back, blocks, [data.draw(st.sampled_from(readings))])

    @rule(nonce=NONCES.filter(lambda nonce: nonce is not None), blocks=st.integers(1, 8))
    def put_a_look_alike_into_a_block(self, nonce, blocks):
        self.forge(
            0, blocks, [look_alike(self.rig, "1" * 8 + "-1111-1111-1111-" + "1" * 12, nonce)]
        )

    @rule()
    def tell_the_truth(self):
        self.rig.client.tell_the_truth()
        self.round()

    # --- what must hold ------------------------------------------------------------------------------

    @invariant()
    def nothing_is_given_up_for_a_word(self):
        codes = {one.given_up for one in self.rig.ledger.progress("given_up IS NOT NULL")}
        assert codes <= {"expired", "rolled_back"}

    def teardown(self):
        try:
            self.rig.client.tell_the_truth()
            for _ in range(2 * LIFETIME + 4 * DEPTH):
                self.rig.chain.produce()
                self.round()
            assert self.rig.ledger.open_results() == []
        finally:
            engine.txmgr.manager.TASK_LIFETIME_BLOCKS = self.usual_lifetime
            self.rig.ledger.close()
            self.directory.cleanup()

    # --- helpers -------------------------------------------------------------------------------------

    def forge(self, back, blocks, txs):
        position = self.rig.ledger.scan_position()
        height = self.rig.chain.height if position is None else position[0]
        first = max(1, min(height, self.rig.chain.height) - back + 1)
        self.rig.client.forge(first, first + blocks - 1, {first: txs})
        for _ in range(2):
            self.round()

    def round(self):
        client = self.rig.client
        client.asked = 0
        self.rig.sender.round()
        self.rig.events()
        for row in self.rig.ledger._read("SELECT body FROM transactions ORDER BY signed_at"):
            tx = Transaction.model_validate(json.loads(row["body"]))
            if tx.hash() not in self.signed:
                self.judge(tx)
                self.signed[tx.hash()] = tx

    def judge(self, tx):
        """One that was signed in this round."""
        client = self.rig.client
        assert tx.gas_price <= MOST_PRICE
        assert (tx.amount, tx.to_address) == (0, None)
        for reading in colliding_transactions(tx, first_unspent=0, min_gas_price=1000):
            spent = reading.nonce < client.below or reading.nonce in client.shown
            assert spent, "it is also another transaction, at a nonce that is not proven spent"
        task_id = tx.payload["task_id"]
        for before in self.signed.values():
            if before.payload["task_id"] == task_id and before.nonce != tx.nonce:
                assert before.nonce in client.shown, "two nonces for one result"


USUAL = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def test_whatever_a_node_says():
    profile = settings(max_examples=12, stateful_step_count=30, derandomize=True, **USUAL)
    run_state_machine_as_test(Lies, settings=profile)


@pytest.mark.long
def test_whatever_a_node_says_in_ten_thousand_steps():
    profile = settings(max_examples=200, stateful_step_count=50, **USUAL)
    run_state_machine_as_test(Lies, settings=profile)
