"""The ledger: every transition, and a process killed in the middle of them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.pool.messages import Computed
from engine.runtime.errors import LedgerError
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger import Ledger
from engine.txmgr.one_off import nonce_in_ledger
from node_client import ComputeResult, PrivateKey, Transaction, TxType
from tests.blocks import to_oneself

KEY = PrivateKey(bytes(31) + b"\x07")
OLD_TABLES = Path(__file__).parents[2] / "vectors" / "ledger_0_1.sql"
IDENTITY = {"chain_id": "cpc-devnet-1", "genesis": "g" * 64, "address": KEY.address}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite", **IDENTITY) as opened:
        yield opened


def task(height, index=0):
    return BlockTask.derive(f"{height:064x}", KEY.address, height=height, index=index, size=16)


def compute(ledger, height, index=0):
    made = task(height, index)
    ledger.record_block(height, made.block_hash, 1.0)
    ledger.record_computed(made, Computed(1, bytes(32), "01", "cpu", 0.1), 1.0)
    return made


def sign(ledger, made, nonce):
    payload = ComputeResult(
        task_id=made.task_id,
        worker_address=KEY.address,
        result_hash="0" * 64,
        proof="01",
        signature="",
    )
    tx = Transaction(
        tx_type=TxType.SUBMIT_RESULT,
        from_address=KEY.address,
        amount=0,
        fee=80_000_000,
        nonce=nonce,
        payload=payload.model_dump(),
        gas_price=1000,
        gas_limit=80_000,
    ).signed_by(KEY)
    ledger.record_signed(made.task_id, tx)
    return tx


def state(ledger, made):
    (found,) = ledger.progress("task_id = ?", made.task_id)
    return found.state


def test_a_result_goes_through_its_states(ledger):
    made = compute(ledger, 5)
    assert state(ledger, made) == "computed"
    tx = sign(ledger, made, 0)
    assert state(ledger, made) == "signed"
    assert [live.tx for live in ledger.in_flight()] == [tx]
    ledger.record_sent(tx.hash(), "received", 5)
    assert state(ledger, made) == "sent"
    assert ledger.record_included(tx, 6, "b" * 64)
    assert state(ledger, made) == "included"
    assert ledger.record_final(5) == []
    assert ledger.record_final(6) == [made.task_id]
    assert state(ledger, made) == "final"
    assert ledger.taken_nonces() == {0}


def test_a_result_is_computed_and_signed_once(ledger):
    made = compute(ledger, 5)
    assert not ledger.record_computed(made, Computed(1, b"x" * 32, "02", "cpu", 0.1), 1.0)
    sign(ledger, made, 0)
    with pytest.raises(LedgerError):
        sign(ledger, made, 1)
    with pytest.raises(LedgerError):
        sign(ledger, compute(ledger, 6), 0)


def test_a_roll_back_takes_inclusion_and_finality_back(ledger):
    made = compute(ledger, 5)
    tx = sign(ledger, made, 0)
    ledger.record_scanned(5, "a" * 64)
    ledger.record_scanned(6, "b" * 64)
    ledger.record_included(tx, 6, "b" * 64)
    ledger.record_final(6)
    ledger.roll_back(above=5)
    assert state(ledger, made) == "sent"
    assert ledger.in_flight()[0].sent_height is None  # to be sent again at once
    assert ledger.scan_position() == (5, "a" * 64)


def test_a_given_up_result_frees_its_nonce_but_is_known_when_a_block_holds_it(ledger):
    first, second = compute(ledger, 5), compute(ledger, 6)
    tx = sign(ledger, first, 0)
    ledger.give_up(first.task_id, "expired", "too old")
    rival = sign(ledger, second, 0)
    assert state(ledger, first) == "given_up"
    assert ledger.record_included(tx, 7, "c" * 64)
    assert state(ledger, first) == "included"
    assert state(ledger, second) == "computed"  # its nonce is spent: to be signed again
    assert ledger.in_flight() == []
    unknown = rival.model_copy(update={"nonce": 1}).signed_by(KEY)
    assert not ledger.record_included(unknown, 7, "c" * 64)


def test_a_foreign_transaction_frees_the_result_for_another_nonce(ledger):
    made = compute(ledger, 5)
    sign(ledger, made, 4)
    assert not ledger.record_elsewhere(to_oneself(KEY, 4), 6, "b" * 64)
    assert [result.task_id for result in ledger.to_sign()] == [made.task_id]
    sign(ledger, made, 5)
    assert state(ledger, made) == "signed"


def test_old_proofs_are_forgotten_and_nothing_else(ledger):
    old, young, waiting = compute(ledger, 5), compute(ledger, 8), compute(ledger, 6)
    for made, nonce in ((old, 0), (young, 1)):
        tx = sign(ledger, made, nonce)
        ledger.record_included(tx, 9, "b" * 64)
    sign(ledger, waiting, 2)
    ledger.record_final(9)
    ledger.forget_proofs(below_height=8)
    proofs = {result.task_id: result.proof for result in ledger.progress()}
    assert proofs == {old.task_id: "", young.task_id: "01", waiting.task_id: "01"}
    assert ledger.fees_paid() == 2 * 80_000_000
    assert [live.task_id for live in ledger.in_flight()] == [waiting.task_id]
    assert ledger.has_result(old.task_id)


def test_a_ledger_of_0_1_is_taken_over_without_what_nobody_had_signed(tmp_path):
    """Its `spent` also has nonces of look-alikes in made-up blocks: one is at 10^9."""
    path = tmp_path / "old.sqlite"
    with Ledger.open(tmp_path / "new.sqlite", **IDENTITY) as new:
        made = [compute(new, height) for height in range(5, 9)]
        bodies = [sign(new, one, 700 + nonce) for nonce, one in enumerate(made)]
        results = new._read("SELECT * FROM results")
    old = sqlite3.connect(path)
    old.executescript(OLD_TABLES.read_text())
    marks = ", ".join("?" * len(results[0]))
    old.executemany(f"INSERT INTO results VALUES ({marks})", [tuple(row) for row in results])
    states = [("final", 9), ("final", 10), ("included", 11), ("sent", None)]
    for tx, one, (its_state, height) in zip(bodies, made, states, strict=True):
        old.execute(
            "INSERT INTO transactions (tx_hash, task_id, nonce, body, state, signed_at,"
            " included_height) VALUES (?, ?, ?, ?, ?, 1.0, ?)",
            (tx.hash(), one.task_id, tx.nonce, json.dumps(tx.to_json()), its_state, height),
        )
    old.execute("INSERT INTO spent VALUES (1000000000, 8)")
    old.executemany("INSERT INTO scanned VALUES (?, ?)", [(10, "a" * 64), (11, "b" * 64)])
    old.commit()
    old.close()
    for _ in range(2):
        with Ledger.open(path, **IDENTITY) as ledger:
            assert [state(ledger, one) for one in made] == ["final", "final", "included", "sent"]
            assert ledger.proven() == 703
            assert ledger.taken_nonces(703) == {703}
    with Ledger.open(path, **IDENTITY) as ledger:
        ledger.roll_back(above=10)
        assert ledger.proven() == 702
        ledger.confirm_nonce("operator", 900, None)
        assert ledger.proven() == 900


def test_of_our_own_transactions_only_those_without_a_gap_prove_what_is_below(ledger):
    """The nonce of one behind a gap was named by a node."""
    for height, nonce in ((5, 0), (6, 1), (7, 40)):
        tx = sign(ledger, compute(ledger, height), nonce)
        ledger.record_included(tx, height, "b" * 64)
    assert ledger.proven() == 2
    ledger.record_final(6)
    assert ledger.proven() == 2
    ledger.record_elsewhere(
        to_oneself(KEY, 39), 8, "c" * 64
    )  # another program's: all below is spent
    assert ledger.proven() == 41
    ledger.roll_back(above=5)
    assert ledger.proven() == 1


def test_what_tx_send_reads_in_a_ledger_is_proven_by_the_same_rule(ledger, tmp_path):
    """A node had named nonce 64: the result that a block holds there proves none below."""
    path = tmp_path / "ledger.sqlite"
    for height, nonce in ((1, 0), (2, 1), (3, 64), (20, 2)):
        tx = sign(ledger, compute(ledger, height), nonce)
        ledger.record_included(tx, height, "b" * 64)
        ledger.record_scanned(height, "b" * 64)
    assert nonce_in_ledger(path).first_unspent == 2  # block 20 may be rolled back
    ledger.record_scanned(40, "b" * 64)
    assert nonce_in_ledger(path).first_unspent == ledger.proven() == 3
    ledger.confirm_nonce("nodes", 64, 40)
    assert nonce_in_ledger(path).first_unspent == 3
    ledger.record_scanned(60, "b" * 64)
    assert nonce_in_ledger(path).first_unspent == ledger.proven() == 65


def test_blocks_are_counted(ledger):
    compute(ledger, 5)
    ledger.record_block(6, "e" * 64, 2.0)
    assert ledger.unanswered_blocks() == [(6, "e" * 64)]
    ledger.record_skipped("e" * 64, "no device")
    ledger.record_gap(7, 9, "fell behind")
    assert ledger.unanswered_blocks() == []
    totals = ledger.totals()
    assert (totals.seen, totals.skipped, totals.missed) == (2, 1, 3)
    assert ledger.last_block_height() == 6


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, **IDENTITY), pytest.raises(LedgerError, match="another cpc-engine"):
        Ledger.open(path, **IDENTITY)
    Ledger.open(path, **IDENTITY).close()


@pytest.mark.parametrize("key", ["chain_id", "genesis", "address"])
def test_another_chain_or_account_is_refused(tmp_path, key):
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path, **IDENTITY).close()
    with pytest.raises(LedgerError, match=key):
        Ledger.open(path, **IDENTITY | {key: "other"})


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"precious data" * 100)
    with pytest.raises(LedgerError):
        Ledger.open(path, **IDENTITY)
    assert path.read_bytes() == b"precious data" * 100


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite", **IDENTITY)


def test_a_full_disk_stops_with_a_sentence_and_loses_nothing(ledger):
    made = compute(ledger, 5)
    pages = ledger._database._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._database._db.execute(f"PRAGMA max_page_count = {pages}")

    def fill():
        for height in range(6, 500):
            compute(ledger, height)

    with pytest.raises(LedgerError, match="could not be written"):
        fill()
    assert state(ledger, made) == "computed"


def test_kill_9_while_writing_loses_nothing_that_was_written(tmp_path):
    """A child process writes results and says so; it is killed at some moment, three times."""
    path = tmp_path / "ledger.sqlite"
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.engine.txmgr.test_ledger import IDENTITY, compute, sign
        from engine.txmgr.ledger import Ledger
        with Ledger.open(Path(sys.argv[1]), **IDENTITY) as ledger:
            height = len(ledger.progress())
            while True:
                sign(ledger, compute(ledger, height), height)
                print(height, flush=True)
                height += 1
        """
    )
    written = -1
    for lines in (1, 12, 5):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(lines):
            written = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with Ledger.open(path, **IDENTITY) as ledger:
            heights = {result.height for result in ledger.progress("state = 'signed'")}
            assert set(range(written + 1)) <= heights
            for live in ledger.in_flight():
                assert live.tx.signature_fits()
            # Computed, but killed before it was signed: signed by whoever comes next.
            for result in ledger.to_sign():
                sign(ledger, task(result.height), result.height)
