"""What the program makes is for its user alone, and no core dump holds a key."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime.database import Database, lock_file
from engine.runtime.errors import BadInput, DatabaseError
from tests.processes import PATIENCE_SECONDS


def cli(home: Path, *arguments: str, mask: int = 0) -> None:
    environment = os.environ | {"HOME": str(home), "CPC_STATE": str(home / "state")}
    for name in ("CPC_KEYS", "CPC_CONFIG", "CPC_NODE"):
        environment.pop(name, None)
    program = Path(sys.executable).with_name("cpc-engine")
    subprocess.run(
        [program, *arguments],
        env=environment,
        check=True,
        timeout=PATIENCE_SECONDS,
        capture_output=True,
        umask=mask,
    )


def test_no_umask_opens_what_the_program_makes(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    cli(home, "keys", "add", "worker")
    cli(
        home,
        "mine",
        "--devnet",
        *["--blocks", "1", "--size", "64", "--block-time", "0.3", "--depth", "1"],
    )
    made = [path for path in home.rglob("*") if not path.is_symlink()]
    assert {"keys", "worker.json"} <= {path.name for path in made}
    open_to_others = {
        str(path): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o77
    }
    assert open_to_others == {}


def test_a_lock_file_that_is_a_link_empties_nothing(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "x.lock").symlink_to(target)
    with pytest.raises(BadInput, match="symbolic link"), lock_file(tmp_path / "x.lock", "", ""):
        pass
    assert target.read_text() == "precious"
    lock = tmp_path / "y.lock"
    lock.write_text("kept")
    with lock_file(lock, "", ""):
        assert lock.read_text() == "kept"


@pytest.mark.parametrize("harm", ["unlink", "replace"])
def test_a_database_that_is_gone_while_it_is_open(tmp_path, harm):
    path = tmp_path / "ledger.sqlite"
    with Database.open(path, "CREATE TABLE IF NOT EXISTS t (x)", version=1) as database:
        with database.write() as db:
            db.execute("INSERT INTO t VALUES (1)")
        if harm == "unlink":
            path.unlink()
        else:
            other = tmp_path / "other"
            other.write_bytes(path.read_bytes())
            other.replace(path)
        with pytest.raises(DatabaseError, match="removed or replaced"), database.write() as db:
            db.execute("INSERT INTO t VALUES (2)")


@pytest.mark.parametrize("where", ["directory", "file"])
def test_a_database_where_others_may_write_is_refused(tmp_path, where):
    path = tmp_path / "state" / "ledger.sqlite"
    Database.open(path, "CREATE TABLE IF NOT EXISTS t (x)", version=1).close()
    (path.parent if where == "directory" else path).chmod(0o777)
    with pytest.raises(DatabaseError, match="other users may write"):
        Database.open(path, "", version=1)


DUMP = """
import ctypes, os, resource, sys
from engine.cli.options import KeyFiles
key = KeyFiles().load_key("worker")
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
"""


def test_a_process_with_a_key_dumps_no_core(tmp_path):
    """PR_GET_DUMPABLE is 0, and an abort with a limit that was open leaves no file."""
    cli(tmp_path, "keys", "add", "worker", mask=0o077)
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run(
        [sys.executable, "-c", DUMP],
        env=os.environ
        | {"HOME": str(tmp_path), "CPC_KEYS": str(tmp_path / ".computechain" / "keys")},
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1])),
    )
    assert done.returncode < 0
    assert done.stdout.split(maxsplit=1) == ["0", "(0, 0)\n"]
    assert not list(tmp_path.glob("core*"))
