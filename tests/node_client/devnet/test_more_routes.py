"""Routes that were never recorded: they answer what the client of stakes reads."""

from functools import partial

import pytest
import requests

from node_client import stakes
from node_client.devnet import DevnetServer
from node_client.devnet.rules import LEAST_DELEGATION, UNBONDING_BLOCKS
from node_client.devnet.state import AccountState
from node_client.devnet.validators import IDLE_VALIDATORS, idle_validator_key
from node_client.errors import NotFound
from node_client.rpc import NodeClient
from tests.processes import PATIENCE_SECONDS

VALIDATOR = idle_validator_key(0).validator_address


def get(devnet, path: str) -> requests.Response:
    return requests.get(devnet.url + path, timeout=PATIENCE_SECONDS)


def test_validators_and_their_performance(devnet) -> None:
    devnet.chain.produce()
    client = NodeClient([devnet.url])
    everyone = client.ask(stakes.get_validators).validators
    assert [one.is_active for one in everyone] == [True] + [False] * IDLE_VALIDATORS
    proposer = everyone[0].address
    assert client.ask(partial(stakes.get_validator, address=proposer)).blocks_proposed == 1
    performance = get(devnet, f"/validator/{proposer}/performance").json()
    assert (len(performance), performance["last_block_height"]) == (14, 1)
    unknown = devnet.chain.proposer.address.replace("cpc1", "cpcvalcons1")
    for path in (f"/validator/{unknown}", f"/validator/{unknown}/performance"):
        assert get(devnet, path).status_code == 404
    other = idle_validator_key(77).validator_address
    with pytest.raises(NotFound):
        client.ask(partial(stakes.get_validator, address=other))


def test_a_delegators_stakes(devnet, make) -> None:
    address = devnet.faucet.address
    client = NodeClient([devnet.url])
    payload = {"validator": VALIDATOR}
    for nonce, (kind, amount) in enumerate((("DELEGATE", LEAST_DELEGATION), ("UNDELEGATE", 7))):
        assert (
            devnet.chain.send(make(devnet.faucet, nonce, kind, amount=amount, payload=payload))
            is None
        )
        devnet.chain.produce()
    found = client.ask(partial(stakes.get_delegations, address=address))
    (delegation,) = found.delegations
    assert (delegation.validator, delegation.created_height) == (VALIDATOR, 1)
    assert delegation.amount == found.total_delegated == LEAST_DELEGATION - 7
    queue = client.ask(partial(stakes.get_unbonding, address=address))
    (entry,) = queue.unbonding_delegations
    assert (entry.amount, entry.completion_height) == (7, 2 + UNBONDING_BLOCKS)
    assert (entry.blocks_remaining, queue.current_height) == (UNBONDING_BLOCKS, 2)
    assert client.ask(partial(stakes.get_rewards, address=address)).rewards_by_epoch == []


def test_rewards_that_an_account_has_from_the_start(keys, clock) -> None:
    account = AccountState(1, rewards=((4, 6), (3, 5)))
    with DevnetServer(balances={keys[1].address: account}, clock=clock) as devnet:
        ask = partial(stakes.get_rewards, address=keys[1].address)
        rewards = NodeClient([devnet.url]).ask(ask)
    assert rewards.total_rewards == 11
    assert [(one.epoch, one.amount) for one in rewards.rewards_by_epoch] == [(3, 5), (4, 6)]


def test_snapshots_metrics_and_the_root(devnet) -> None:
    assert get(devnet, "/snapshots").json() == []
    assert get(devnet, "/snapshots/7").json() == {"detail": "Snapshot at height 7 not found"}
    assert get(devnet, "/").json() == {"message": "ComputeChain Node RPC", "version": "1.0"}
    metrics = get(devnet, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "computechain_block_height 0\n" in metrics.text
