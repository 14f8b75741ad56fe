"""Results of a block go out together and first; a crash, or a node that goes, in the middle of them."""

import subprocess
import sys

import pytest

from engine.monitor.events.sending import ResultSigned
from engine.runtime.errors import LedgerError
from node_client.devnet import DevnetServer
from node_client.devnet.state import AccountState
from node_client.errors import NodeUnreachable
from tests.engine.chain_client import ChainClient
from tests.engine.txmgr.test_manager import KEY, Rig
from tests.processes import PATIENCE_SECONDS, wait_until

TASKS = 8


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "ledger.sqlite")
    made.step(blocks=3)
    yield made
    made.ledger.close()


def asked_of(rig):
    """Note every question from now on."""
    asked = []
    rig.client.before = asked.append
    return asked


def new_block(rig, tasks=range(TASKS)):
    """A block comes, as the mining loop tells it, and its results are computed."""
    tip = rig.chain.produce()
    rig.sender.block_came(tip.height, tip.hash(), tip.header.prev_hash, results=True)
    return [rig.answer_tip(index) for index in tasks]


def test_results_of_a_block_are_sent_before_it_is_read(rig):
    tasks = new_block(rig)
    asked = asked_of(rig)
    assert rig.sender.send_fresh()
    assert set(asked) == {"send"}
    assert [rig.state(task) for task in tasks] == ["sent"] * TASKS
    rig.step(blocks=1)
    assert rig.held() == tasks


def test_results_that_come_while_others_are_sent_go_before_a_step_that_is_due(rig):
    """Reading a block with sixteen results takes longer than sending them."""
    new_block(rig, tasks=[0])
    asked = []

    def come(question):
        asked.append(question)
        if question == "send" and asked.count("send") < TASKS:
            rig.answer_tip(asked.count("send"))
            rig.sender.results_came(lambda: None)
            rig.sender.poke()

    rig.client.before = come
    rig.sender.results_came(lambda: None)
    rig.sender.start()
    wait_until(lambda: "status" in asked, "the step")
    rig.sender.stop()
    rig.sender.join()
    assert asked.index("status") == TASKS


def test_results_without_end_do_not_keep_a_step_off(rig):
    new_block(rig, tasks=[0])
    asked = []

    def come(question):
        asked.append(question)
        rig.sender.results_came(lambda: None)

    rig.client.before = come
    rig.sender.results_came(lambda: come(""))
    rig.sender.start()
    wait_until(lambda: "status" in asked, "the step")
    rig.sender.stop()
    rig.sender.join()


def test_a_block_that_does_not_follow_is_read_first(rig):
    rig.chain.produce()
    new_block(rig)
    asked = asked_of(rig)
    assert not rig.sender.send_fresh()
    assert asked == []
    rig.step()
    assert rig.sender.send_fresh()


def test_nothing_goes_out_that_is_not_on_the_disk(rig):
    """Each transaction that a node is handed is in the ledger's file already, signed."""
    seen = []

    class Looks(ChainClient):
        def send(self, tx):
            signed = rig.ledger.in_flight()
            assert tx in [live.tx for live in signed]
            assert not rig.ledger._database._db.in_transaction
            seen.append(tx.hash())
            return super().send(tx)

    rig.client = Looks(rig.chain)
    rig.start()
    rig.step()
    new_block(rig)
    assert rig.sender.send_fresh()
    assert len(seen) == TASKS


def test_a_group_for_which_the_disk_has_no_room_is_neither_told_nor_sent(rig):
    tasks = new_block(rig)
    rig.events()
    asked = asked_of(rig)
    sql = rig.ledger._database._db.execute
    sql(f"PRAGMA max_page_count = {sql('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(LedgerError, match="disk is full"):
        rig.sender.send_fresh()
    assert "send" not in asked
    assert [event for event in rig.events() if isinstance(event, ResultSigned)] == []
    assert [rig.state(task) for task in tasks] == ["computed"] * TASKS
    sql("PRAGMA max_page_count = 1000000")
    told = [event.task_id for event in rig.step() if isinstance(event, ResultSigned)]
    assert told == tasks
    rig.step(blocks=1)
    assert rig.held() == tasks


@pytest.mark.parametrize("taken", [0, 1, 7])
def test_a_node_that_goes_in_a_group(rig, taken):
    """What it took is written down, and the rest is sent when it is back: each at its own nonce."""
    tasks = new_block(rig)
    left = iter(range(taken))

    def go(question):
        if question == "send" and next(left, None) is None:
            rig.client.down = True
            raise NodeUnreachable("http://devnet does not answer: connection reset")

    rig.client.before = go
    rig.sender.send_fresh()
    assert [rig.state(task) for task in tasks] == ["sent"] * taken + ["signed"] * (TASKS - taken)
    nonces = [live.tx.nonce for live in rig.ledger.in_flight()]
    assert nonces == list(range(nonces[0], nonces[0] + TASKS))
    rig.client.down, rig.client.before = False, lambda _question: None
    rig.step(blocks=2)
    assert rig.held() == tasks


SENDER = """
import sys, time
from pathlib import Path
from engine.monitor.troubles import Troubles
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender
from engine.txmgr.signer import SenderSettings
from node_client.networks import NETWORKS
from node_client.rpc import NodeClient
from tests.engine.txmgr.test_manager import KEY

path, url, chain_id, genesis = sys.argv[1:]
drop = lambda *_: None
with Ledger.open(Path(path), chain_id=chain_id, genesis=genesis, address=KEY.address) as ledger:
    settings = SenderSettings(NETWORKS["devnet"], 1000, 1)
    sender = Sender(NodeClient([url]), ledger, KEY, settings, drop, Troubles(drop), drop)
    sender.start()
    while any(result.state != "final" for result in ledger.progress()):
        sender.poke()
        time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "answers"), [(1, False), (3, True), (5, False), (TASKS, True)]
)
def test_a_crash_with_several_on_the_way(tmp_path, request_, answers):
    """Killed when the node has so many, the last one taken or not: none is lost, and none twice."""
    rig = Rig(tmp_path / "another.sqlite")
    rig.ledger.close()
    balances = {KEY.address: AccountState(10**24)}
    with DevnetServer(block_time=0.2, balances=balances) as devnet:
        chain, send, arrived = devnet.chain, devnet.chain.send, []
        wait_until(lambda: chain.height > 2)
        rig.chain, rig.path, rig.ledger, tip = chain, tmp_path / "ledger.sqlite", None, chain.height
        rig.start()
        tasks = [rig.answer_tip(index, tip) for index in range(TASKS)]
        rig.ledger.close()
        command = [sys.executable, "-c", SENDER, str(rig.path), devnet.url, chain.chain_id]
        command += [chain.block(0).hash()]
        first = subprocess.Popen(command)

        def admit(tx):
            arrived.append(tx)
            refusal = send(tx) if answers or len(arrived) != request_ else None
            if len(arrived) == request_:
                first.kill()
                first.wait()
            return refusal

        chain.send = admit
        first.wait(30)
        assert first.returncode == -9
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        held = [tx.task_id for block in chain.blocks() for tx in block.txs if tx.is_result]
        assert sorted(held) == sorted(tasks)
        nonces = [tx.nonce for block in chain.blocks() for tx in block.txs if tx.is_result]
        assert nonces == list(range(TASKS))
