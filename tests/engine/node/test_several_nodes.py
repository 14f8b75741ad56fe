"""Mining with several nodes of which one does not answer, or lies: real nodes over HTTP."""

import sqlite3
from contextlib import closing

import pytest

from engine.mining.config import MiningConfig
from engine.node.node import run_node
from engine.node.request import NodeRequest
from engine.runtime.errors import SetupError
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.transaction import BASE_GAS, TxType
from tests.processes import wait_until
from tests.variants import quick_and_slow

KEY = PrivateKey(bytes(31) + b"\x2b")
BLOCK_TIME = 0.3


@pytest.fixture
def devnet():
    with DevnetServer(block_time=BLOCK_TIME, balances={KEY.address: 10 * UNITS_PER_CPC}) as server:
        yield server


def mine(urls, tmp_path, *, blocks=1, report=None):
    """Answer so many blocks; return the events."""
    events = []
    request = NodeRequest(
        urls=urls,
        mining=MiningConfig(size=64, blocks=blocks),
        ledger=tmp_path / "ledger.sqlite",
        depth=2,
        devices=("cpu",),
        threads=1,
    )

    def keep(event):
        events.append((event.event, event.fields()))
        if report is not None:
            report(event)

    run_node(request, KEY, keep)
    return events


def warnings(events):
    return [fields["name"] for event, fields in events if event == "warning"]


def test_one_warning_for_plain_http_and_one_for_a_silent_node(devnet, tmp_path):
    not_loopback = f"http://0.0.0.0:{devnet.port}"
    events = mine([not_loopback, "http://127.0.0.1:9"], tmp_path)
    assert sorted(warnings(events)) == ["node", "transport"]


def test_nodes_of_two_chains_end_the_start_with_exit_code_2(devnet, tmp_path):
    with (
        DevnetServer(genesis_time=1.9e9) as other,
        pytest.raises(SetupError, match="different chains") as caught,
    ):
        mine([other.url, devnet.url], tmp_path)
    assert caught.value.exit_code == 2


LIES = {
    "a chain of its own": lambda liar: liar.faults.forge(depth=1),
    "an absurd height": lambda liar: liar.faults.lie("tip", value=2**63 - 1),
    "received, and kept nothing": lambda liar: liar.faults.lie("nothing_kept"),
}
MORE_LIES = {
    "a chain of its own from the start": lambda liar: liar.faults.forge(
        depth=liar.chain.height - 1
    ),
    "a height one above": lambda liar: liar.faults.lie("tip", value=liar.chain.height + 1),
    "a height beyond 2^63": lambda liar: liar.faults.lie("tip", value=2**63),
    "no money": lambda liar: liar.faults.lie("balance", value=0),
    "all money": lambda liar: liar.faults.lie("balance", value=10**60),
    "a huge nonce": lambda liar: liar.faults.lie("nonce", value=2**63 - 1),
    "nonce 0": lambda liar: liar.faults.lie("nonce", value=0),
    "a refusal": lambda liar: liar.faults.lie("refusal", value="insufficient_balance"),
    "garbage for sends": lambda liar: liar.faults.lie("garbage", path="/tx/send"),
    "always behind": lambda liar: liar.faults.lie("behind", value=1),
    "503 for ever": lambda liar: liar.faults.unavailable(3600.0),
}
CASES = quick_and_slow([*LIES][:1], [*LIES, *MORE_LIES][1:])


def paid(devnet):
    """Tasks on the chain, after a look at what each of them cost and that none is there twice."""
    results = [
        tx for block in devnet.chain.blocks() for tx in block.txs if tx.from_address == KEY.address
    ]
    tasks = [tx.compute_result().task_id for tx in results]
    assert [tx.nonce for tx in results] == list(range(len(results)))
    assert len(set(tasks)) == len(tasks)
    fees = len(results) * BASE_GAS[TxType.SUBMIT_RESULT] * NETWORKS["devnet"].min_gas_price
    assert devnet.chain.account(KEY.address).balance == 10 * UNITS_PER_CPC - fees
    return tasks


@pytest.mark.parametrize("lie", CASES)
def test_results_of_the_honest_chain_are_sent_whatever_the_first_node_says(devnet, tmp_path, lie):
    with devnet.follower() as liar:
        wait_until(lambda: devnet.chain.height >= 4, "some blocks")
        (LIES | MORE_LIES)[lie](liar)
        events = mine([liar.url, devnet.url], tmp_path, blocks=2)
    hashes = {block.hash() for block in devnet.chain.blocks()}
    signed = [fields["task_id"] for event, fields in events if event == "signed"]
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger:
        worked = {h for (h,) in ledger.execute("SELECT hash FROM blocks WHERE skipped IS NULL")}
    assert worked
    assert worked <= hashes
    assert sorted(signed) == sorted(paid(devnet))
    assert len(signed) >= 2
