"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, behind a Unix socket only."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.processes import end, wait_until

_numbers = itertools.count()


def binaries():
    """The folder with initdb and postgres, None where there is none."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists()), None)


class Cluster:
    """Skips the test where PostgreSQL or psycopg is missing."""

    def __init__(self):
        self._bin = binaries()
        if self._bin is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
        pytest.importorskip("psycopg", reason="psycopg is not installed (the extra `postgresql`)")
        self.folder = Path(tempfile.mkdtemp(prefix="cpc-pg-"))
        self._as = {}
        if os.getuid() == 0:  # which postgres refuses to run as
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._data = self.folder / "data"
        options = ("-U", "cpc", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._run("initdb", "-D", self._data, *options)
        self.process = None

    def _run(self, program, *arguments):
        subprocess.run(
            [self._bin / program, *arguments],
            check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._as,
        )  # fmt: skip

    def start(self):
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    self._bin / "postgres", "-D", self._data, "-k", self.folder,
                    "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=32MB",
                ],
                cwd=self.folder, stdout=log, stderr=log, **self._as,
            )  # fmt: skip
        wait_until(self._answers, "PostgreSQL to answer")

    def _answers(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("pg_isready", "-q", "-h", self.folder)
            return True
        return False

    def stop(self):
        """Cut off everyone, as `pg_ctl stop -m fast` does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None

    def crash(self):
        """SIGKILL for the server: its clients see a connection that is cut."""
        end(self.process)
        wait_until(lambda: not self._answers(), "the server to be gone")

    def close(self):
        end(self.process)
        shutil.rmtree(self.folder)

    def url(self, name="postgres"):
        return f"postgresql://cpc@/{name}?host={self.folder}"

    def connect(self, name="postgres"):
        import psycopg

        return psycopg.connect(self.url(name), autocommit=True)

    def new_database(self):
        """URL of an empty database."""
        name = f"market{next(_numbers)}"
        with self.connect() as db:
            db.execute(f"CREATE DATABASE {name}")
        return self.url(name)
