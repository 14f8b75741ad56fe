"""Each switch does what it says: seen over HTTP, as a client sees it."""

import threading
import time

import pytest
import requests

from node_client.block import Block
from node_client.devnet import Faults, Lie
from node_client.errors import InvalidData, NodeNotReady
from node_client.rpc import NodeClient, Retries
from tests.blocks import served
from tests.processes import PATIENCE_SECONDS


def get(devnet, path: str, **options):
    return requests.get(devnet.url + path, timeout=PATIENCE_SECONDS, **options)


def post(devnet, tx):
    return requests.post(devnet.url + "/tx/send", json=tx.to_json(), timeout=PATIENCE_SECONDS)


@pytest.fixture
def with_result(devnet, make):
    """The devnet, with a result in block 1 and an empty block 2."""
    assert devnet.chain.send(make(devnet.faucet, 0)) is None
    devnet.chain.produce()
    devnet.chain.produce()
    return devnet


def test_unbound_switches_say_so() -> None:
    with pytest.raises(InvalidData):
        Faults().forget()


def test_forget_one_and_all(devnet, make) -> None:
    txs = [make(devnet.faucet, nonce) for nonce in range(3)]
    for tx in txs:
        assert devnet.node.send(tx) is None
    assert devnet.faults.forget(txs[1].hash()) == 1
    assert devnet.faults.forget(txs[1].hash()) == 0
    assert devnet.chain.pending_nonce(devnet.faucet.address) == 1
    assert devnet.faults.forget() == 2
    assert devnet.chain.pending_nonce(devnet.faucet.address) == 0
    assert devnet.chain.produce().txs == ()
    assert get(devnet, f"/tx/{txs[0].hash()}/receipt").json()["status"] == "pending"


def test_drop_holds_until_cleared(devnet, make) -> None:
    tx = make(devnet.faucet, 0)
    devnet.faults.drop(tx)
    for _ in range(2):
        assert post(devnet, tx).json()["status"] == "received"
        assert devnet.chain.produce().txs == ()
        assert devnet.chain.account(devnet.faucet.address).nonce == 0
    devnet.faults.clear()
    devnet.faults.drop(None)
    assert post(devnet, tx).json()["status"] == "received"
    assert devnet.chain.produce().txs == ()
    devnet.faults.clear()
    assert post(devnet, tx).json()["status"] == "received"
    assert devnet.chain.produce().txs == served(tx)


def test_unavailable_is_503_and_carries_nothing_out(devnet, make) -> None:
    devnet.faults.unavailable(30)
    assert get(devnet, "/status").status_code == 503
    assert post(devnet, make(devnet.faucet, 0)).status_code == 503
    assert devnet.chain.status()["mempool_size"] == 0
    devnet.faults.unavailable(0)
    assert get(devnet, "/status").status_code == 200


def test_a_syncing_node_has_no_block(devnet, make) -> None:
    tx = make(devnet.faucet, 0)
    devnet.node.send(tx)
    devnet.chain.produce()
    devnet.faults.syncing(30)
    status = get(devnet, "/status").json()
    assert (status["height"], status["last_hash"], status["epoch"]) == (-1, "0" * 64, 0)
    assert get(devnet, "/block/0").status_code == get(devnet, "/block/1").status_code == 404
    address = devnet.faucet.address
    assert get(devnet, f"/balance/{address}").json()["nonce"] == 0
    assert get(devnet, f"/nonce/{address}").json()["nonce"] == 0
    client = NodeClient([devnet.url], retries=Retries(rounds=1))
    with pytest.raises(NodeNotReady, match="not ready"):
        client.status()
    with pytest.raises(NodeNotReady):
        client.latest_block()
    devnet.faults.syncing(0)
    assert client.status().height == 1
    assert client.nonce(address) == 1


def test_a_client_goes_on_with_a_node_that_is_ready(devnet) -> None:
    devnet.chain.produce()
    with devnet.follower() as empty:
        empty.faults.syncing(60)
        assert NodeClient([empty.url, devnet.url]).status().height == 1


def test_stalled_answers_wait_and_the_request_is_carried_out(devnet, make) -> None:
    devnet.faults.stall(0.6)
    with pytest.raises(requests.Timeout):
        requests.post(
            devnet.url + "/tx/send", json=make(devnet.faucet, 0).to_json(), timeout=(5, 0.2)
        )
    assert devnet.chain.status()["mempool_size"] == 1
    start = time.monotonic()
    assert get(devnet, "/status").status_code == 200
    assert time.monotonic() - start > 0.1


def test_block_hash_lie_breaks_links_and_signature_only(with_result) -> None:
    devnet = with_result
    devnet.faults.lie("block_hash")
    block = Block.read(get(devnet, "/block/1").json())
    assert not block.fault
    assert not block.signature_fits()
    assert block.hash() != devnet.chain.block(2).header.prev_hash
    block = Block.read(get(devnet, "/block/2").json())
    assert block.hash() != get(devnet, "/status").json()["last_hash"]
    assert get(devnet, "/block/3").status_code == 404


def test_altered_result_lie_breaks_the_roots(with_result) -> None:
    devnet = with_result
    devnet.faults.lie(Lie.ALTERED_RESULT, times=1)
    assert not Block.read(get(devnet, "/block/2").json()).fault
    assert Block.read(get(devnet, "/block/1").json()).fault
    assert not Block.read(get(devnet, "/block/1").json()).fault


def test_height_lie_gives_the_neighbour(with_result) -> None:
    devnet = with_result
    devnet.faults.lie("height")
    for asked, given in ((0, 1), (1, 0), (2, 1), (3, 2)):
        block = Block.read(get(devnet, f"/block/{asked}").json())
        assert block == devnet.chain.block(given)
    assert get(devnet, "/block/x").status_code == 422


def test_chain_id_lie(with_result) -> None:
    devnet = with_result
    devnet.faults.lie("chain_id")
    header = get(devnet, "/block/1").json()["header"]
    assert header.pop("chain_id") != devnet.chain.chain_id
    assert header["height"] == 1


def test_tx_hash_lie(devnet, make) -> None:
    tx = make(devnet.faucet, 0)
    devnet.faults.lie("tx_hash", times=1)
    assert get(devnet, "/status").status_code == 200
    answer = post(devnet, tx).json()
    assert answer["status"] == "received"
    assert len(answer["tx_hash"]) == 64
    assert answer["tx_hash"] != tx.hash()
    assert post(devnet, tx).json()["tx_hash"] == tx.hash()


def test_garbage(devnet) -> None:
    devnet.faults.lie("garbage", path="/status")
    answer = get(devnet, "/status")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert get(devnet, "/block/0").json()["header"]["height"] == 0


def test_half_a_body(devnet, make) -> None:
    devnet.faults.lie("half_body", times=1, path="/tx/send")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        post(devnet, make(devnet.faucet, 0))
    assert devnet.chain.status()["mempool_size"] == 1, "it was taken in all the same"
    assert post(devnet, make(devnet.faucet, 0)).json()["error"] == "already_in_pool"


def test_huge_body(devnet) -> None:
    devnet.faults.lie("huge_body", times=1)
    answer = get(devnet, "/status")
    assert len(answer.content) > 10 * 1024 * 1024
    assert answer.json() == get(devnet, "/status").json()


def test_redirect_leads_to_the_truth_and_is_noticed(devnet) -> None:
    devnet.faults.lie("redirect")
    answer = get(devnet, "/nonce/x?pending=false", allow_redirects=False)
    assert answer.status_code == 307
    assert devnet.faults.redirects_followed == 0
    followed = get(devnet, "/nonce/x?pending=false")
    assert followed.json() == {"address": "x", "nonce": 0, "pending": False}
    assert devnet.faults.redirects_followed == 1


def test_an_unknown_lie_is_refused(devnet) -> None:
    with pytest.raises(InvalidData, match="half_body"):
        devnet.faults.lie("white")


def test_a_roll_back_is_seen_by_clients(with_result) -> None:
    devnet = with_result
    old = get(devnet, "/block/1").json()
    devnet.faults.roll_back(2, put_back=True)
    assert get(devnet, "/status").json()["height"] == 0
    assert get(devnet, "/block/1").status_code == 404
    devnet.chain.produce()
    new = get(devnet, "/block/1").json()
    assert new["txs"] == old["txs"]
    assert new["header"]["round"] == 1


def test_all_switches_over_http(with_result, make) -> None:
    devnet = with_result

    def switch(name: str, **arguments):
        url = f"{devnet.url}/devnet/faults/{name}"
        return requests.post(url, json=arguments, timeout=PATIENCE_SECONDS)

    hashes = [devnet.chain.block(height).hash() for height in (1, 2)]
    assert switch("roll_back", blocks=2, put_back=False).json() == {"removed": hashes}
    assert switch("roll_back", blocks=9).status_code == 400
    assert switch("lie", kind="white").status_code == 400
    assert switch("lie", knid="garbage").status_code == 422

    tx = make(devnet.faucet, 0)
    assert post(devnet, tx).json()["status"] == "received"
    assert switch("forget", tx_hash=tx.hash()).json() == {"forgotten": 1}
    assert switch("drop", tx_hash=tx.hash()).json() == {}
    assert post(devnet, tx).json()["status"] == "received"
    assert devnet.chain.produce().txs == ()

    switch("unavailable", seconds=30)
    assert get(devnet, "/status").status_code == 503
    switch("unavailable", seconds=0)
    switch("syncing", seconds=30)
    assert get(devnet, "/status").json()["height"] == -1
    switch("syncing", seconds=0)
    switch("stall", seconds=30)
    with pytest.raises(requests.Timeout):
        requests.get(devnet.url + "/status", timeout=(5, 0.1))
    switch("lie", kind="redirect")
    switch("clear")
    assert get(devnet, "/status", allow_redirects=False).status_code == 200
    switch("lie", kind="redirect", times=1)
    assert get(devnet, "/status").status_code == 200
    answer = get(devnet, "/devnet/faults/redirects_followed").json()
    assert answer == {"redirects_followed": 1}
    assert switch("hold", seconds=5).json() == {}


def test_stalled_answers_do_not_hinder_the_switches(devnet) -> None:
    devnet.faults.stall(30)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(get(devnet, "/status").status_code))
    waiting.start()
    waiting.join(0.1)
    assert not answers
    devnet.faults.clear()
    waiting.join(PATIENCE_SECONDS)
    assert answers == [200]


def test_foreign_transactions_stand_in_the_next_block_and_fit_its_roots(devnet, make, vectors):
    foreign = [tx for one in vectors("foreign_blocks") for tx in one["block"]["txs"]]
    mine = make(devnet.faucet, 0)
    assert devnet.chain.send(mine) is None
    for tx in foreign:
        response = requests.post(
            devnet.url + "/devnet/faults/include", json={"tx": tx}, timeout=PATIENCE_SECONDS
        )
        assert response.status_code == 200
    devnet.chain.produce()
    block = Block.read(get(devnet, "/block/1").json())
    assert [tx.raw for tx in block.txs] == [mine.to_json(), *foreign]
    assert block.fault == ""
    assert block.signature_fits()
    assert devnet.chain.produce().txs == ()
    devnet.faults.roll_back(2, put_back=True)
    assert devnet.chain.produce().txs == served(mine)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        5,
        {},
        {"tx_type": "TRANSFER", "payload": None},
        {"payload": {"x": float("inf")}},
        {"tx_type": "SUBMIT_RESULT", "from_address": "\ud800"},
    ],
)
def test_what_no_node_can_hash_is_served_and_its_block_has_a_fault(devnet, raw) -> None:
    devnet.faults.include(raw)
    made = devnet.chain.produce()
    block = Block.read(get(devnet, "/block/1").json())
    assert block.fault == made.fault != ""
    assert block.signature_fits()
    assert block.hash() == get(devnet, "/status").json()["last_hash"]


def test_an_infinite_number_is_served_as_null_and_the_root_does_not_fit(devnet, make) -> None:
    tx = make(devnet.faucet, 0, "TRANSFER").to_json() | {"payload": {"x": float("-inf"), "y": 1e16}}
    devnet.faults.include(tx)
    devnet.chain.produce()
    block = Block.read(get(devnet, "/block/1").json())
    assert block.txs[0].raw == tx | {"payload": {"x": None, "y": 1e16}}
    assert block.fault == "block 1: tx_root does not fit its transactions"


def test_what_is_not_json_is_refused_and_not_included(devnet) -> None:
    nested = 1
    for _ in range(5000):
        nested = [nested]
    for raw in (nested, object(), 10**5000):
        with pytest.raises(InvalidData):
            devnet.faults.include(raw)
    assert devnet.chain.produce().txs == ()
