"""The head watcher against a devnet that lies, stands still or is behind."""

import contextlib
import queue
import time

import pytest

from engine.mining.chain_health import ChainHealth
from engine.mining.head_watcher import HeadWatcher, NewTip
from engine.mining.run_record import RunRecord
from engine.monitor.events.mining import BlocksMissed
from engine.monitor.events.trouble import MEANING, TroubleEnded
from engine.monitor.http.health import health
from engine.monitor.state import Monitor
from engine.monitor.troubles import Troubles
from engine.txmgr.ledger import Ledger
from node_client.devnet import DevnetServer, Lie
from node_client.devnet.proposer import Proposer
from node_client.errors import InvalidData
from node_client.rpc import NodeClient, NodeStatus, Retries
from tests.engine.chain_client import ChainClient
from tests.processes import PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow

HIGHEST = 2**63 - 1
BLOCK_TIME = 0.25
ONCE = Retries(rounds=1)


class Watched:
    """A watcher that runs, what it puts into its inbox, and how the engine's health is."""

    def __init__(self, client, chain_id, block_time=5.0):
        self.inbox = queue.SimpleQueue()
        self.told = []
        self.monitor = Monitor(self.told.append)
        self.thread = HeadWatcher(
            client, self.inbox, Troubles(self.monitor), chain_id=chain_id, block_time=block_time
        )

    def reasons(self):
        return health(self.monitor.snapshot()).reasons

    def tip(self, least=0):
        """The next tip that is at least so high."""
        while True:
            event = self.inbox.get(timeout=PATIENCE_SECONDS)
            assert isinstance(event, NewTip), event
            if event.height >= least:
                return event

    def wait(self, kind):
        """Until the trouble lasts, and `/healthz` says so."""
        wait_until(lambda: MEANING[kind] in self.reasons(), lambda: f"{kind} in {self.told}")

    def wait_over(self, kind):
        def is_over():
            return any(isinstance(e, TroubleEnded) and e.kind == kind for e in self.told)

        wait_until(is_over, lambda: f"the end of {kind} in {self.told}")
        assert MEANING[kind] not in self.reasons()


@contextlib.contextmanager
def watching(client, chain_id):
    watched = Watched(client, chain_id)
    watched.thread.start()
    try:
        yield watched
    finally:
        watched.thread.stopping.set()
        watched.thread.join(timeout=PATIENCE_SECONDS)
        assert not watched.thread.is_alive()


@pytest.fixture
def devnet():
    """A chain of a minute, so that a node can be behind."""
    start = time.time() - 60
    with DevnetServer(block_time=BLOCK_TIME, genesis_time=start) as server:
        wait_until(lambda: server.chain.due() > time.time())
        yield server


@pytest.fixture
def watched(devnet):
    with watching(NodeClient([devnet.url], retries=ONCE), devnet.chain.chain_id) as watched:
        yield watched


def test_a_chain_that_stands_still_is_told_until_it_goes_on(devnet, watched):
    watched.tip()
    devnet.faults.hold(PATIENCE_SECONDS)
    watched.wait("chain_silent")
    devnet.faults.clear()
    watched.wait_over("chain_silent")


def test_late_rounds_and_catching_up_teach_no_block_time(devnet, watched):
    watched.tip()
    for rounds in (3, 1):
        devnet.faults.late_rounds(rounds)
        late = devnet.chain.height + 1
        tip = watched.tip(late + 2 * rounds)
        assert any(devnet.chain.block(h).header.round for h in (late, late + 1))
        assert tip.block_time == pytest.approx(BLOCK_TIME, abs=1 / 32)  # whole seconds in 64 blocks
    assert watched.told == []


def test_a_node_that_is_behind_is_told_until_it_is_not(devnet, watched):
    devnet.faults.lie(Lie.BEHIND, value=200)
    watched.wait("node_behind")
    devnet.faults.clear()
    watched.tip(devnet.chain.height)
    watched.wait_over("node_behind")


@pytest.mark.parametrize(
    ("lie", "path", "value"),
    quick_and_slow(
        [(Lie.BLOCK_HASH, "/block/", None), (Lie.TIP, "/status", HIGHEST)],
        [(Lie.CHAIN_ID, "/block/", None), (Lie.TIP, "/status", 10**6)],
    ),
)
def test_a_tip_that_is_refused_is_told_and_the_honest_one_seen_afterwards(
    devnet, watched, lie, path, value
):
    watched.tip()
    devnet.faults.lie(lie, path=path, value=value)
    watched.wait("tip_refused")
    assert MEANING["node_away"] not in watched.reasons()
    devnet.faults.clear()
    watched.tip(devnet.chain.height)
    watched.wait_over("tip_refused")


def test_a_node_that_is_away_is_not_one_that_lies(devnet, watched):
    watched.tip()
    devnet.faults.lie(Lie.CHAIN_ID)
    watched.wait("tip_refused")
    devnet.faults.unavailable(PATIENCE_SECONDS)
    watched.wait("node_away")
    devnet.faults.clear()
    watched.wait_over("node_away")
    watched.wait_over("tip_refused")


class Forger(ChainClient):
    """Names a block far ahead as the tip, and serves it, signed as a block is, until told not to."""

    height = HIGHEST

    def __init__(self, chain):
        super().__init__(chain)
        self.lies = 0
        self.honest = False

    def status(self):
        status = super().status()
        if self.honest:
            return status
        self.lies += 1
        return NodeStatus(
            **status.model_dump() | {"height": self.height, "last_hash": self._hash()}
        )

    def block(self, height, *, expected_hash=None):
        if height != self.height:
            return super().block(height, expected_hash=expected_hash)
        return self._forged()

    def _forged(self):
        honest = self.chain.block(self.chain.height).header
        return Proposer(self.chain.proposer, honest.chain_id, honest.gas_limit).make_block(
            self.height,
            prev_hash=honest.prev_hash,
            timestamp=honest.timestamp,
            round_=0,
            state_root=honest.state_root,
            txs=[],
        )

    def _hash(self):
        return self._forged().hash()


def test_a_forged_block_far_ahead_is_no_tip(devnet):
    client = Forger(devnet.chain)
    with watching(client, devnet.chain.chain_id) as watched:
        wait_until(lambda: client.lies >= 2)
        client.honest = True
        assert watched.tip().height <= devnet.chain.height
        watched.tip(devnet.chain.height + 1)


def test_blocks_after_a_lie_are_counted_as_before(tmp_path):
    """A tip some blocks ahead can be: it is a block as any, until the chain shows that it is not."""
    with Ledger.open(tmp_path / "l", chain_id="c", genesis="0" * 64, address="cpc1a") as ledger:
        told = []
        record = RunRecord(ledger, told.append)
        for height in (10, 50_000, 11, 14):
            tip = NewTip(height, f"{height:064x}", 0.0, 5.0)
            assert record.is_new(tip)
            record.begin(tip, 1)
            assert not record.is_new(tip)
        gaps = [(gap.first, gap.last) for gap in told if isinstance(gap, BlocksMissed)]
        assert gaps == [(11, 49_999), (12, 13)]
        again = RunRecord(ledger, told.append)
        again.begin(NewTip(20, "a" * 64, 0.0, 5.0), 1)
        assert (told[-1].first, told[-1].last) == (15, 19)


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_clock_that_is_set_says_nothing_about_the_node(devnet, jump):
    clock = [devnet.chain.block(devnet.chain.height).header.timestamp + 1.0]
    told = []
    seen = ChainHealth(Troubles(told.append), lambda: clock[0], lambda: 0.0)
    clock[0] += jump
    seen.see(devnet.chain.block(devnet.chain.height).header, 5.0)
    seen.refuse_absurd(devnet.chain.height + 10**5, 5.0)
    with pytest.raises(InvalidData, match="cannot have been made by now"):
        seen.refuse_absurd(devnet.chain.height + 10**5 + 1, 5.0)
    assert told == []


def test_what_the_sender_tells_of_a_node_behind_is_not_ended_by_a_fresh_tip(devnet):
    told = []
    troubles = Troubles(told.append)
    seen = ChainHealth(troubles)
    troubles.begin("node_behind", "fewer blocks than were read before", "Wait.")
    header = devnet.chain.block(devnet.chain.height).header
    seen.see(header, BLOCK_TIME)
    assert troubles.lasts("node_behind")
    assert [event.event for event in told] == ["trouble"]
