"""The validator's tables, in SQL.

    sqlite3 ~/.computechain/engine/validator.sqlite 'SELECT task_id, status, reason FROM tasks'

Units of 10^-18 CPC are decimal TEXT, as ten CPC are more than SQLite's integers hold. Times are Unix
seconds. Every statement may be carried out again on a file that has it; a change that may not needs
a new `SCHEMA_VERSION`.

A task: pending <-> in_progress --> completed | failed. It is in progress while a job of it is open.
A job, one worker's attempt at a task: out --> committed --> accepted | refused, or, from the first
two, dropped. `role` is `second` where its result is to confirm another's; `data` is the SHA-256 of
the result's own bytes, once they are here.

`validator`: the process that has it in hand, of a job that is open and of a task in progress. `home`:
the directory of blobs that a task's bytes are in, if it has any: only validators with it take the task.
"""

SCHEMA_VERSION = 2

STEPS = {
    1: """
ALTER TABLE tasks ADD COLUMN validator TEXT;
ALTER TABLE tasks ADD COLUMN home TEXT;
ALTER TABLE jobs ADD COLUMN validator TEXT;
"""
}
"""How a file of an older version becomes one of the next."""

RECEIPTS = """
CREATE TABLE IF NOT EXISTS receipts (  -- of each completed task, as its file is
    task_id TEXT PRIMARY KEY REFERENCES tasks (task_id), content TEXT NOT NULL) STRICT;
"""
"""Came after the others, in the same version: a database without it gets it when it is opened."""

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS customers (
    name TEXT PRIMARY KEY, token_sha256 TEXT UNIQUE, credit TEXT NOT NULL DEFAULT '0',
    created_at REAL NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS bookings (  -- each change of a customer's credit, and why
    id INTEGER PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers (name),
    units TEXT NOT NULL, at REAL NOT NULL, why TEXT NOT NULL, task_id TEXT) STRICT;

CREATE TABLE IF NOT EXISTS uploads (  -- of the last day: see `uploads.py`
    customer TEXT NOT NULL REFERENCES customers (name), sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (customer, sha256)) STRICT;

CREATE TABLE IF NOT EXISTS tasks (
    task_id TEXT PRIMARY KEY, customer TEXT NOT NULL REFERENCES customers (name),
    challenge_type TEXT NOT NULL, payload TEXT NOT NULL, facts TEXT NOT NULL,
    reward TEXT NOT NULL, deadline REAL NOT NULL, created_at REAL NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT, closed_at REAL,
    job_id TEXT REFERENCES jobs (job_id),
    validator TEXT, home TEXT) STRICT;
CREATE INDEX IF NOT EXISTS tasks_by_status ON tasks (status, deadline);
CREATE INDEX IF NOT EXISTS tasks_by_age ON tasks (created_at);

CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks (task_id),
    role TEXT NOT NULL CHECK (role IN ('first', 'second')),
    worker_address TEXT, guest INTEGER NOT NULL,
    payload TEXT,  -- NULL: the task's
    state TEXT NOT NULL
        CHECK (state IN ('out', 'committed', 'accepted', 'refused', 'dropped')),
    sent_at REAL NOT NULL, lease_until REAL NOT NULL,
    result_hash TEXT, proof TEXT, signature TEXT, nonce TEXT, committed_at REAL,
    leaves TEXT,
    "full" TEXT NOT NULL DEFAULT 'none' CHECK ("full" IN ('none', 'self', 'second')),
    data TEXT, data_size INTEGER, ended_at REAL, reason TEXT,
    validator TEXT) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_task ON jobs (task_id);
CREATE INDEX IF NOT EXISTS open_jobs ON jobs (state) WHERE state IN ('out', 'committed');

CREATE TABLE IF NOT EXISTS validators (  -- processes that serve from this database
    id TEXT PRIMARY KEY, seen_at REAL NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS workers (
    address TEXT PRIMARY KEY, proven INTEGER NOT NULL DEFAULT 0, first_seen REAL NOT NULL,
    last_seen REAL NOT NULL, good REAL NOT NULL DEFAULT 0, bad REAL NOT NULL DEFAULT 0,
    standing_at REAL NOT NULL DEFAULT 0, rate REAL, out_at REAL, out_reason TEXT) STRICT;

CREATE TABLE IF NOT EXISTS rewards (
    job_id TEXT PRIMARY KEY REFERENCES jobs (job_id), worker_address TEXT NOT NULL,
    customer TEXT NOT NULL, units TEXT NOT NULL, booked_at REAL NOT NULL,
    forfeited_at REAL) STRICT;
CREATE INDEX IF NOT EXISTS rewards_by_worker ON rewards (worker_address, booked_at);

CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY, worker_address TEXT NOT NULL, units TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'signed', 'final', 'lost')),
    planned_at REAL NOT NULL, body TEXT, tx_hash TEXT, nonce INTEGER, signed_height INTEGER,
    scanned_height INTEGER,
    included_height INTEGER, note TEXT) STRICT;
CREATE INDEX IF NOT EXISTS transfers_by_worker ON transfers (worker_address);

CREATE TABLE IF NOT EXISTS payout_blocks (  -- searched for the payer's transactions, each linked
    address TEXT NOT NULL, height INTEGER NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (address, height)) STRICT;

CREATE TABLE IF NOT EXISTS payout_spent (  -- nonces that those blocks spend, with what they hold
    address TEXT NOT NULL, nonce INTEGER NOT NULL, height INTEGER NOT NULL,
    block_hash TEXT NOT NULL, body TEXT NOT NULL, rooted INTEGER NOT NULL,
    PRIMARY KEY (address, nonce)) STRICT;
"""
    + RECEIPTS
)
