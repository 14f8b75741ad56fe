"""Advice on funding is true for the network and the account: no account is to fund itself."""

import pytest

from engine.txmgr.funding import advice_to_fund
from node_client.keystore import Keystore

NODE = "http://localhost:8000"
ADDRESS = "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"


@pytest.fixture
def keys(tmp_path):
    return Keystore(tmp_path)


def test_on_a_devnet_the_faucet_funds_others(keys):
    keys.create("faucet")
    said = advice_to_fund(ADDRESS, "devnet", NODE, keys)
    assert f"cpc-engine tx send {ADDRESS} 10 --from faucet --node {NODE}" in said


def test_the_faucet_is_not_told_to_fund_itself(keys):
    faucet = keys.create("faucet")
    said = advice_to_fund(faucet.address, "devnet", NODE, keys)
    assert "tx send" not in said
    assert "own account" in said


@pytest.mark.parametrize("network", ["testnet", "mainnet"])
def test_other_networks_have_no_faucet_key(keys, network):
    keys.create("faucet")
    said = advice_to_fund(ADDRESS, network, NODE, keys)
    assert "--from faucet" not in said
    assert network in said
    assert ADDRESS in said
