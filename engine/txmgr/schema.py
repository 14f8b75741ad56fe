"""The ledger's tables, in SQL; what they mean is said in `ledger.py`.

    sqlite3 ~/.computechain/engine/*.sqlite 'SELECT task_id, state, reason FROM progress'

Every statement may be carried out again on a ledger that has it. A change that may not needs a new
`SCHEMA_VERSION`, which an older ledger is refused for.
"""

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS blocks (
    height INTEGER NOT NULL, hash TEXT NOT NULL, seen_at REAL NOT NULL, tasks INTEGER NOT NULL,
    skipped TEXT, PRIMARY KEY (height, hash)) STRICT;
CREATE INDEX IF NOT EXISTS blocks_by_hash ON blocks (hash);

CREATE TABLE IF NOT EXISTS gaps (
    first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL, noted_at REAL NOT NULL
    ) STRICT;

CREATE TABLE IF NOT EXISTS results (
    task_id TEXT PRIMARY KEY, block_hash TEXT NOT NULL, height INTEGER NOT NULL,
    task_index INTEGER NOT NULL, seed TEXT NOT NULL, size INTEGER NOT NULL,
    iterations INTEGER NOT NULL, result_hash TEXT NOT NULL, proof TEXT NOT NULL,
    device TEXT NOT NULL, seconds REAL NOT NULL, seen_at REAL NOT NULL, computed_at REAL NOT NULL,
    given_up TEXT, reason TEXT,
    open INTEGER NOT NULL DEFAULT 1) STRICT;  -- 0: final or given up
CREATE INDEX IF NOT EXISTS open_results ON results (height) WHERE open = 1;
CREATE INDEX IF NOT EXISTS proofs_kept ON results (height) WHERE open = 0 AND proof <> '';
CREATE INDEX IF NOT EXISTS results_by_block ON results (block_hash);

CREATE TABLE IF NOT EXISTS transactions (
    tx_hash TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES results (task_id),
    nonce INTEGER NOT NULL, body TEXT NOT NULL, received INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('signed', 'sent', 'included', 'final', 'abandoned')),
    answer TEXT NOT NULL DEFAULT '', signed_at REAL NOT NULL, sent_at REAL, sent_height INTEGER,
    included_height INTEGER, included_hash TEXT, included_at REAL) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS one_live_transaction_a_task
    ON transactions (task_id) WHERE state <> 'abandoned';
CREATE UNIQUE INDEX IF NOT EXISTS one_live_transaction_a_nonce
    ON transactions (nonce) WHERE state <> 'abandoned';

CREATE INDEX IF NOT EXISTS transactions_by_task ON transactions (task_id);
CREATE INDEX IF NOT EXISTS transactions_by_state ON transactions (state);

CREATE TABLE IF NOT EXISTS spends (  -- ours: signed by the engine that keeps this ledger
    nonce INTEGER PRIMARY KEY, height INTEGER NOT NULL, tx_hash TEXT NOT NULL,
    ours INTEGER NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS confirmed (  -- height: a roll-back below it takes it back
    how TEXT PRIMARY KEY CHECK (how IN ('ledger', 'block', 'nodes', 'operator')),
    first_unspent INTEGER NOT NULL, height INTEGER, noted_at REAL NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS sent_elsewhere (
    task_id TEXT PRIMARY KEY, body TEXT NOT NULL, height INTEGER NOT NULL,
    block_hash TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS scanned (height INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS days (  -- local ones; the last balance of each, in units
    day TEXT PRIMARY KEY, joules REAL NOT NULL, balance TEXT) STRICT;

CREATE TABLE IF NOT EXISTS received (  -- transfers of others to the account; units
    tx_hash TEXT PRIMARY KEY, height INTEGER NOT NULL, sender TEXT NOT NULL,
    amount TEXT NOT NULL, noted_at REAL NOT NULL) STRICT;

CREATE VIEW IF NOT EXISTS progress AS
    SELECT r.*, t.tx_hash, t.nonce, t.answer, t.signed_at, t.sent_at, t.included_height,
           t.included_hash, t.included_at,
           CASE WHEN r.given_up IS NOT NULL THEN 'given_up'
                ELSE coalesce(t.state, 'computed') END AS state
    FROM results r LEFT JOIN transactions t ON t.task_id = r.task_id AND t.state <> 'abandoned';

-- A ledger of 0.1 has `spent` in place of `spends`, also from transactions that nobody had signed:
-- what its own transactions in blocks have spent is taken over, once.
INSERT OR IGNORE INTO spends SELECT nonce, included_height, tx_hash, 1 FROM transactions
    WHERE state IN ('included', 'final') AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'spends');
INSERT OR IGNORE INTO confirmed SELECT 'ledger', max(nonce) + 1, max(included_height),
    coalesce(max(included_at), 0) FROM transactions
    WHERE state = 'final' AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'spends')
    HAVING count(*) > 0;
INSERT OR IGNORE INTO meta VALUES ('spends', 'by hash');
"""
