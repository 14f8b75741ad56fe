"""The recorded session with a real node, request by request, against the devnet.

Only what comes from the real proposer's secret key cannot be the same: `last_hash`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from node_client.address import address_from_public_key
from node_client.devnet import AccountState, DevnetServer
from tests.processes import PATIENCE_SECONDS

FAUCET = "cpc19pup6qpkj492wau7jrnqlglrlskzuvs6ctfq9f"
GENESIS = 1795444205 - 34 * 5

# Before the answer with this index the real node had made one block more: found from blocks.json
# and from what the answers say.
A_BLOCK_BEFORE = {10, 30, 31, 35}


@pytest.fixture(scope="module")
def session(vectors: Any) -> list[Any]:
    recorded: list[Any] = vectors("rpc")
    return recorded


@pytest.fixture(scope="module")
def replayed(session: list[Any]) -> Iterator[tuple[DevnetServer, list[requests.Response]]]:
    now = [1795444205.0]
    server = DevnetServer(
        balances={FAUCET: AccountState(10**30, nonce=1)}, genesis_time=GENESIS, clock=lambda: now[0]
    )
    for _ in range(34):
        server.chain.produce()
    answers = []
    with server, requests.Session() as http:
        for index, exchange in enumerate(session):
            if index in A_BLOCK_BEFORE:
                server.chain.produce()
                now[0] = 1795444214.9  # as the recorded receipts say; block 36 is due at ...215
            request = exchange["request"]
            url = server.url + request["path"]
            answers.append(
                http.request(request["method"], url, json=request["json"], timeout=PATIENCE_SECONDS)
            )
        yield server, answers


def test_answers_are_the_recorded_ones(replayed: Any, session: list[Any]) -> None:
    for exchange, answer in zip(session, replayed[1], strict=True):
        expected = dict(exchange["response"]["json"])
        found = answer.json()
        if "last_hash" in expected:
            expected["last_hash"] = found["last_hash"]
        assert (exchange["note"], answer.status_code, found) == (
            exchange["note"],
            exchange["response"]["status"],
            expected,
        )
        assert list(found) == list(expected), "the order of the fields"


def test_blocks_are_the_recorded_ones(replayed: Any, vectors: Any) -> None:
    server, _ = replayed
    for recorded in vectors("blocks"):
        expected = recorded["block"]
        found = requests.get(
            f"{server.url}/block/{expected['header']['height']}", timeout=PATIENCE_SECONDS
        ).json()
        for field in ("prev_hash", "proposer_address", "state_root"):
            assert len(found["header"][field]) == len(expected["header"][field])
            expected["header"][field] = found["header"][field]
        expected["pq_signature"] = found["pq_signature"]
        assert found == expected


def test_the_faucet_of_the_recording_is_what_we_take_it_for(session: list[Any]) -> None:
    transfer = next(e["request"]["json"] for e in session if e["note"] == "faucet transfer")
    assert address_from_public_key(transfer["pub_key"]) == FAUCET
