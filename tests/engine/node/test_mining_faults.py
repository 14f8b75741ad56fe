"""Mining while the node forgets, rolls back, fails and lies: real faults of a real devnet."""

import contextlib
import threading
import time

import pytest

from engine.mining.config import MiningConfig
from engine.node.node import run_node
from engine.node.request import NodeRequest
from engine.runtime.errors import EngineError, NoDevice, SetupError
from engine.tasks.verification import verify_block
from node_client.ambiguity import sign_safely
from node_client.devnet import DevnetServer, Lie
from node_client.errors import NodeUnreachable
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.blocks import strange_transactions
from tests.engine.logs import Log
from tests.processes import PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow

KEY = PrivateKey(bytes(31) + b"\x2a")
BLOCK_TIME = 0.25


@pytest.fixture
def devnet():
    with DevnetServer(block_time=BLOCK_TIME, balances={KEY.address: 10 * UNITS_PER_CPC}) as server:
        yield server


@contextlib.contextmanager
def mining(devnet, tmp_path, **request):
    """Mine in a thread while the body makes trouble; afterwards everything must have ended well."""
    log = Log()
    request = {"depth": 3, "devices": ("cpu",), "threads": 1} | request
    ask = NodeRequest(
        urls=[devnet.url],
        mining=MiningConfig(size=64, blocks=request.pop("blocks", None)),
        ledger=tmp_path / "ledger.sqlite",
        **request,
    )

    def run():
        try:
            log.summary = run_node(ask, KEY, log).mining
        except EngineError as error:
            log.error = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield log
    finally:
        thread.join(timeout=2 * PATIENCE_SECONDS)
        assert not thread.is_alive(), log.events[-8:]


def judge(devnet, log):
    """Every result final or given up, each on the chain once, in nonce order, and right."""
    assert log.error is None, log.error
    results = log.summary.results
    assert {result.state for result in results} <= {"final", "given_up"}
    client = NodeClient([devnet.url])
    held = {}
    for block in devnet.chain.blocks():
        for verdict in verify_block(client, block.height, size=64, least_openings=16).results:
            if verdict.worker_address == KEY.address and verdict.task_height is not None:
                assert verdict.task_id not in held, "one task twice on the chain"
                held[verdict.task_id] = verdict
    for result in results:
        if result.state == "final":
            assert held[result.task_id].right, held[result.task_id]
            assert devnet.chain.block(result.included_height) is not None
    return results


def test_a_forgotten_transaction_is_sent_again(devnet, tmp_path):
    with mining(devnet, tmp_path, blocks=6) as log:
        for count in (1, 3):
            log.wait("signed", count)
            devnet.faults.forget(None)
    results = judge(devnet, log)
    skipped = len(log.all("skipped"))  # a busy machine may need more than a block for a task
    assert [result.state for result in results] == ["final"] * (6 - skipped)


def test_roll_backs_are_survived(devnet, tmp_path):
    with mining(devnet, tmp_path, blocks=14, depth=6) as log:
        for blocks, put_back in ((1, True), (3, False), (2, False)):
            log.wait("signed", len(log.all("signed")) + 2)
            devnet.faults.roll_back(blocks, put_back=put_back)
    results = judge(devnet, log)
    assert log.all("rolled_back")
    for result in results:
        if result.state == "given_up":
            assert "rolled back" in result.reason
    assert sum(result.state == "final" for result in results) >= 6 - len(log.all("skipped"))


def test_a_node_that_is_away_for_a_while(devnet, tmp_path):
    with mining(devnet, tmp_path, blocks=8) as log:
        log.wait("signed", 2)
        devnet.faults.unavailable(1.5)
        log.wait("trouble", kind="node_away")
        log.wait("trouble_over", kind="node_away")
        devnet.stop()
        log.wait("trouble", 2, kind="node_away")
        devnet.start()
        log.wait("trouble_over", 2, kind="node_away")
        devnet.faults.syncing(1.5)
        log.wait("trouble", 3, kind="node_away")
        log.wait("trouble_over", 3, kind="node_away")
    assert {result.state for result in judge(devnet, log)} == {"final"}


def test_a_clock_that_jumps_costs_no_block(devnet, tmp_path, monkeypatch):
    """Set a day ahead by NTP, then two back, while blocks come."""
    right, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: right() + ahead[0])
    with mining(devnet, tmp_path, blocks=8) as log:
        for count, jump in ((2, 86_400.0), (4, -86_400.0)):
            log.wait("signed", count)
            ahead[0] = jump
    results = judge(devnet, log)
    assert [result.state for result in results] == ["final"] * (8 - len(log.all("skipped")))
    assert not log.all("child_killed")


MORE_LIES = [Lie.BLOCK_HASH, Lie.GARBAGE, Lie.HALF_BODY, Lie.HEIGHT]


@pytest.mark.parametrize(
    "lie",
    quick_and_slow([Lie.ALTERED_RESULT], [Lie.CHAIN_ID, *MORE_LIES]),
)
def test_a_lying_node_is_not_believed(devnet, tmp_path, lie):
    with mining(devnet, tmp_path, blocks=5) as log:
        log.wait("signed", 1)
        devnet.faults.lie(lie, times=4)
        height = devnet.chain.height
        wait_until(lambda: devnet.chain.height >= height + 4, "four blocks")
        devnet.faults.clear()
    assert {result.state for result in judge(devnet, log)} == {"final"}


def test_a_foreign_transaction_of_the_same_key_takes_the_nonce(devnet, tmp_path):
    """The operator sends coins with cpc-cli while the engine mines with the same key."""
    client = NodeClient([devnet.url])
    with mining(devnet, tmp_path, blocks=8) as log:
        sent = 0
        while sent < 3:
            log.wait("signed", len(log.all("signed")) + 1)
            nonce = client.nonce(KEY.address)
            draft = Transaction(
                tx_type=TxType.TRANSFER,
                from_address=KEY.address,
                to_address=devnet.faucet.address,
                amount=UNITS_PER_CPC,
                fee=BASE_GAS[TxType.TRANSFER] * 1000,
                nonce=nonce,
                gas_price=1000,
                gas_limit=BASE_GAS[TxType.TRANSFER],
            )
            tx = sign_safely(draft, KEY, first_unspent=nonce, min_gas_price=1000)
            sent += devnet.chain.send(tx) is None
    assert {result.state for result in judge(devnet, log)} == {"final"}


def test_a_restart_sends_the_same_bytes_again(devnet, tmp_path):
    with mining(devnet, tmp_path, blocks=2) as log:
        pass
    first = {result.task_id: result.tx_hash for result in judge(devnet, log)}
    with mining(devnet, tmp_path, blocks=2) as log:
        pass
    judge(devnet, log)
    assert log.all("gap") or log.summary.blocks_seen == 2
    on_chain = [tx.hash() for block in devnet.chain.blocks() for tx in block.txs]
    for tx_hash in first.values():
        assert on_chain.count(tx_hash) == 1


def test_an_account_without_coins_is_told_what_to_do(devnet, tmp_path):
    poor = PrivateKey.generate()
    ask = NodeRequest([devnet.url], MiningConfig(), ledger=tmp_path / "ledger.sqlite")
    with pytest.raises(SetupError, match="insufficient balance") as caught:
        run_node(ask, poor, Log())
    assert f"cpc-engine tx send {poor.address} 10 --from faucet" in caught.value.advice


def test_no_device_in_service_ends_the_run(devnet, tmp_path):
    with mining(devnet, tmp_path, blocks=2, devices=("cuda:7",)) as log:
        pass
    assert isinstance(log.error, NoDevice)


def test_no_node_at_the_start(tmp_path):
    with pytest.raises(NodeUnreachable):
        run_node(
            NodeRequest(
                ["http://127.0.0.1:9"], waits=False, mining=MiningConfig(), ledger=tmp_path / "l"
            ),
            KEY,
            Log(),
        )


def test_mining_goes_on_through_strangers_transactions_of_every_kind(devnet, tmp_path):
    strange = strange_transactions()
    with mining(devnet, tmp_path, blocks=4) as log:
        log.wait("signed")
        for raw in strange:
            devnet.faults.include(raw)
        held = devnet.chain.height
        wait_until(lambda: devnet.chain.height > held, "the block that holds them")
        for raw in strange[:8]:  # those whose roots fit
            devnet.faults.include(raw)
    results = judge(devnet, log)
    assert [result.state for result in results] == ["final"] * len(results)
    assert len(results) >= 3
    assert log.all("unreadable")
    (trouble,) = log.all("trouble", kind="unreadable_blocks")
    assert not trouble["stops"]
