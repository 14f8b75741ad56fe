"""Lies with values, several at once, and forged chains: seen over HTTP, as a client sees them."""

import itertools
import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from node_client.block import Block
from node_client.devnet import Lie
from node_client.devnet.lies import Telling, falsify
from node_client.errors import InvalidData
from tests.blocks import served
from tests.processes import PATIENCE_SECONDS

MANY_CPC = 10**30


def get(node, path: str):
    return requests.get(node.url + path, timeout=PATIENCE_SECONDS).json()


def post(node, tx):
    url = node.url + "/tx/send"
    return requests.post(url, json=tx.to_json(), timeout=PATIENCE_SECONDS).json()


def block_of(node, height: int) -> Block:
    return Block.read(get(node, f"/block/{height}"))


@pytest.mark.parametrize("value", [50, 2**63 - 1, 2**63, 10**40, -1, "7", 1.5])
def test_any_number_is_told_as_nonce_balance_and_tip(devnet, value) -> None:
    address = devnet.faucet.address
    for kind in ("nonce", "balance", "tip"):
        devnet.faults.lie(kind, value=value)
    assert get(devnet, f"/nonce/{address}")["nonce"] == value
    assert get(devnet, f"/nonce/{address}?pending=false")["nonce"] == value
    said = str(value) if isinstance(value, int) else value
    assert get(devnet, f"/balance/{address}") == {
        "address": address,
        "balance": said,
        "nonce": value,
    }
    status = get(devnet, "/status")
    assert status == {**devnet.chain.status(), "height": value}
    devnet.faults.clear()
    assert get(devnet, f"/nonce/{address}")["nonce"] == 0


def test_a_path_keeps_a_lie_to_one_question(devnet) -> None:
    address = devnet.faucet.address
    devnet.faults.lie("nonce", value=40, path="/nonce/", times=1)
    assert get(devnet, f"/balance/{address}")["nonce"] == 0
    assert [get(devnet, f"/nonce/{address}")["nonce"] for _ in range(2)] == [40, 0]


def test_the_same_kind_replaces_and_another_kind_adds(devnet) -> None:
    address = devnet.faucet.address
    devnet.faults.lie("nonce", value=40)
    devnet.faults.lie("nonce", value=41)
    devnet.faults.lie("balance", value=MANY_CPC)
    assert get(devnet, f"/balance/{address}")["nonce"] == 41
    assert get(devnet, f"/balance/{address}")["balance"] == str(MANY_CPC)
    devnet.faults.lie("nonce", value=41, times=0)
    assert get(devnet, f"/balance/{address}")["nonce"] == 0
    assert get(devnet, f"/balance/{address}")["balance"] == str(MANY_CPC)


def test_a_value_that_is_missing_or_of_no_use_is_refused(devnet) -> None:
    with pytest.raises(InvalidData, match="needs a value"):
        devnet.faults.lie("nonce")
    with pytest.raises(InvalidData, match="no use"):
        devnet.faults.lie("garbage", value=1)


def test_a_false_least_price_refuses_what_is_below_and_takes_the_rest(devnet, make) -> None:
    devnet.faults.lie("least_price", value=5_000)
    cheap = make(devnet.faucet, 0)
    assert post(devnet, cheap) == {
        "tx_hash": cheap.hash(),
        "status": "rejected",
        "error": "gas_price 1000 < min 5000",
    }
    assert devnet.chain.status()["mempool_size"] == 0
    dear = make(devnet.faucet, 0, gas_price=5_000, fee=5_000 * 80_000)
    assert post(devnet, dear)["status"] == "received"
    assert devnet.chain.produce().txs == served(dear)


def test_any_refusal_can_be_told(devnet, make) -> None:
    devnet.faults.lie("refusal", value="nonce_too_low", times=1)
    tx = make(devnet.faucet, 0)
    assert post(devnet, tx)["error"] == "nonce_too_low"
    assert post(devnet, tx)["status"] == "received"


def test_received_and_nothing_kept(devnet, make) -> None:
    devnet.faults.lie("nothing_kept")
    tx = make(devnet.faucet, 0)
    for _ in range(2):
        assert post(devnet, tx) == {"tx_hash": tx.hash(), "status": "received"}
    assert get(devnet, f"/tx/{tx.hash()}/receipt")["status"] == "pending"
    assert get(devnet, f"/nonce/{devnet.faucet.address}")["nonce"] == 0
    assert devnet.chain.produce().txs == ()


def test_a_node_that_is_always_behind(devnet) -> None:
    with devnet.follower() as late:
        late.faults.lie(Lie.BEHIND, value=3)
        assert get(late, "/status")["height"] == 0
        for height in range(1, 6):
            devnet.chain.produce()
            status = get(late, "/status")
            assert status["height"] == max(0, height - 3)
            assert status["last_hash"] == block_of(late, status["height"]).hash()
        assert get(late, "/block/3") == {"detail": "Block not found"}
        assert get(devnet, "/status")["height"] == 5


def check_forged(node, from_height: int) -> list[Block]:
    """The node's whole chain is sound, link by link."""
    tip = get(node, "/status")
    blocks = [block_of(node, height) for height in range(tip["height"] + 1)]
    assert blocks[-1].hash() == tip["last_hash"]
    for block in blocks:
        assert not block.fault
        assert block.signature_fits()
    for before, block in itertools.pairwise(blocks):
        assert block.header.prev_hash == before.hash()
    return blocks[from_height:]


def test_a_forged_chain_stands_on_the_true_one_and_grows_with_it(devnet, make) -> None:
    for _ in range(3):
        devnet.chain.produce()
    unsigned = make(devnet.faucet, 77).model_copy(update={"signature": "", "pub_key": ""})
    with devnet.follower() as liar:
        forged = liar.faults.forge([unsigned], depth=1)
        assert forged.height == 3
        assert check_forged(liar, 3) == [forged]
        assert forged.txs == served(unsigned)
        assert forged.header.proposer_address != devnet.chain.proposer.validator_address
        second = liar.faults.forge()
        assert check_forged(liar, 3) == [forged, second]
        for _ in range(3):
            devnet.chain.produce()
        grown = check_forged(liar, 3)
        assert grown[:2] == [forged, second]
        assert grown[-1].height == devnet.chain.height == 6
        assert block_of(devnet, 3) != forged
        liar.faults.lie("behind", value=2)
        assert get(liar, "/status")["height"] == 4
        liar.faults.clear()
        assert get(liar, "/status") == get(devnet, "/status")
    with pytest.raises(InvalidData):
        devnet.faults.forge(depth=7)
    with pytest.raises(InvalidData):
        devnet.faults.forge(depth=-1)


def test_forging_and_lying_over_http(devnet, make) -> None:
    def switch(name: str, **arguments):
        url = f"{devnet.url}/devnet/faults/{name}"
        return requests.post(url, json=arguments, timeout=PATIENCE_SECONDS)

    assert switch("forge", depth=9).status_code == 400
    tx = make(devnet.faucet, 9)
    forged = switch("forge", txs=[tx.to_json()]).json()
    assert block_of(devnet, forged["height"]).hash() == forged["hash"]
    assert block_of(devnet, forged["height"]).txs == served(tx)
    assert switch("lie", kind="nonce", value=2**70).json() == {}
    assert get(devnet, f"/nonce/{devnet.faucet.address}")["nonce"] == 2**70
    assert switch("lie", kind="nonce").status_code == 400


@given(value=st.integers() | st.text() | st.floats(allow_nan=False), path=st.text(max_size=20))
def test_only_the_field_in_question_is_false(value, path: str) -> None:
    truth = b'{"address":"a","balance":"1","nonce":2}'
    false = falsify(Telling(Lie.NONCE, value=value), "/balance/" + path, truth)
    assert false is not None
    assert json.loads(false) == {
        "address": "a",
        "balance": "1",
        "nonce": value,
    }
    assert falsify(Telling(Lie.NONCE, value=value), "/status", truth) is None
