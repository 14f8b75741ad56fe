"""Compiled code is executed: none is taken from a place where another user can write."""

import os
import pickle
from pathlib import Path

import pytest

from kernels.cache import cache_problem, keep, read_kept
from kernels.private_path import exposure, make_private
from tests.processes import run_python

COMPILE = """
import numpy as np
from kernels.cpu.jit import Jit, finish
jit = Jit(variant="attacked")

@jit.kernel("void(int8[::1])")
def double(x):
    x[0] *= 2

finish([jit])
x = np.ones(1, np.int8)
double(x)
print(x[0])
"""


class Code:
    """What an attacker puts into the cache: reading it runs it."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return (Path.touch, (self.proof,))


@pytest.fixture
def base(tmp_path):
    """A directory whose way is safe whatever the machine's /tmp is like."""
    if reason := exposure(tmp_path):
        pytest.skip(f"this machine's temporary directory is open to others: {reason}")
    return tmp_path


def run(cache: Path) -> str:
    return run_python(COMPILE, CPC_CACHE=str(cache)).strip()


def poison(cache: Path, proof: Path) -> None:
    """Put the attacker's code in place of every compiled kernel, with a digest that fits."""
    import hashlib

    code = pickle.dumps(Code(proof))
    files = [path for path in cache.rglob("*.bin") if path.is_file()]
    assert files
    for file in files:
        file.write_bytes(hashlib.sha256(code).digest() + code)


def test_code_in_a_directory_that_others_may_write_to_is_not_run(base):
    cache, proof = base / "cache", base / "attacked"
    assert run(cache) == "2"
    poison(cache, proof)
    for directory in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
        directory.chmod(0o777)
        assert run(cache) == "2"
        assert not proof.exists()
        directory.chmod(0o700)


def test_nor_is_a_file_that_others_may_write_or_a_link(base):
    cache, proof = base / "cache", base / "attacked"
    assert run(cache) == "2"
    poison(cache, proof)
    for file in cache.rglob("*.bin"):
        file.chmod(0o666)
    assert run(cache) == "2"
    assert not proof.exists()
    poison(cache, proof)
    for number, file in enumerate(cache.rglob("*.bin")):
        elsewhere = base / f"elsewhere{number}"
        file.rename(elsewhere)
        file.symlink_to(elsewhere)
    assert run(cache) == "2"
    assert not proof.exists()


def test_a_directory_of_another_user(base, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    cache = base / "cache"
    cache.mkdir(mode=0o700)
    os.chown(cache, 12345, 12345)
    monkeypatch.setenv("CPC_CACHE", str(cache))
    assert "belongs to user 12345" in cache_problem()
    assert not keep(cache / "file", b"code")
    assert list(cache.iterdir()) == []
    link = base / "link"
    link.symlink_to(cache)
    assert "belongs to user 12345" in exposure(link)


def test_a_link_into_a_directory_that_others_may_write_to(base):
    shared = base / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "cache").mkdir(mode=0o700)
    link = base / "link"
    link.symlink_to(shared / "cache")
    assert "other users may write" in exposure(link)
    shared.chmod(0o1777)  # as /tmp: nobody can take another's directory away
    assert exposure(link) == ""
    assert "other users may write" in exposure(shared)


def test_what_is_made_is_for_this_user_alone(base):
    mask = os.umask(0)
    try:
        file = base / "new" / "deep" / "file"
        assert keep(file, b"code")
        assert read_kept(file) == b"code"
        modes = [path.stat().st_mode & 0o777 for path in (base / "new", file.parent, file)]
        assert modes == [0o700, 0o700, 0o600]
        make_private(file.parent)  # a second time changes nothing
    finally:
        os.umask(mask)
