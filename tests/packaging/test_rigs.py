"""The packages for HiveOS and mmpOS, as their agents use them, against a real engine's /status."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, end, wait_until

PACK = Path(__file__).parents[2] / "packaging" / "rigs" / "pack.py"
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "jq"))), reason="there is no bash, curl or jq here"
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    where = tmp_path_factory.mktemp("rigs")
    subprocess.run([sys.executable, PACK, where], check=True, capture_output=True)
    for archive in where.glob("*.tar.gz"):
        system = archive.name.rpartition("_")[2].removesuffix(".tar.gz")
        with tarfile.open(archive) as members:
            members.extractall(where / system, filter="data")
    return where


@pytest.fixture(scope="module")
def engine(unpacked):
    """`mine` as mmpOS starts it, on a devnet of its own: the port is the scripts' fixed one."""
    command = unpacked / "engine"
    command.write_text(f'#!/bin/sh\nexec {" ".join(map(_quoted, ENGINE))} "$@"\n')
    command.chmod(0o755)
    process = subprocess.Popen(
        [
            unpacked / "mmpos" / "cpc-engine" / "cpc-engine",
            *("--devnet", "--device", "reference", "--size", "16", "--block-time", "0.3"),
        ],
        env=os.environ | {"CPC_ENGINE": str(command), "HOME": str(unpacked)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if "cannot listen" in line:
                pytest.skip("another program uses port 9180")
            if ": final" in line or "confirmed" in line:
                break
        assert process.poll() is None
        yield process
    finally:
        end(process)


def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def test_stats_are_what_the_dashboards_ask_for(unpacked, engine):
    script = unpacked / "hiveos" / "cpc-engine" / "h-stats.sh"

    def hive():
        shown = subprocess.run(
            ["bash", "-c", f'. {script}; echo "$khs"; echo "$stats"'],
            check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        khs, stats = shown.stdout.splitlines()
        stats = json.loads(stats)
        return (float(khs), stats) if stats and stats["ar"][0] > 0 else None

    khs, stats = wait_until(hive, "a confirmed result in the statistics")
    assert khs > 0
    assert set(stats) == {
        *("hs", "hs_units", "temp", "fan", "uptime", "ver", "ar", "algo", "bus_numbers"),
    }
    assert len(stats["hs"]) == len(stats["temp"]) == len(stats["fan"]) == 1
    assert stats["ar"][1] == 0
    mmp = subprocess.run(
        [unpacked / "mmpos" / "cpc-engine" / "mmp-stats.sh"],
        check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    found = json.loads(mmp.stdout)
    assert found["busid"] == ["cpu"]
    assert len(found["hash"]) == 1
    assert int(found["air"][0]) >= stats["ar"][0]


def test_an_engine_that_is_away_is_zero(unpacked, tmp_path):
    script = (unpacked / "hiveos" / "cpc-engine" / "h-stats.sh").read_text().replace("9180", "9")
    shown = subprocess.run(
        ["bash", "-c", f'{script}\necho "$khs $stats"'], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "0 null\n"


def test_a_flight_sheet_becomes_options_and_no_shell_runs_in_it(unpacked, tmp_path):
    where = unpacked / "hiveos" / "cpc-engine"
    shutil.copytree(where, tmp_path / "miner")
    touched = tmp_path / "touched"
    sheet = {
        "CUSTOM_URL": f"http://a:8000\nhttp://b:8000;touch {touched}",
        "CUSTOM_TEMPLATE": f"$(touch {touched})",
        "CUSTOM_USER_CONFIG": "--device cuda:0\n--tasks-per-block auto",
        "CUSTOM_CONFIG_FILENAME": str(tmp_path / "engine.conf"),
        "CPC_ENGINE": "/bin/echo",
    }
    manifest = tmp_path / "miner" / "h-manifest.conf"
    text = manifest.read_text().replace("/hive/miners/custom/$CUSTOM_NAME", str(tmp_path))
    manifest.write_text(text.replace("/var/log/miner", str(tmp_path / "log")))
    line = f". {tmp_path}/miner/h-config.sh && {tmp_path}/miner/h-run.sh"
    shown = subprocess.run(
        ["bash", "-c", line], env=os.environ | sheet, check=True, capture_output=True, text=True
    )
    assert shown.stdout.split() == [
        *("mine", "--plain", "--http", "127.0.0.1:9180"),
        *("--device", "cuda:0", "--tasks-per-block", "auto"),
    ]
    assert not touched.exists()
    assert (tmp_path / "log" / "cpc-engine" / "cpc-engine.log").read_text() == shown.stdout
    empty = subprocess.run(
        ["bash", "-c", f". {tmp_path}/miner/h-config.sh"], env=os.environ | sheet | {"CUSTOM_URL": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (empty.returncode, "names no node" in empty.stdout) == (1, True)
    assert stat.S_IMODE((tmp_path / "miner" / "h-run.sh").stat().st_mode) & 0o111
