"""The server: ports, threads, start and stop; shapes of answers that rpc.json does not show."""

import doctest
import importlib
import itertools
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

import node_client.devnet
from node_client.block import Block
from node_client.devnet import DevnetServer
from node_client.errors import NodeClientError
from node_client.networks import UNITS_PER_CPC
from tests.blocks import served
from tests.processes import PATIENCE_SECONDS, end, wait_until


def devnet_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "devnet" in thread.name]


def is_up_to_date(devnet: DevnetServer) -> bool:
    return time.time() - (devnet.chain.genesis_time + devnet.chain.height * 0.2) < 1


def test_blocks_come_by_themselves_and_are_sound(make) -> None:
    with DevnetServer(block_time=0.2) as devnet:
        tx = make(devnet.faucet, 0)
        answer = requests.post(devnet.url + "/tx/send", json=tx.to_json(), timeout=PATIENCE_SECONDS)
        assert answer.json() == {"tx_hash": tx.hash(), "status": "received"}
        wait_until(lambda: devnet.chain.account(devnet.faucet.address).nonce == 1, "the transfer")
        height = requests.get(devnet.url + "/status", timeout=PATIENCE_SECONDS).json()["height"]
        assert time.time() >= devnet.chain.genesis_time + height * 0.2
        wait_until(lambda: is_up_to_date(devnet), "blocks to keep pace with the clock")
        blocks = []
        for number in range(height + 1):
            url = f"{devnet.url}/block/{number}"
            blocks.append(Block.read(requests.get(url, timeout=PATIENCE_SECONDS).json()))
        for before, block in itertools.pairwise(blocks):
            assert not block.fault
            assert block.signature_fits()
            assert block.header.prev_hash == before.hash()
        assert served(tx) in [block.txs for block in blocks]
    assert devnet.chain.account(devnet.faucet.address).balance == (
        10**9 * UNITS_PER_CPC - 80_000_000
    )


def test_two_at_once_are_two_chains() -> None:
    with DevnetServer() as one, DevnetServer(chain_id="cpc-devnet-2") as two:
        assert one.url != two.url
        headers = [
            requests.get(f"{d.url}/block/0", timeout=PATIENCE_SECONDS).json()["header"]
            for d in (one, two)
        ]
        assert [header["chain_id"] for header in headers] == ["cpc-devnet-1", "cpc-devnet-2"]
        assert headers[0]["proposer_address"] != headers[1]["proposer_address"]


def test_a_port_in_use_is_said_clearly() -> None:
    with DevnetServer() as one:
        before = threading.active_count()
        with pytest.raises(NodeClientError, match=f"127.0.0.1:{one.port}") as caught:
            DevnetServer(port=one.port).start()
        assert "--port" in caught.value.advice
        assert threading.active_count() == before
        assert requests.get(one.url + "/status", timeout=PATIENCE_SECONDS).status_code == 200


@pytest.mark.parametrize("port", [70_000, -1])
def test_no_port_at_all(port: int) -> None:
    with pytest.raises(NodeClientError):
        DevnetServer(port=port).start()


def test_start_twice_is_refused_and_stop_twice_is_not() -> None:
    devnet = DevnetServer().start()
    with pytest.raises(NodeClientError):
        devnet.start()
    devnet.stop()
    devnet.stop()


def test_stops_without_waiting_for_who_is_connected() -> None:
    devnet = DevnetServer().start()
    idle = requests.Session()
    idle.get(devnet.url + "/status", timeout=PATIENCE_SECONDS)
    mute = socket.create_connection((devnet.host, devnet.port))
    halfway = socket.create_connection((devnet.host, devnet.port))
    halfway.sendall(b"POST /tx/send HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    devnet.faults.lie("huge_body")
    slow = socket.create_connection((devnet.host, devnet.port))
    slow.sendall(b"GET /block/0 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert slow.recv(1) == b"H"
    devnet.faults.lie("garbage", times=0)
    devnet.faults.stall(3600)
    stalled = socket.create_connection((devnet.host, devnet.port))
    stalled.sendall(b"GET /status HTTP/1.1\r\nhost: x\r\n\r\n")
    stalled.settimeout(0.2)
    with pytest.raises(TimeoutError):
        stalled.recv(1)
    devnet.stop()
    assert not devnet_threads()
    for connection in (mute, halfway, slow, stalled):
        connection.close()
    idle.close()


def test_a_restarted_node_has_its_chain_and_its_port() -> None:
    devnet = DevnetServer(block_time=0.2)
    with devnet:
        port = devnet.port
        requests.get(devnet.url + "/status", timeout=PATIENCE_SECONDS)
    with pytest.raises(requests.ConnectionError):
        requests.get(devnet.url + "/status", timeout=PATIENCE_SECONDS)
    with devnet:
        assert devnet.port == port
        height = devnet.chain.height
        wait_until(
            lambda: (
                requests.get(devnet.url + "/status", timeout=PATIENCE_SECONDS).json()["height"]
                > height
            ),
            "another block",
        )
    assert not devnet_threads()


def test_signal_handlers_stay_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with DevnetServer():
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert during == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_forever_ends_in_peace(number: signal.Signals) -> None:
    program = (
        "import signal, threading, time\n"
        "from node_client.devnet import DevnetServer\n"
        "devnet = DevnetServer().start()\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "def tell():\n"
        "    while signal.getsignal(signal.SIGTERM) == before: time.sleep(0.01)\n"
        "    print(devnet.url, flush=True)\n"
        "threading.Thread(target=tell).start()\n"
        "devnet.serve_forever()\n"
        "print('bye', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert requests.get(url + "/status", timeout=PATIENCE_SECONDS).status_code == 200
        os.kill(process.pid, number)
        out, error = process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        end(process)
    assert (process.returncode, out, error) == (0, "bye\n", "")


def test_ipv6() -> None:
    try:
        with DevnetServer(host="::1") as devnet:
            assert devnet.url.startswith("http://[::1]:")
            assert requests.get(devnet.url + "/status", timeout=PATIENCE_SECONDS).status_code == 200
    except NodeClientError:
        pytest.skip("no IPv6 here")


def test_answers_do_not_wait_for_delayed_acknowledgements(devnet) -> None:
    """Nagle's algorithm left on would cost 40 ms a request."""
    with requests.Session() as http:
        times = []
        for _ in range(10):
            start = time.monotonic()
            http.get(devnet.url + "/status", timeout=PATIENCE_SECONDS)
            times.append(time.monotonic() - start)
    assert min(times[1:]) < 0.03


def test_fault_routes_are_there_only_if_asked_for() -> None:
    with DevnetServer() as devnet:
        answer = requests.post(devnet.url + "/devnet/faults/clear", timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


BODIES = {
    "no JSON": (b"{", 422),
    "empty": (b"", 422),
    "a list": (b"[]", 422),
    "a kind that is none": (b'{"tx_type": "BURN"}', 422),
    "a lone surrogate": (rb'{"tx_type": "\ud800"}', 400),
    "no number": (b'{"tx_type": "TRANSFER", "amount": NaN}', 400),
    "a number without end": (b'{"amount": ' + b"9" * 5000 + b"}", 400),
    "a bottomless list": (b'{"payload": ' + b"[" * 100_000 + b"}", 400),
    "not UTF-8": (b'{"tx_type": "\xff"}', 400),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_hostile_bodies(devnet, body: bytes, status: int) -> None:
    answer = requests.post(
        devnet.url + "/tx/send",
        data=body,
        headers={"content-type": "application/json"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == status
    assert "detail" in answer.json()


@pytest.mark.parametrize(("depth", "taken"), [(200, True), (300, False), (900, False)])
def test_a_payload_too_deep_to_be_shown_gets_into_no_block(
    devnet, make, depth: int, taken: bool
) -> None:
    deep: list[object] = []
    for _ in range(depth):
        deep = [deep]
    tx = make(devnet.faucet, 0, payload={**make(devnet.faucet, 0).payload, "more": deep})
    body = json.dumps({**make(devnet.faucet, 0).to_json(), **dict(tx)})
    answer = requests.post(
        devnet.url + "/tx/send",
        data=body,
        headers={"content-type": "application/json"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == (200 if taken else 400)
    block = devnet.chain.produce()
    assert len(block.txs) == taken
    shown = requests.get(f"{devnet.url}/block/{block.height}", timeout=PATIENCE_SECONDS)
    assert len(shown.json()["txs"]) == taken


def test_the_examples_in_the_docstrings_run() -> None:
    package = node_client.devnet
    names = [m.name for m in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]
    results = [doctest.testmod(importlib.import_module(n)) for n in [package.__name__, *names]]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 5


def test_a_type_of_the_nodes_own_is_unknown_and_any_other_is_malformed(devnet, make) -> None:
    tx = make(devnet.faucet, 0).to_json()
    url = devnet.url + "/tx/send"
    system = requests.post(url, json=tx | {"tx_type": "POC_REWARD"}, timeout=PATIENCE_SECONDS)
    assert system.json()["status"] == "rejected"
    assert system.json()["error"] == "unknown_tx_type"
    for other in ("BRIBE", "", None, 7):
        answer = requests.post(url, json=tx | {"tx_type": other}, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "tx_type"]
