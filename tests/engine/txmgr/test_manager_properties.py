"""Whatever befalls chain, node and engine: no task twice on the chain, and no result forgotten.

Sender, ledger and scan against the devnet's chain, without threads or HTTP. Roll-backs go as deep as
`DEPTH`, which is what "final" promises to survive, and no deeper.
"""

import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import engine.txmgr.manager
from node_client.transaction import Transaction
from tests.engine.txmgr.test_manager import DEPTH, KEY, Rig

LIFETIME = 20
"""Blocks, in place of the network's 100, so that a test sees tasks expire."""

MEANWHILE = ("nothing", "roll back", "another block", "the node goes")
"""What may happen between a block that is seen and its results that are sent."""

QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a full sync costs nothing: no test here cuts the power."""


class Life(RuleBasedStateMachine):
    """One account, everything that its sender can meet, and the chain as the judge."""

    def __init__(self):
        super().__init__()
        self.usual_lifetime = engine.txmgr.manager.TASK_LIFETIME_BLOCKS
        engine.txmgr.manager.TASK_LIFETIME_BLOCKS = LIFETIME
        self.directory = tempfile.TemporaryDirectory(dir=QUICK)
        self.rig = Rig(Path(self.directory.name) / "ledger.sqlite", max_gas_price=3000)
        self.highest = 0
        self.seen = {}  # every transaction of ours that was ever signed, by hash
        self.rig.step(blocks=2)

    # --- the engine -------------------------------------------------------------------------------

    @rule(index=st.integers(0, 3), back=st.integers(0, 2))
    def compute(self, index, back):
        self.rig.answer_tip(index, max(1, self.rig.chain.height - back))

    @rule()
    def step(self):
        self.round()

    @rule(blocks=st.integers(1, 3))
    def go_on(self, blocks):
        for _ in range(blocks):
            self.produce()
            self.round()

    @rule(question=st.sampled_from(["status", "block", "balance", "nonce", "send"]))
    def step_while_a_block_comes(self, question):
        self.round_with(question, self.produce)

    @rule(question=st.sampled_from(["status", "block", "balance", "nonce", "send"]))
    def step_while_the_chain_rolls_back(self, question):
        self.round_with(question, lambda: self.roll_back(1, False))

    @rule(question=st.sampled_from(["block", "balance", "nonce", "send"]), restart=st.booleans())
    def step_while_the_node_goes(self, question, restart):
        self.round_with(question, self.node_goes)
        self.rig.client.down = False
        if restart:
            self.restart()

    @rule(indices=st.sets(st.integers(0, 3), min_size=1), while_=st.sampled_from(MEANWHILE))
    def results_of_a_new_block_go_first(self, indices, while_):
        """As the mining loop does: the block is read for ours only once they are on their way."""
        rig = self.rig
        self.produce()
        tip = rig.chain.block(rig.chain.height)
        rig.sender.block_came(tip.height, tip.hash(), tip.header.prev_hash, results=True)
        for index in sorted(indices):
            rig.answer_tip(index)
        if while_ == "roll back":
            self.roll_back(1, False)
        elif while_ == "another block":
            self.produce()
        if while_ == "the node goes":
            self.with_(("send", self.node_goes), rig.sender.send_fresh)
            rig.client.down = False
        else:
            rig.sender.send_fresh()
        self.remember()

    @rule()
    def restart(self):
        self.rig.start()

    # --- the chain --------------------------------------------------------------------------------

    @rule()
    def produce(self):
        self.rig.chain.produce()
        self.highest = max(self.highest, self.rig.chain.height)

    @rule(blocks=st.integers(1, DEPTH), put_back=st.booleans())
    def roll_back(self, blocks, put_back):
        deepest = self.rig.chain.height - max(1, self.highest - DEPTH)
        if (blocks := min(blocks, deepest)) > 0:
            self.rig.chain.roll_back(blocks, put_back=put_back)

    @rule()
    def forget_all(self):
        self.rig.faults.forget(None)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def forget_one(self, data):
        self.rig.faults.forget(data.draw(st.sampled_from(sorted(self.seen))))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def drop_one(self, data):
        self.rig.faults.drop(data.draw(st.sampled_from(sorted(self.seen))))

    @rule()
    def drop_nothing_any_more(self):
        self.rig.faults.clear()

    @rule(price=st.sampled_from([1000, 1500, 2500]))
    def the_node_wants_another_price(self, price):
        self.rig.chain._mempool._min_gas_price = price

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def another_node_still_has_one(self, data):
        self.rig.chain.send(self.seen[data.draw(st.sampled_from(sorted(self.seen)))])

    @rule(blocks=st.integers(1, DEPTH), newest_first=st.booleans())
    def roll_back_to_nodes_that_have_everything(self, blocks, newest_first):
        """Each account's nonce goes to whichever transaction such a node saw first."""
        self.roll_back(blocks, False)
        known = sorted(self.seen.values(), key=lambda tx: tx.hash(), reverse=newest_first)
        for tx in known:
            self.rig.chain.send(tx)

    @precondition(lambda self: self.rig.ledger.in_flight())
    @rule(blocks=st.integers(0, DEPTH + 1), loses_it=st.booleans())
    def the_operator_takes_our_nonce(self, blocks, loses_it):
        self.rig.faults.forget(None)
        self.rig.foreign(self.rig.chain.account(KEY.address).nonce)
        self.go_on(blocks)
        if loses_it:
            self.roll_back_to_nodes_that_have_everything(DEPTH, newest_first=False)

    @rule(ahead=st.integers(0, 1))
    def the_operator_sends_coins(self, ahead):
        self.rig.foreign(self.rig.chain.pending_nonce(KEY.address) + ahead)

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def no_task_stands_twice_on_the_chain(self):
        held = self.rig.held()
        assert len(held) == len(set(held))

    @invariant()
    def a_final_result_is_on_the_chain(self):
        for result in self.rig.ledger.progress("state = 'final'"):
            block = self.rig.chain.block(result.included_height)
            assert result.tx_hash in [tx.hash() for tx in block.txs]

    @invariant()
    def nothing_that_was_signed_is_lost(self):
        known = {
            row[0]
            for row in self.rig.ledger._database._db.execute("SELECT tx_hash FROM transactions")
        }
        assert known >= set(self.seen)

    def teardown(self):
        try:
            self.settle()
            self.judge()
        finally:
            engine.txmgr.manager.TASK_LIFETIME_BLOCKS = self.usual_lifetime
            self.rig.ledger.close()
            self.directory.cleanup()

    def settle(self):
        self.rig.faults.clear()
        self.rig.chain._mempool._min_gas_price = 1000
        for _ in range(LIFETIME + 4 * DEPTH):
            self.produce()
            self.round()
            if not self.rig.ledger.open_results():
                return

    def judge(self):
        on_chain = {
            tx.hash(): block.height
            for block in self.rig.chain.blocks()
            for tx in block.txs
            if tx.is_result
        }
        assert self.rig.ledger.in_flight() == []
        for result in self.rig.ledger.progress():
            assert result.state in ("final", "given_up")
            block = self.rig.chain.block(result.height)  # None: rolled back, and not made again
            alive = block is not None and block.hash() == result.block_hash
            if result.state == "final":
                assert alive
                assert on_chain[result.tx_hash] == result.included_height
            else:
                assert result.reason
                assert not (alive and result.tx_hash in on_chain), "right, there, and given up"
        self.no_task_stands_twice_on_the_chain()

    # --- helpers ----------------------------------------------------------------------------------

    def node_goes(self):
        self.rig.client.down = True

    def round(self):
        self.rig.sender.round()
        self.remember()

    def remember(self):
        self.rig.events()
        for row in self.rig.ledger._read("SELECT body FROM transactions"):
            tx = Transaction.model_validate(json.loads(row["body"]))
            self.seen[tx.hash()] = tx

    def round_with(self, question, happens):
        self.with_((question, happens), self.rig.sender.round)
        self.remember()

    def with_(self, event, act):
        question, happens = event

        def once(asked):
            if asked == question:
                self.rig.client.before = lambda name: None
                happens()
                if self.rig.client.down:
                    self.rig.client._asked(question)

        self.rig.client.before = once
        act()
        self.rig.client.before = lambda name: None


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
