"""A child that was taken over reaches for the key, the parent and the network, and gets nothing."""

import os
import signal

import pytest

from engine.runtime.confinement import available, hide_from_children
from tests.engine.pool.works import KeepCode, OpenFiles, Steal
from tests.processes import PATIENCE_SECONDS

EVERYTHING = {"read", "list", "write", "ipv4", "ipv6"}


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_HIDDEN", "")  # restored after the test, whatever it hides
    directory = tmp_path / "computechain" / "keys"
    directory.mkdir(parents=True)
    (directory / "worker.json").write_text("the key")
    hide_from_children(directory)
    return directory


@pytest.fixture
def said(open_pool, keys):
    """`said(Steal)` runs that work in a child, and gives what it said."""

    def run(kind):
        pool, _log = open_pool()
        done = pool.submit(kind(os.fsencode(keys)), name="attack").result(PATIENCE_SECONDS)
        return done.outcome.data.decode()

    return run


def test_a_child_gets_at_nothing(said, keys):
    if len(available()) < 3:
        pytest.skip(f"this kernel can only do: {available()}")
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert set(said(Steal).split()) <= {"environment"}  # of this test, which holds no secret
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert [path.name for path in keys.iterdir()] == ["worker.json"]


def test_one_switch_turns_it_off(said, monkeypatch):
    monkeypatch.setenv("CPC_CONFINE", "0")
    assert available() == []
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert set(said(Steal).split()) >= EVERYTHING
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_child_keeps_its_code_though_there_was_no_directory_for_it(said, tmp_path, monkeypatch):
    """As at the first start of a new user: beside the keys there is no .cache yet."""
    monkeypatch.setenv("CPC_CACHE", str(tmp_path / ".cache" / "cpc-engine"))
    assert said(KeepCode) == "True"
    assert (tmp_path / ".cache" / "cpc-engine" / "kernels" / "code").read_bytes() == b"code"


def test_a_child_inherits_no_descriptor(said, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the key")
    with secret.open() as held:
        os.set_inheritable(held.fileno(), True)
        assert str(secret) not in said(OpenFiles)


def test_nor_a_passphrase(open_pool, keys, monkeypatch):
    """The variable is gone from the environment before the first child is started."""
    from node_client.passphrase import passphrase_source

    monkeypatch.setenv("CPC_PASSPHRASE", "correct horse")
    assert passphrase_source(None)() == "correct horse"
    assert "CPC_PASSPHRASE" not in os.environ
