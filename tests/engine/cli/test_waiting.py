"""`mine` and `work` that are started before their node is."""

import os
import shlex
import signal
import socket
import subprocess

import pytest
import requests

from engine.monitor.snapshot import Snapshot
from node_client.devnet import DevnetServer
from node_client.networks import UNITS_PER_CPC
from tests.processes import ENGINE, PATIENCE_SECONDS, free_port, started, wait_until
from tests.variants import quick_and_slow


@pytest.fixture
def port(keys):
    return free_port()


@pytest.fixture
def mine(port, tmp_path):
    """A `mine` that waits, and what it tells systemd; seen up to where it says so."""
    http = free_port()
    line = (
        f"mine --device reference --size 32 --node http://127.0.0.1:{port}"
        f" --http 127.0.0.1:{http} --blocks 1 --depth 1 --plain"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_SECONDS)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"}
        with started(
            [*ENGINE, *shlex.split(line)],
            env=os.environ | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            for line in process.stdout:
                if "waiting for the node" in line:
                    break
            process.url = f"http://127.0.0.1:{http}"
            process.manager = manager
            yield process


def hear(manager, *awaited):
    """Until systemd was told each of these, and of an end not before them."""
    waited = set(awaited)
    while waited:
        told = manager.recv(4096).decode()
        waited = {word for word in waited if word not in told}


def ask(process, path):
    return requests.get(f"{process.url}/{path}", timeout=PATIENCE_SECONDS)


def test_it_says_so_everywhere_and_mines_when_the_node_comes(mine, port, keys, cli):
    hear(mine.manager, "READY=1", "STATUS=since", "waiting for the node", "WATCHDOG=1")
    wait_until(lambda: ask(mine, "status").json()["state"] == "waiting", "the state")
    seen = Snapshot.model_validate(ask(mine, "status").json())
    assert seen.address == keys["worker"].address
    (away,) = seen.troubles
    assert away.kind == "node_away"
    assert seen.started_at <= away.since <= seen.now
    health = ask(mine, "healthz")
    assert (health.status_code, health.json()["reasons"]) == (503, ["the node does not answer"])
    metrics = ask(mine, "metrics").text.splitlines()
    assert 'cpc_engine_state{state="waiting"} 1.0' in metrics
    assert "cpc_engine_node_up 0.0" in metrics
    shown = cli("status").out
    assert "waiting for the node" in shown
    assert "since " in shown
    balances = {keys["worker"].address: UNITS_PER_CPC}
    with DevnetServer(block_time=0.25, port=port, balances=balances):
        out, err = mine.communicate(timeout=PATIENCE_SECONDS)
    assert (mine.returncode, err) == (0, "")
    assert "over: waiting for the node" in out
    assert "1 result confirmed" in out


@pytest.mark.parametrize("number", quick_and_slow([signal.SIGINT], [signal.SIGTERM]))
def test_a_signal_ends_the_waiting_in_order(mine, number):
    mine.send_signal(number)
    out, err = mine.communicate(timeout=PATIENCE_SECONDS)
    assert (mine.returncode, err) == (0, "")
    assert "stopping" in out


def test_it_can_be_paused_meanwhile(mine, cli):
    assert "paused, asked for" in cli("pause").out


def test_a_node_that_takes_a_connection_and_says_nothing_holds_up_no_end(keys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(
            [*ENGINE, *shlex.split(f"mine --device reference --node {url} --plain")],
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _address = silent.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                _out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize("command", ["mine", "work --validator ws://127.0.0.1:9 --submit"])
def test_without_waiting_it_ends_with_exit_code_3(cli, keys, port, command):
    outcome = cli(f"{command} --device reference --no-wait --node http://127.0.0.1:{port}")
    assert outcome.code == 3
    assert "does not answer" in outcome.err


def test_what_waiting_cannot_mend_ends_at_once(cli, keys, port):
    with DevnetServer(block_time=0.25, port=port, balances={}):
        poor = cli(f"mine --device reference --node http://127.0.0.1:{port}")
    assert poor.code == 2
    assert "insufficient balance" in poor.err
