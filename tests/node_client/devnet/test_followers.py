"""Several nodes of one chain: what they share, and what each has for itself."""

import pytest
import requests

from node_client.devnet import DevnetServer
from node_client.devnet.node_server import NodeServer
from tests.blocks import served
from tests.processes import PATIENCE_SECONDS


def get(node: NodeServer, path: str) -> requests.Response:
    return requests.get(node.url + path, timeout=PATIENCE_SECONDS)


def post(node: NodeServer, tx) -> dict[str, str]:
    url = node.url + "/tx/send"
    answer: dict[str, str] = requests.post(url, json=tx.to_json(), timeout=PATIENCE_SECONDS).json()
    return answer


@pytest.fixture
def follower(devnet):
    with devnet.follower(fault_routes=True) as server:
        yield server


def test_a_follower_has_the_same_chain_and_mempool(devnet, follower, make) -> None:
    assert follower.url != devnet.url
    tx = make(devnet.faucet, 0)
    assert post(follower, tx)["status"] == "received"
    assert post(devnet, tx)["error"] == "already_in_pool"
    assert get(devnet, f"/nonce/{devnet.faucet.address}").json()["nonce"] == 1
    assert devnet.chain.produce().txs == served(tx)
    for path in ("/status", "/block/1", f"/balance/{devnet.faucet.address}"):
        assert get(follower, path).json() == get(devnet, path).json()


def test_a_receipt_is_pending_where_it_was_received_and_confirmed_elsewhere(
    devnet, follower, make
) -> None:
    tx = make(devnet.faucet, 0)
    post(devnet, tx)
    path = f"/tx/{tx.hash()}/receipt"
    assert get(follower, path).status_code == 404
    devnet.chain.produce()
    assert get(devnet, path).json()["status"] == "pending"
    assert get(devnet, path).json()["block_height"] is None
    assert get(follower, path).json() == {
        "tx_hash": tx.hash(),
        "status": "confirmed",
        "block_height": 1,
        "timestamp": 1_700_000_000,
        "error": None,
    }
    devnet.faults.roll_back(1)
    assert get(follower, path).status_code == 404


def test_a_restart_loses_mempool_and_receipts_and_keeps_the_chain(keys, clock, make) -> None:
    devnet = DevnetServer(faucet=keys[0], clock=clock)
    held, waiting = make(keys[0], 0), make(keys[0], 1)
    with devnet:
        post(devnet, held)
        devnet.chain.produce()
        post(devnet, waiting)
    with devnet:
        assert get(devnet, "/status").json()["mempool_size"] == 0
        assert get(devnet, f"/nonce/{keys[0].address}").json()["nonce"] == 1
        receipt = get(devnet, f"/tx/{held.hash()}/receipt").json()
        assert (receipt["status"], receipt["block_height"]) == ("confirmed", 1)
        assert get(devnet, f"/tx/{waiting.hash()}/receipt").status_code == 404


def test_a_follower_that_restarts_loses_its_receipts_only(devnet, make) -> None:
    follower = devnet.follower()
    tx = make(devnet.faucet, 0)
    with follower:
        post(follower, tx)
    with follower:
        assert get(follower, "/status").json()["mempool_size"] == 1
        assert get(follower, f"/tx/{tx.hash()}/receipt").status_code == 404


def test_each_node_has_its_own_faults(devnet, follower) -> None:
    follower.faults.unavailable(60)
    assert get(follower, "/status").status_code == 503
    assert get(devnet, "/status").status_code == 200
    follower.faults.clear()
    devnet.faults.lie("chain_id")
    chain_ids = [get(node, "/block/0").json()["header"]["chain_id"] for node in (devnet, follower)]
    assert chain_ids[0] != chain_ids[1] == devnet.chain.chain_id
    # Over HTTP too: each has its own routes.
    url = f"{follower.url}/devnet/faults/unavailable"
    requests.post(url, json={"seconds": 60}, timeout=PATIENCE_SECONDS)
    assert get(follower, "/status").status_code == 503
    assert get(devnet, "/status").status_code == 200


def test_both_nodes_may_drop_a_transaction(devnet, follower, make) -> None:
    """The proposer is one, and either's switch reaches it."""
    for number, node in enumerate((devnet, follower)):
        tx = make(devnet.faucet, number)
        node.faults.drop(tx)
        post(devnet, tx)
        assert devnet.chain.produce().txs == ()
        node.faults.clear()
        post(devnet, tx)
        assert devnet.chain.produce().txs == served(tx)
