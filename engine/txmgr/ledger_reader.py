"""What can be asked of the ledger: results, live transactions, nonces, totals. Nothing is written.

A reader may be used from any thread; what it gives is a snapshot.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from engine.monitor.events.mining import LedgerTotals
from engine.runtime.database import Database
from engine.runtime.sql import from_row
from node_client.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Progress:
    """One result and how far it has come. Times in Unix seconds, None where it is not so far."""

    task_id: str
    block_hash: str
    height: int
    task_index: int
    size: int
    iterations: int
    result_hash: str
    proof: str
    device: str
    seconds: float
    seen_at: float
    computed_at: float
    state: str
    given_up: str | None
    reason: str | None
    tx_hash: str | None
    nonce: int | None
    answer: str | None
    included_height: int | None
    included_at: float | None


@dataclass(frozen=True, slots=True)
class LiveTransaction:
    """A signed transaction that is in no block yet.

    `sent_height`: the tip when it was last sent; `received`: how often a node took it as new.
    `answer`: the last that a node said.
    """

    tx: Transaction
    task_id: str
    state: str
    sent_height: int | None = None
    received: int = 0
    answer: str = ""

    @property
    def is_delivered(self) -> bool:
        """Whether a node has it, as it says."""
        return self.answer in ("received", "already_in_pool")


class LedgerReader:
    """The questions; `engine.txmgr.ledger.Ledger` is one that writes, too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read = database.read
        self._parsed: dict[str, Transaction] = {}  # those in flight, by hash

    def has_result(self, task_id: str) -> bool:
        """Whether this task was computed before."""
        return bool(self._read("SELECT 1 FROM results WHERE task_id = ?", task_id))

    def answered(self, block_hash: str) -> set[str]:
        """Return the task ids of this block that have a result."""
        rows = self._read("SELECT task_id FROM results WHERE block_hash = ?", block_hash)
        return {row["task_id"] for row in rows}

    def knows_block(self, height: int, block_hash: str) -> bool:
        """Whether this block was seen before."""
        found = "SELECT 1 FROM blocks WHERE height = ? AND hash = ?"
        return bool(self._read(found, height, block_hash))

    def last_block_height(self) -> int | None:
        """Height of the block that was looked at last: not the highest, which a node may invent."""
        rows = self._read("SELECT height FROM blocks ORDER BY rowid DESC LIMIT 1")
        return int(rows[0]["height"]) if rows else None

    def unanswered_blocks(self) -> list[tuple[int, str]]:
        """Blocks that were seen, and lack a result as well as a reason for that."""
        rows = self._read(
            "SELECT height, hash FROM blocks b WHERE skipped IS NULL AND tasks >"
            " (SELECT count(*) FROM results r WHERE r.block_hash = b.hash) ORDER BY height"
        )
        return [(row["height"], row["hash"]) for row in rows]

    def progress(self, where: str = "1", *values: Any) -> list[Progress]:
        """Results in the order in which their blocks came. `where` is SQL of this program's own."""
        fields = ", ".join(Progress.__dataclass_fields__)
        rows = self._read(
            f"SELECT {fields} FROM progress WHERE {where} ORDER BY height, task_index",  # noqa: S608
            *values,
        )
        return [Progress(**dict(row)) for row in rows]

    def open_results(self) -> list[Progress]:
        """Results that are neither final nor given up, oldest first."""
        return self.progress("open = 1")

    def to_sign(self) -> list[Progress]:
        """Computed results without a transaction, oldest first."""
        return self.progress("open = 1 AND state = 'computed'")

    def in_flight(self) -> list[LiveTransaction]:
        """Signed transactions that are in no block, in the order of their nonces."""
        rows = self._read(
            "SELECT tx_hash, task_id, state, sent_height, received, answer FROM transactions"
            " WHERE state IN ('signed', 'sent') ORDER BY nonce"
        )
        known = self._parsed
        self._parsed = {
            row["tx_hash"]: known.get(row["tx_hash"]) or self._transaction(row["tx_hash"])
            for row in rows
        }
        return [from_row(LiveTransaction, row, tx=self._parsed[row["tx_hash"]]) for row in rows]

    def _transaction(self, tx_hash: str) -> Transaction:
        (row,) = self._read("SELECT body FROM transactions WHERE tx_hash = ?", tx_hash)
        return Transaction.model_validate_json(row["body"])

    def taken_nonces(self, first: int = 0) -> set[int]:
        """Nonces from `first` on that are spent, or that a transaction has which is not abandoned."""
        rows = self._read(
            "SELECT nonce FROM transactions WHERE state <> 'abandoned' AND nonce >= ?"
            " UNION SELECT nonce FROM spends WHERE nonce >= ?",
            first,
            first,
        )
        return {row["nonce"] for row in rows}

    def unsettled_nonces(self, up_to_height: int) -> dict[str, list[int]]:
        """Nonces with which open results were signed before, and might still get into a block.

        By task id, in order. That is past where a block at this height or below spent them.
        """
        found: defaultdict[str, list[int]] = defaultdict(list)
        for row in self._read(
            # A cross join, so that of transactions only those of open results are looked at.
            "SELECT DISTINCT t.task_id, nonce FROM results r CROSS JOIN transactions t"
            " WHERE r.open = 1 AND t.task_id = r.task_id AND NOT EXISTS"
            " (SELECT 1 FROM spends s WHERE s.nonce = t.nonce AND s.height <= ?) ORDER BY nonce",
            up_to_height,
        ):
            found[row["task_id"]].append(row["nonce"])
        return found

    @property
    def genesis(self) -> str:
        """Hash of the chain's first block, as this ledger was made with."""
        return str(self._read("SELECT value FROM meta WHERE key = 'genesis'")[0]["value"])

    def scan_position(self) -> tuple[int, str] | None:
        """Height and hash of the last block that was searched."""
        rows = self._read("SELECT height, hash FROM scanned ORDER BY height DESC LIMIT 1")
        return (rows[0]["height"], rows[0]["hash"]) if rows else None

    def scanned_hash(self, height: int) -> str | None:
        """Hash of the block searched at this height, None where it was not or is long ago."""
        rows = self._read("SELECT hash FROM scanned WHERE height = ?", height)
        return rows[0]["hash"] if rows else None

    def scanned_blocks(self, up_to_height: int) -> list[tuple[int, str]]:
        """Heights and hashes of the last blocks that were searched, the highest first."""
        rows = self._read(
            "SELECT height, hash FROM scanned WHERE height <= ? ORDER BY height DESC", up_to_height
        )
        return [(row["height"], row["hash"]) for row in rows]

    @property
    def scan_start(self) -> int:
        """Height from which on every block was searched, each linked to the one before."""
        rows = self._read("SELECT value FROM meta WHERE key = 'scan_start'")
        return int(rows[0]["value"]) if rows else 0

    def proven(self, up_to_height: int | None = None) -> int:
        """Return the first nonce that is not proven spent: all below it are.

        By blocks up to this height, or all that were read; `chain_record.py` says what proves it.
        """
        found = self.contiguous(up_to_height)
        return self._confirmed(up_to_height) if found is None else found[0]

    def _confirmed(self, up_to_height: int | None) -> int:
        most = 2**63 - 1 if up_to_height is None else up_to_height
        row = self._read(
            "SELECT max((SELECT coalesce(max(first_unspent), 0) FROM confirmed"
            " WHERE coalesce(height, 0) <= ?),"
            " (SELECT coalesce(max(nonce) + 1, 0) FROM spends WHERE ours = 0 AND height <= ?))"
            " AS nonce",
            most,
            most,
        )[0]
        return int(row["nonce"])

    def contiguous(self, up_to_height: int | None = None) -> tuple[int, int] | None:
        """Return the first nonce above the confirmed ones that is not spent, and the last's height.

        None where none above them is spent in blocks up to `up_to_height`.
        """
        first = nonce = self._confirmed(up_to_height)
        height = 0
        for row in self._read(
            "SELECT nonce, height FROM spends WHERE nonce >= ? AND (? IS NULL OR height <= ?)"
            " ORDER BY nonce",
            first,
            up_to_height,
            up_to_height,
        ):
            if row["nonce"] != nonce:
                break
            nonce, height = nonce + 1, max(height, row["height"])
        return None if nonce == first else (nonce, height)

    @property
    def last_signed_nonce(self) -> int:
        """The highest nonce that was ever signed for, -1 for none."""
        return int(self._read("SELECT coalesce(max(nonce), -1) AS n FROM transactions")[0]["n"])

    def totals(self) -> LedgerTotals:
        """Return how many results stand in each state, blocks, and fees of final results."""
        blocks = self._read("SELECT count(*) AS seen, count(skipped) AS skipped FROM blocks")[0]
        missed = self._read("SELECT coalesce(sum(last - first + 1), 0) AS n FROM gaps")[0]["n"]
        return LedgerTotals(
            self.fees_paid(), blocks["seen"], blocks["skipped"], missed, **self.counts()
        )

    def counts(self, first: int = 0) -> dict[str, int]:
        """Return how many results of blocks from this height on stand in each state."""
        rows = self._read(
            "SELECT state, count(*) AS n FROM progress WHERE height >= ? GROUP BY state", first
        )
        return {row["state"]: row["n"] for row in rows}

    def fee(self, tx_hash: str) -> int:
        """What this transaction of ours pays, in units."""
        fee = "SELECT json_extract(body, '$.fee') AS fee FROM transactions WHERE tx_hash = ?"
        return int(self._read(fee, tx_hash)[0]["fee"])

    def received(self, since: float) -> int:
        """Return what others have sent to the account, in units, in blocks read since (Unix time)."""
        rows = self._read("SELECT amount FROM received WHERE noted_at >= ?", since)
        return sum(int(row["amount"]) for row in rows)

    def fees_paid(self, first: int = 0) -> int:
        """What every final result of blocks from this height on has cost, in units.

        Summed here, since SQLite's integers end.
        """
        rows = self._read(
            "SELECT json_extract(body, '$.fee') AS fee, count(*) AS n FROM transactions"
            " JOIN results USING (task_id) WHERE state = 'final' AND height >= ? GROUP BY fee",
            first,
        )
        return sum(int(row["fee"]) * int(row["n"]) for row in rows)
