"""A disk that is full: a real limit on what the process may write, as `ulimit -f` sets it."""

import os
import shlex
import sqlite3
import subprocess

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS

MINE = "mine --plain --device reference --size 128 --openings 256 --tasks-per-block 4"


@pytest.mark.slow
def test_a_full_disk_stops_the_run_with_a_sentence_and_nothing_is_lost(home, devnet):
    command = f"ulimit -f 700; exec {shlex.join(ENGINE)} {MINE}"
    full = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=dict(os.environ),
    )
    assert full.returncode == 2, full.stdout[-500:] + full.stderr
    assert "could not be written" in full.stderr
    assert "Free space on the disk" in full.stderr
    assert "Traceback" not in full.stderr
    signed = {line.split()[-1] for line in full.stdout.splitlines() if ": signed with" in line}
    assert signed

    again = subprocess.run(
        [*ENGINE, *shlex.split(MINE), "--blocks", "1", "--depth", "2"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert again.returncode == 0, again.stderr
    (ledger,) = (home / "state").glob("*.sqlite")
    database = sqlite3.connect(ledger)
    known = dict(database.execute("SELECT tx_hash, state FROM transactions"))
    database.close()
    assert signed <= set(known)
    assert set(known.values()) <= {"final", "abandoned"}
