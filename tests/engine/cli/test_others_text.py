"""Nothing that a node says controls a terminal, and no password in a URL is shown."""

import json
import os
import subprocess

import pytest
from pydantic import ValidationError

from engine.poc_protocol.urls import check_validator_url
from engine.runtime.errors import BadInput
from node_client.block import BlockHeader
from tests.liar import LyingNode
from tests.processes import ENGINE, PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow

SLY = "\x1b]0;owned\x07\x9b31m\u202e"
PASSWORD = "hunter2"


def is_clean(text):
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.fixture
def liar(devnet, monkeypatch):
    """A node all of whose words are sly."""
    wait_until(lambda: devnet.chain.height > 1)
    with LyingNode(devnet.url) as node:
        monkeypatch.setenv("CPC_NODE", node.url)
        yield node


@pytest.mark.parametrize("field", quick_and_slow(["last_hash"], ["network", "epoch"]))
def test_a_status(cli, liar, field):
    liar.alter("/status", **{field: SLY})
    for line in ("query status", "query status --json", "query block 1", "tx send x 1"):
        outcome = cli(line)
        assert is_clean(outcome.out + outcome.err), line
        assert "\\u001b" not in outcome.err


@pytest.mark.parametrize("field", quick_and_slow(["balance"], ["address", "nonce"]))
def test_an_account(cli, liar, keys, field):
    liar.alter("/balance/", **{field: SLY})
    lines = [f"query balance {keys['worker'].address}"]
    for line in (*lines, "doctor --device reference") if field == "balance" else lines:
        outcome = cli(line)
        assert is_clean(outcome.out + outcome.err), line


@pytest.mark.parametrize(
    "chain_id", ["", SLY, "a\n", "a b", "../a", "-a", "a" * 65, "\u0430", 7, None, ["a"]]
)
def test_a_chain_id(vectors, chain_id):
    header = vectors("blocks")[0]["block"]["header"]
    assert BlockHeader.model_validate(header)
    with pytest.raises(ValidationError):
        BlockHeader.model_validate(header | {"chain_id": chain_id})


def secret(url):
    return url.replace("http://", f"http://me:{PASSWORD}@")


@pytest.mark.parametrize("alive", quick_and_slow([True], [False]))
def test_a_password_in_a_nodes_url(cli, devnet, keys, monkeypatch, alive):
    monkeypatch.setenv("CPC_NODE", secret(devnet.url if alive else "http://127.0.0.1:9"))
    monkeypatch.setenv("CPC_DEBUG", "1")
    for line in (
        "query status",
        "doctor --json --device reference" if alive else "query status --json",
        f"tx send {keys['worker'].address} 1 --from faucet",
    ):
        done = subprocess.run(
            [*ENGINE, *line.split()],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env=dict(os.environ),
        )
        assert PASSWORD not in done.stdout + done.stderr, line
        if alive:
            assert done.returncode == 0, done


def test_a_password_in_a_run(cli, devnet, keys):
    command = f"mine --node {secret(devnet.url)} --blocks 1 --size 64 --iterations 1"
    outcome = cli(f"{command} --device reference --json")
    assert outcome.code == 0, outcome
    said = [json.loads(line) for line in outcome.out.splitlines()]
    (told,) = [one for one in said if "node" in one]
    assert told["node"] == secret(devnet.url).replace(f"me:{PASSWORD}", "***")
    assert PASSWORD not in outcome.out + outcome.err


def test_a_password_in_a_validators_url():
    for url in (
        f"wss://me:{PASSWORD}@host/worker",
        f"ws://me:{PASSWORD}@host/",
        f"http://{PASSWORD}@h",
    ):
        with pytest.raises(BadInput) as caught:
            check_validator_url(url)
        assert PASSWORD not in str(caught.value)


def test_a_proxy_that_cannot_be_used_is_named_by_every_command(cli, keys, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", f"socks5h://me:{PASSWORD}@127.0.0.1:1080")
    monkeypatch.setenv("CPC_NODE", "http://node.example:8000")
    for line in ("query status", "mine --plain --device reference"):
        outcome = cli(line)
        assert outcome.code == 2
        assert outcome.err.startswith("error: ALL_PROXY names a SOCKS proxy")
        assert "NO_PROXY=HOST" in outcome.err
        assert PASSWORD not in outcome.out + outcome.err
    checks = cli("doctor --json --device reference").json()
    (node,) = [check for check in checks if check["name"] == "node"]
    assert node["state"] == "fail"
    assert "ALL_PROXY" in node["found"]
