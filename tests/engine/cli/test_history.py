"""`history` after a real run: what the ledger says, by day, while no engine or one is running."""

import csv
import io

import pytest

from engine.txmgr.history import read_days


@pytest.fixture
def mined(cli, devnet, home):
    assert cli("mine --blocks 3 --size 16 --device reference --depth 1 --json").code == 0
    return home / "state"


def test_days_are_what_the_ledger_holds(cli, mined):
    (day,) = cli("history --json").json()
    assert day["seen"] == 3
    assert day["final"] + day["given_up"] <= day["results"] <= 3
    assert day["final"] >= 1
    assert int(day["fees"]) > 0
    (row,) = csv.DictReader(io.StringIO(cli("history --csv").out))
    assert {name: row[name] for name in ("day", "seen", "fees")} == {
        "day": day["day"],
        "seen": str(day["seen"]),
        "fees": day["fees"],
    }
    table = cli("history").out.splitlines()
    assert table[0].split()[:3] == ["day", "blocks", "results"]
    assert table[1].startswith(day["day"])
    assert read_days(mined, since=2e10) == []


def test_what_others_paid_is_in_summary_status_and_history(cli, mined, keys):
    assert cli(f"tx send {keys['worker'].address} 2.5 --from faucet --wait 30").code == 0
    run = cli("mine --blocks 2 --size 16 --device reference --depth 1 --plain")
    assert run.code == 0
    assert f" CPC from {keys['faucet'].address}" in run.out
    assert "Received from others: 2.5 CPC; fees: " in run.out
    assert "results that are not final yet: " in run.out
    told = cli("history --json")
    assert told.code == 0, told.err
    (day,) = told.json()
    assert day["received"] == "2500000000000000000"
    head, row = cli("history").out.splitlines()[:2]
    assert (head.split()[-2:], row.split()[-1]) == (["received,", "CPC"], "2.5")


def test_a_wrong_span_a_broken_ledger_and_an_empty_state(cli, home):
    assert cli("history --since all").out == "nothing was done in that time\n"
    assert cli("history --since yesterday").code == 2
    (home / "state").mkdir(exist_ok=True)
    (home / "state" / "broken.sqlite").write_bytes(b"no database" * 100)
    broken = cli("history")
    assert broken.code == 2
    assert "broken.sqlite cannot be read: file is not a database" in broken.err
