"""A devnet, a keystore and a state directory of the test's own, and a way to run a command line."""

import json
import shlex
from dataclasses import dataclass

import pytest

from engine.cli.app import run
from node_client.devnet import DevnetServer
from node_client.keystore import Keystore
from node_client.networks import UNITS_PER_CPC


@dataclass
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("CPC_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CPC_NODE", "CPC_PASSPHRASE", "CPC_DEBUG", "CPC_CONFIG", "CPC_LANG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def cli(home, capsys):
    """`cli("keys add worker")` runs a command line in this process."""

    def call(line):
        capsys.readouterr()
        code = run(shlex.split(line))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def keys(home):
    """Keys `faucet` and `worker`."""
    store = Keystore()
    return {name: store.create(name) for name in ("faucet", "worker")}


@pytest.fixture
def devnet(home, keys, monkeypatch):
    """A devnet on which both keys have coins; CPC_NODE points at it."""
    balances = {info.address: 1000 * UNITS_PER_CPC for info in keys.values()}
    with DevnetServer(block_time=0.25, balances=balances) as server:
        monkeypatch.setenv("CPC_NODE", server.url)
        yield server
