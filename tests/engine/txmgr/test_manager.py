"""The sender and its scan, step by step against the devnet's chain: no threads, no HTTP."""

import queue
import threading

import pytest

from engine.monitor.events.sending import (
    ChainRolledBack,
    ResultConfirmed,
    ResultRepriced,
    ResultSigned,
)
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.troubles import Troubles
from engine.pool.messages import Computed
from engine.runtime.errors import LedgerError
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.tasks.derivation import BlockTask
from engine.txmgr.delivery import (
    ASIDE_BLOCKS,
    DROPPED_AFTER,
    SEND_AGAIN_BLOCKS,
    STUCK_AFTER_BLOCKS,
)
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender
from engine.txmgr.outbox import MAX_IN_FLIGHT
from engine.txmgr.pricing import PRICE_BLOCKS
from engine.txmgr.signer import SenderSettings
from node_client.devnet import Chain, Faults
from node_client.devnet.state import AccountState, Undo
from node_client.errors import BadResponse, WrongChain
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.blocks import to_oneself, transactions
from tests.engine.chain_client import ChainClient
from tests.processes import PATIENCE_SECONDS

KEY = PrivateKey(bytes(31) + b"\x2b")
RICH = PrivateKey(bytes(31) + b"\x2c")
FEE = BASE_GAS[TxType.SUBMIT_RESULT] * 1000
DEPTH = 3


class Rig:
    """A chain, a ledger and a sender that steps when it is told to."""

    def __init__(
        self,
        path,
        balance=UNITS_PER_CPC,
        nonce=0,
        max_gas_price=None,
        confirmed_nonce=None,
        client=ChainClient,
    ):
        self.max_gas_price = max_gas_price
        self.confirmed_nonce = confirmed_nonce
        self.path = path
        accounts = {
            KEY.address: AccountState(balance, nonce),
            RICH.address: AccountState(UNITS_PER_CPC),
        }
        proposer = PrivateKey(bytes(31) + b"\x01")  # so that every run has the same hashes
        self.chain = Chain(accounts, clock=lambda: 1_700_000_000.0, proposer=proposer)
        self.faults = Faults()
        self.faults.bind(self.chain)
        self.client = client(self.chain)
        self.ledger = None
        self.start()

    def start(self):
        """Also again, as after a crash."""
        if self.ledger is not None:
            self.ledger.close()
        self.ledger = Ledger.open(
            self.path,
            chain_id=self.chain.chain_id,
            genesis=self.chain.block(0).hash(),
            address=KEY.address,
        )
        self.inbox = queue.SimpleQueue()
        settings = SenderSettings(
            NETWORKS["devnet"], 1000, DEPTH, self.max_gas_price, self.confirmed_nonce
        )
        put = self.inbox.put
        self.troubles = Troubles(put)
        self.sender = Sender(
            *(self.client, self.ledger, KEY, settings, put, self.troubles, put),
            clock=self.now,
            monotonic=self.now,
        )

    def now(self):
        """As if each block had just been made."""
        return float(self.chain.block(self.chain.height).header.timestamp)

    def answer_tip(self, index=0, height=None):
        """A result for the tip, as a child would have computed it. Gives its task id."""
        block = self.chain.block(self.chain.height if height is None else height)
        task = BlockTask.derive(
            block.hash(), KEY.address, height=block.height, index=index, size=16
        )
        self.ledger.record_block(block.height, block.hash(), 1.0)
        self.ledger.record_computed(task, Computed(1, bytes(32), "01", "cpu", 0.1), 1.0)
        return task.task_id

    def step(self, blocks=0):
        """Make blocks, with a step after each; with none, step once."""
        for _ in range(blocks):
            self.chain.produce()
            self.sender.step()
        if not blocks:
            self.sender.step()
        return self.events()

    def events(self):
        found = []
        while not self.inbox.empty():
            found.append(self.inbox.get())
        return found

    def state(self, task_id):
        (found,) = self.ledger.progress("task_id = ?", task_id)
        return found.state

    def held(self):
        """Task ids on the chain, in order."""
        return [tx.task_id for block in self.chain.blocks() for tx in block.txs if tx.is_result]

    def foreign(self, nonce):
        """The operator spends a nonce by another program."""
        return self.chain.send(to_oneself(KEY, nonce))


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "ledger.sqlite")
    made.step(blocks=3)
    yield made
    made.ledger.close()


def test_a_result_is_signed_sent_included_and_final(rig):
    task_id = rig.answer_tip()
    (signed,) = rig.step()
    assert isinstance(signed, ResultSigned)
    assert rig.state(task_id) == "sent"
    rig.step(blocks=1)
    assert rig.state(task_id) == "included"
    (final,) = rig.step(blocks=DEPTH)
    assert isinstance(final, ResultConfirmed)
    assert (final.task_id, final.fee, final.tx_hash) == (task_id, FEE, signed.tx_hash)
    assert rig.held() == [task_id]


def test_a_result_that_cannot_be_paid_for_does_not_hold_up_one_that_is_signed(tmp_path):
    rig = Rig(tmp_path / "ledger.sqlite", balance=FEE + FEE // 2)
    rig.step(blocks=1)
    paid, unpaid = rig.answer_tip(0), rig.answer_tip(1)
    (signed,) = [event for event in steps_that_fail(rig) if isinstance(event, ResultSigned)]
    assert signed.task_id == paid
    assert rig.state(paid) == "sent"
    for _ in range(1 + DEPTH):
        rig.chain.produce()
        steps_that_fail(rig)
    assert rig.state(paid) == "final"
    assert rig.state(unpaid) == "computed"


def steps_that_fail(rig):
    """One round of the thread: what `step` raises is told."""
    rig.sender.round()
    return rig.events()


def coins(units):
    """The first transfer of a rich account to ours."""
    gas = BASE_GAS[TxType.TRANSFER]
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=RICH.address,
        to_address=KEY.address,
        amount=units,
        fee=gas * 1000,
        nonce=0,
        gas_price=1000,
        gas_limit=gas,
    )
    return draft.signed_by(RICH)


def test_trouble_is_told_once_until_it_passes(tmp_path):
    rig = Rig(tmp_path / "ledger.sqlite", balance=FEE // 2)
    (trouble,) = [event for event in steps_that_fail(rig) if isinstance(event, TroubleBegan)]
    assert trouble.kind == "balance_low"
    assert f"cpc-engine tx send {KEY.address} 10 --from faucet" in trouble.advice
    rig.answer_tip()
    assert steps_that_fail(rig) == []
    assert rig.chain.send(coins(FEE)) is None
    rig.chain.produce()
    told = steps_that_fail(rig)
    assert [event.kind for event in told if isinstance(event, TroubleEnded)] == ["balance_low"]
    assert any(isinstance(event, ResultSigned) for event in told)


def test_a_node_that_takes_questions_but_no_transactions_is_told_of(rig):
    def refuse(name):
        if name == "send":
            raise BadResponse("http://devnet answered 500")

    rig.answer_tip()
    rig.client.before = refuse
    told = steps_that_fail(rig)
    assert [event.message for event in told if isinstance(event, TroubleBegan)] == [
        "http://devnet answered 500"
    ]
    assert steps_that_fail(rig) == []
    rig.client.before = lambda _name: None
    rig.chain.produce()
    told = steps_that_fail(rig)
    assert [event.kind for event in told if isinstance(event, TroubleEnded)] == ["not_sent"]


def test_an_unexpected_error_ends_the_run_and_not_only_the_thread(rig):
    def break_down(name):
        raise ZeroDivisionError("a bug")

    rig.client.before = break_down
    rig.sender.poke()
    rig.sender.start()
    assert isinstance(rig.inbox.get(timeout=PATIENCE_SECONDS), ZeroDivisionError)
    rig.sender.join(timeout=PATIENCE_SECONDS)


def test_a_nonce_that_a_foreign_transaction_took_and_lost_again_is_used_again(rig):
    """The same result at the same nonce gives the same bytes: that is no conflict."""
    task_id = rig.answer_tip()
    rig.step()
    rig.faults.forget(None)
    assert rig.foreign(0) is None
    rig.step(blocks=1)
    assert rig.state(task_id) == "computed"
    rig.chain.roll_back(1, put_back=False)
    rig.chain.produce()
    rig.step(blocks=1)
    rig.step(blocks=DEPTH + SEND_AGAIN_BLOCKS)
    assert rig.state(task_id) == "final"
    assert rig.held() == [task_id]


def test_a_result_gets_another_nonce_only_when_its_first_is_spent_for_good(rig):
    """Else a roll-back of the foreign transaction would let both into blocks."""
    task_id = rig.answer_tip()
    rig.step()
    signed = {live.tx.hash(): live.tx for live in rig.ledger.in_flight()}
    rig.faults.forget(None)
    assert rig.foreign(0) is None
    for _ in range(DEPTH):
        rig.step(blocks=1)
        signed |= {live.tx.hash(): live.tx for live in rig.ledger.in_flight()}
    rig.chain.roll_back(DEPTH, put_back=False)
    for tx in signed.values():  # some other node still had everything that we ever signed
        assert rig.chain.send(tx) is None
    rig.step(blocks=DEPTH + 1 + DEPTH)
    assert rig.held() == [task_id]
    assert rig.state(task_id) == "final"


def test_after_a_foreign_transaction_is_final_the_result_is_signed_anew(rig):
    task_id = rig.answer_tip()
    rig.step()
    rig.faults.forget(None)
    assert rig.foreign(0) is None
    rig.step(blocks=1 + DEPTH)
    rig.step(blocks=1 + DEPTH)
    assert rig.state(task_id) == "final"
    assert rig.held() == [task_id]


def test_a_nonce_seen_spent_is_never_signed_for_though_a_node_lags(rig):
    """The account's answer comes from a node that is behind the blocks that were read."""
    assert rig.foreign(0) is None
    rig.step(blocks=1)
    rig.client.balance = lambda address: type("Old", (), {"balance": UNITS_PER_CPC, "nonce": 0})()
    rig.client.nonce = lambda address, pending=True: 0
    rig.answer_tip()
    rig.step()
    assert [live.tx.nonce for live in rig.ledger.in_flight()] == [1]


def test_a_node_that_is_far_behind_changes_nothing(rig):
    """A node that syncs from its beginning, behind a failover, rolls nothing back."""
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=1 + DEPTH)
    for _ in range(400):
        rig.step(blocks=1)
    before = rig.ledger.scan_position()
    behind = Chain({KEY.address: UNITS_PER_CPC}, clock=lambda: 1_700_000_000.0)
    behind._links = rig.chain._links[:20]
    rig.client.chain = behind
    assert rig.step() == []
    assert rig.ledger.scan_position() == before
    assert rig.state(task_id) == "final"


def test_a_chain_that_began_anew_is_told_and_ends_the_run(rig):
    """A devnet that was started again serves the same chain id, and another genesis."""
    rig.client.chain = Chain({KEY.address: 1}, clock=lambda: 1_800_000_000.0)
    with pytest.raises(LedgerError, match="another chain"):
        rig.step(blocks=0)


def test_a_long_absence_delays_no_fresh_result(rig):
    """Thousands of blocks to read, and yet the first step sends what was just computed."""
    old = rig.answer_tip()
    rig.step()
    rig.step(blocks=1)
    assert rig.state(old) == "included"
    for _ in range(500):
        rig.chain.produce()
    rig.start()
    fresh = rig.answer_tip()
    rig.client.blocks_read = 0
    rig.step()
    assert rig.client.blocks_read <= 100
    assert rig.state(fresh) == "sent"
    rig.chain.produce()
    while rig.sender.behind:
        rig.step()
    rig.step()
    assert rig.state(old) == "final"
    assert rig.state(fresh) == "included"
    assert rig.held() == [old, fresh]


def test_reading_many_blocks_ends_soon_after_it_is_asked_to(rig):
    for _ in range(300):
        rig.chain.produce()
    asked = []

    def stop_at_the_tenth(name):
        asked.append(name)
        if asked.count("block") == 10:
            rig.sender.stop()

    rig.client.before = stop_at_the_tenth
    rig.step()
    assert asked.count("block") == 10


@pytest.fixture
def old_rig(tmp_path):
    """An account that was used before: the first ten nonces, of one digit, may not be mixed with
    those of two while they are unspent, as one text could be read as the other."""
    made = Rig(tmp_path / "ledger.sqlite", nonce=1000, confirmed_nonce=1000)
    made.step(blocks=3)
    yield made
    made.ledger.close()


def test_more_results_than_may_be_in_flight_go_out_bit_by_bit(old_rig):
    rig = old_rig
    tasks = [rig.answer_tip(index, height) for height in (1, 2, 3) for index in range(16)]
    rig.step()
    assert len(rig.ledger.in_flight()) == MAX_IN_FLIGHT
    rig.step(blocks=2 + DEPTH)
    assert {rig.state(task_id) for task_id in tasks} == {"final"}
    # All of them out of the chain at once: more in flight than may be, and a foreign one below.
    rig.chain.roll_back(2 + DEPTH, put_back=False)
    for _ in range(3 + DEPTH):
        rig.chain.produce()
    more = [rig.answer_tip(), rig.answer_tip(1)]
    rig.step()
    assert len(rig.ledger.in_flight()) == len(tasks)
    rig.step(blocks=3 + DEPTH)
    assert {rig.state(task_id) for task_id in tasks + more} == {"final"}
    assert len(rig.held()) == len(tasks + more)


def test_a_gap_is_filled_though_as_many_are_in_flight_as_may_be(old_rig):
    """All that wait behind a gap are sent in vain: only a new one at its nonce helps them."""
    rig = old_rig
    assert rig.foreign(1000) is None
    rig.step(blocks=1)
    for index in range(16):
        rig.answer_tip(index, 2)
        rig.answer_tip(index, 3)
    rig.step()
    assert len(rig.ledger.in_flight()) == MAX_IN_FLIGHT
    rig.chain.roll_back(1, put_back=False)  # and with it the foreign transaction
    rig.faults.forget(None)
    rig.step(blocks=2)
    rig.answer_tip()
    rig.step(blocks=4 + DEPTH)
    assert rig.ledger.in_flight() == []
    assert {result.state for result in rig.ledger.progress()} == {"final"}
    assert len(rig.held()) == MAX_IN_FLIGHT + 1


def test_a_transaction_that_is_dropped_again_and_again_gives_its_nonce_to_the_next(rig):
    """And is signed again later: no node's word gives a result up."""
    doomed = rig.answer_tip()
    rig.step()
    (live,) = rig.ledger.in_flight()
    rig.faults.drop(live.tx)
    rig.step(blocks=DROPPED_AFTER * SEND_AGAIN_BLOCKS + 1)
    assert rig.state(doomed) == "computed"
    fresh = rig.answer_tip()
    rig.step()
    rig.step(blocks=1 + DEPTH)
    assert rig.state(fresh) == "final"
    assert rig.chain.account(KEY.address).nonce == 1
    rig.faults.clear()
    rig.step(blocks=ASIDE_BLOCKS + 2 + DEPTH)
    assert rig.held() == [fresh, doomed]


def test_a_result_whose_block_is_gone_is_given_up_and_never_called_final(rig):
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=1)
    rig.chain.roll_back(2, put_back=True)
    events = rig.step(blocks=2)
    assert any(isinstance(event, ChainRolledBack) for event in events)
    events += rig.step(blocks=DEPTH + 2)
    assert rig.held() == [task_id]  # the node had it still: worthless, and on the chain
    assert rig.state(task_id) == "given_up"
    assert not any(isinstance(event, ResultConfirmed) for event in events)
    # And once it is out of the chain it is not sent again.
    rig.chain.roll_back(rig.chain.height - 2, put_back=False)
    rig.step(blocks=DEPTH + 6)
    assert rig.held() == []
    assert rig.ledger.in_flight() == []


def test_a_result_comes_back_with_its_block(rig):
    """A roll-back that was itself rolled back."""
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=1)
    links = list(rig.chain._links)
    rig.chain.roll_back(2, put_back=False)
    rig.step(blocks=2)
    assert rig.state(task_id) == "given_up"
    state = rig.chain._state
    rig.chain.roll_back(2, put_back=False)
    for link in links[-2:]:
        for tx in transactions(link.block):
            assert state.apply(tx, Undo()) is None
        rig.chain._links.append(link)
    rig.step(blocks=1)
    rig.step(blocks=DEPTH)
    assert rig.state(task_id) == "final"


def test_a_tip_that_moves_between_two_questions_is_read_at_the_next_step(rig):
    task_id = rig.answer_tip()
    rig.step()

    def move(name):
        if name == "balance":
            rig.chain.produce()

    rig.client.before = move
    rig.step()
    rig.client.before = lambda name: None
    for _ in range(2):
        rig.step(blocks=1)
    assert rig.state(task_id) == "included"
    assert rig.held() == [task_id]


def test_a_closed_ledger_ends_the_thread_without_a_word(rig, capsys):
    """The run is over, and the thread still hung in a question to the node."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(name):
        asked.set()
        assert go_on.wait(PATIENCE_SECONDS)

    rig.client.before = hang
    rig.sender.poke()
    rig.sender.start()
    assert asked.wait(PATIENCE_SECONDS)
    rig.sender.stop()
    rig.ledger.close()
    go_on.set()
    rig.sender.join(timeout=PATIENCE_SECONDS)
    assert not rig.sender.is_alive()
    assert capsys.readouterr().err == ""
    rig.start()


@pytest.fixture
def rich_rig(tmp_path):
    """An operator who allows three times the price."""
    made = Rig(tmp_path / "rich.sqlite", max_gas_price=3000)
    made.step(blocks=3)
    yield made
    made.ledger.close()


def prices(rig):
    return [tx.gas_price for block in rig.chain.blocks() for tx in transactions(block)]


def test_a_stuck_transaction_is_sent_for_more_only_where_that_was_asked(rig, rich_rig):
    for made in (rig, rich_rig):
        task_id = made.answer_tip()
        made.step()
        (live,) = made.ledger.in_flight()
        made.faults.drop(live.tx)  # a proposer that wants more, and takes it where it is offered
        events = made.step(blocks=STUCK_AFTER_BLOCKS + SEND_AGAIN_BLOCKS + 1 + DEPTH)
        repriced = [event for event in events if isinstance(event, ResultRepriced)]
        if made is rig:
            assert (repriced, prices(made)) == ([], [])
        else:
            assert [event.gas_price for event in repriced] == [2000]
            assert prices(made) == [2000]
            assert made.state(task_id) == "final"


def test_the_price_rises_no_further_than_allowed(rich_rig):
    rig = rich_rig
    task_id = rig.answer_tip()
    rig.step()
    signed = set()
    for _ in range(40):
        for live in rig.ledger.in_flight():
            signed.add(live.tx.gas_price)
            rig.faults.drop(live.tx)
        rig.step(blocks=1)
    assert signed == {1000, 2000, 3000}
    rig.step(blocks=TASK_LIFETIME_BLOCKS)
    assert rig.state(task_id) == "given_up"


def test_whichever_of_two_prices_a_block_holds_is_the_results(rich_rig):
    """The cheap one comes back from another node after the dear one was signed."""
    rig = rich_rig
    task_id = rig.answer_tip()
    rig.step()
    (cheap,) = rig.ledger.in_flight()
    rig.faults.drop(cheap.tx)
    while len(rig.ledger._read("SELECT 1 FROM transactions")) < 2:
        rig.step(blocks=1)
    rig.faults.clear()
    rig.faults.forget(None)
    assert rig.chain.send(cheap.tx) is None
    rig.step(blocks=1 + DEPTH)
    assert rig.state(task_id) == "final"
    assert rig.held() == [task_id]
    assert prices(rig) == [1000]


def test_a_price_that_the_node_raised_is_paid_where_allowed(rig, rich_rig):
    for made, state in ((rig, "sent"), (rich_rig, "final")):
        made.chain._mempool._min_gas_price = 1500
        first = made.answer_tip()
        made.step()
        made.step(blocks=1 + DEPTH)
        assert made.state(first) == state
    second = rich_rig.answer_tip()
    assert [type(event) for event in rich_rig.step()] == [ResultSigned]  # at the new price at once
    rich_rig.step(blocks=1 + DEPTH)
    assert rich_rig.state(second) == "final"
    assert prices(rich_rig) == [2000, 2000]
    assert rig.troubles.lasts("gas_price")
    rig.chain._mempool._min_gas_price = 1000
    rig.step(blocks=SEND_AGAIN_BLOCKS + 1 + DEPTH)
    assert not rig.troubles.lasts("gas_price")
    assert prices(rig) == [1000]


def test_the_price_falls_again_when_the_node_takes_less(rich_rig):
    rig = rich_rig
    rig.chain._mempool._min_gas_price = 1500
    rig.answer_tip()
    rig.step()
    rig.chain._mempool._min_gas_price = 1000
    rig.step(blocks=PRICE_BLOCKS)
    rig.answer_tip()
    rig.step()
    rig.step(blocks=1)
    assert prices(rig) == [2000, 1000]


def test_a_node_on_another_chain_ends_the_run(rig):
    def wrong(_name):
        raise WrongChain("http://devnet serves another chain")

    rig.client.before = wrong
    with pytest.raises(LedgerError, match="another chain"):
        rig.sender.round()
