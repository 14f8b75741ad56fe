"""No HOME, a user without an entry, `~` in variables and files, and two engines with one key."""

import os
import subprocess
from pathlib import Path

import pytest

from engine.runtime.paths import state_directory
from kernels.cache import cache_directory
from tests.processes import ENGINE, started, wait_until
from tests.situations import run, tells_no_bug
from tests.variants import quick_and_slow

SEED = "ab" * 31 + "cd"


def homeless(**more):
    """The environment of a process that knows no home directory."""
    left_out = ("HOME", "CPC_KEYS", "CPC_STATE", "CPC_CACHE", "XDG_CACHE_HOME")
    return {name: value for name, value in os.environ.items() if name not in left_out} | more


def as_nobody(line):
    """What the command did as a user without an entry, in a namespace of users."""
    prefix = ["unshare", "--user", "--map-user=54321"]
    if subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a namespace of users")
    return run(line, prefix=prefix, env=homeless())


@pytest.mark.parametrize(
    "line", quick_and_slow(["keys list", "mine", "doctor"], ["status", "config show mine"])
)
def test_without_a_home_directory_there_is_a_sentence(line):
    done = as_nobody(line)
    assert done.returncode in (0, 2, 3)
    if line in ("keys list", "status", "mine"):
        assert done.returncode == 2
        assert "home directory is not known" in done.stderr
        assert "CPC_" in done.stderr


@pytest.mark.slow  # compiles every kernel
def test_computing_and_verifying_go_on_without_a_home_directory():
    done = as_nobody(f"compute --size 16 --device cpu --threads 1 --seed {SEED}")
    assert done.returncode == 0, done.stderr
    assert "compiled kernels are not kept: the home directory is not known" in done.stderr


def test_an_empty_home_is_none(cli, monkeypatch):
    monkeypatch.setenv("HOME", "")
    assert cli("config show mine").code == 0
    assert not Path("/.computechain").exists()


@pytest.mark.parametrize("variable", ["CPC_STATE", "CPC_KEYS", "CPC_CACHE", "XDG_CACHE_HOME"])
def test_a_tilde_in_a_variable_is_the_home_directory(cli, home, variable, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CPC_CACHE")
    monkeypatch.setenv(variable, "~/there")
    assert cli("keys add one").code == 0
    assert not (tmp_path / "~").exists()
    there = {
        "CPC_STATE": state_directory,
        "CPC_KEYS": lambda: next((home / "there").glob("one.json")).parent,
        "CPC_CACHE": cache_directory,
        "XDG_CACHE_HOME": lambda: cache_directory().parent,
    }
    assert there[variable]() == home / "there"


@pytest.mark.slow
def test_a_tilde_in_the_file_and_after_an_equals_sign_is_the_home_directory(home, devnet, tmp_path):
    (home / "engine.toml").write_text('[mine]\nledger = "~/l/a.sqlite"\n')
    line = "mine --plain --device reference --size 64 --blocks 1"
    done = run(f"--config={home}/engine.toml {line}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (home / "l" / "a.sqlite").exists()
    done = run(f"{line} --ledger=~/l/b.sqlite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (home / "l" / "b.sqlite").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("elsewhere", quick_and_slow(["state"], ["ledger"]))
def test_two_engines_with_one_key_never_run_at_once(home, devnet, elsewhere):
    mine = "mine --plain --device reference --size 64"
    with started(
        [*ENGINE, *mine.split()], stdout=subprocess.DEVNULL, env=dict(os.environ)
    ) as first:
        wait_until(lambda: list((home / "keys").glob(".*.lock")), "the first one's lock")
        ledger = f" --ledger {home}/other.sqlite" if elsewhere == "ledger" else ""
        environment = os.environ | ({"CPC_STATE": str(home / "b")} if elsewhere == "state" else {})
        second = run(mine + ledger, env=environment)
        assert first.poll() is None
    assert second.returncode == 2
    assert "works with this key" in second.stderr
    tells_no_bug(second.stderr)


def test_a_key_directory_that_cannot_be_written_is_no_hindrance(home, devnet):
    """A mounted secret; root writes everywhere but on a file system that is read-only."""
    keys = home / "keys"
    bound = f"mount --bind {keys} {keys} && mount -o remount,bind,ro {keys}"
    prefix = ["unshare", "-m", "bash", "-c", f'{bound} && exec "$@"', "-"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("only root may mount here")
    done = run("mine --plain --device reference --size 64 --blocks 1", prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert not list(keys.glob(".*.lock"))
