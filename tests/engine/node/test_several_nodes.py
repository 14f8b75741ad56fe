"""Mining with several nodes of which one does not answer, or lies: real nodes over HTTP."""

import pytest

from engine.mining.config import MiningConfig
from engine.node.node import run_node
from engine.node.request import NodeRequest
from engine.runtime.errors import SetupError
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC

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
