"""The key's way through a mining run: never to a child, a log, a traceback or a process list."""

import json
import os
import re
import stat
import subprocess
import time

import psutil
import pytest

from node_client.keyfile import ScryptCost
from node_client.keys import PrivateKey
from node_client.keystore import Keystore
from tests.processes import ENGINE, PATIENCE_SECONDS
from tests.variants import quick_and_slow

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret(home, devnet):
    """The hex of `locked`, an encrypted key with coins."""
    key = PrivateKey.generate()
    Keystore(cost=ScryptCost(n=2**4)).add("locked", key, PASSPHRASE)
    file = home / "plain"
    Keystore(file).add("copy", key)
    text = json.loads((file / "copy.json").read_text())["private_key"]
    (file / "copy.json").unlink()
    return text


def start(environment, *arguments):
    return subprocess.Popen(
        [*ENGINE, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def look(process):
    """Environment and command line of everything below this process, and its own command line."""
    found = " ".join(process.cmdline())
    children = process.children(recursive=True)
    for child in children:
        if child.cmdline() == process.cmdline():
            continue  # between fork and exec it has its parent's memory, and so its environment
        found += json.dumps(child.environ()) + " ".join(child.cmdline())
    return len(children), found


@pytest.mark.parametrize(
    "where", [["--from", "locked"], pytest.param(["--devnet"], marks=pytest.mark.slow)]
)
def test_no_child_sees_the_key_or_its_passphrase(cli, devnet, secret, where):
    address = cli("keys show locked").json()["address"]
    assert cli(f"tx send {address} 5 --from faucet --wait 300").code == 0
    environment = os.environ | {"CPC_PASSPHRASE": PASSPHRASE, "CPC_DEBUG": "1"}
    mine = start(
        environment, "mine", *where, "--device", "reference", "--blocks", "2", "--depth", "1"
    )
    process, most, seen = psutil.Process(mine.pid), 0, ""
    while mine.poll() is None:
        try:
            children, found = look(process)
        except psutil.Error:
            continue  # it ended while it was looked at
        most, seen = max(most, children), seen + found
        time.sleep(0.05)
    out, err = mine.communicate(timeout=PATIENCE_SECONDS)
    assert mine.returncode == 0, err
    assert most >= 1
    assert re.search(r"\n[1-9] results? confirmed", out)
    for text in (secret, PASSPHRASE):
        assert text not in seen
        assert text not in out + err
    assert "spawn_main" in seen  # the child was among what was looked at


@pytest.mark.parametrize(
    "arguments",
    quick_and_slow(
        [["mine", "--from", "locked", "--blocks", "1"]],
        [
            ["tx", "send", "cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj", "1", "--from", "locked"],
            ["keys", "add", "locked", "--encrypt"],
        ],
    ),
)
def test_a_traceback_that_was_asked_for_holds_no_secret(devnet, secret, arguments):
    """The account is empty and the key is there already: each ends in an error."""
    environment = os.environ | {"CPC_PASSPHRASE": PASSPHRASE, "CPC_DEBUG": "1"}
    done = start(environment, *arguments)
    out, err = done.communicate(timeout=PATIENCE_SECONDS)
    assert done.returncode in (2, 3)
    assert "Traceback" in err
    for text in (secret, PASSPHRASE):
        assert text not in out + err


def test_a_broken_key_file_is_not_quoted(cli, home, secret, monkeypatch):
    monkeypatch.setenv("CPC_DEBUG", "1")
    (home / "keys" / "bad.json").write_text(f'{{"private_key": "{secret}", "name": oops')
    done = start(dict(os.environ), "mine", "--from", "bad")
    out, err = done.communicate(timeout=PATIENCE_SECONDS)
    assert done.returncode == 2
    assert secret not in out + err


def test_a_token_goes_to_a_file_that_only_its_owner_reads(cli, home):
    path = home / "alice.token"
    made = cli(f"validator customers add alice --new-token-file {path}")
    assert made.code == 0
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in made.out + made.err
    again = cli(
        f"validator customers renew alice --new-token-file {path}"
    )  # never over another file
    assert again.code == 2
    assert "File exists" in again.err
    assert path.read_text().strip() == token
    nowhere = cli(f"validator customers add bob --new-token-file {home}/none/bob.token")
    assert nowhere.code == 2
    assert [row["name"] for row in cli("validator customers list --json").json()] == ["alice"]
    refused = cli(f"validator customers add alice --new-token-file {home}/other.token")
    assert refused.code == 2
    assert not (home / "other.token").exists()


def test_a_mistyped_key_is_answered_with_the_one_that_is_there(cli, home):
    assert cli("keys add worker").code == 0
    assert "Did you mean worker?" in cli("keys show wroker").err
    assert "cpc-engine keys add other" in cli("keys show other").err
