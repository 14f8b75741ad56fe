"""A SQLite file that loses nothing: write-ahead log, full sync, one transaction per change.

    with Database.open(path, SCHEMA, version=1) as database:
        with database.write() as db:
            db.execute("INSERT INTO ...")
        rows = database.read("SELECT ... WHERE id = ?", 7)

`kill -9` or a power cut at any moment loses no transaction that has ended. Several processes may open
one file; a process that must be the only one takes `lock_file` first. Files and the directories made
for them are for this user alone, and a place where others may write is refused. A file that is removed
or replaced while it is open ends the run at the next write: what is written there is lost to the next.
"""

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import IO, Any, Self

from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput, DatabaseError, reason_of
from kernels.private_path import exposure, make_private

BUSY_SECONDS = 10.0
"""How long to wait for another process that writes to the same file, where nobody is told of it."""
_LOOK_SECONDS = 1.0
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

type Waits = Callable[[bool], bool]
"""Told True each second while another program keeps the file locked, False when that is over; its
answer is whether to go on waiting."""


class Database(Closing):
    """One connection, shared by threads: a lock admits one at a time."""

    error: type[BadInput] = DatabaseError
    """What the methods raise where they say DatabaseError."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._identity = _identity(path)
        self._db.row_factory = sqlite3.Row
        self._mutex = threading.RLock()
        self.waits: Waits | None = None

    @classmethod
    def open(
        cls, path: Path, schema: str, *, version: int, steps: Mapping[int, str] | None = None
    ) -> Self:
        """Open the file, or make it. Raises DatabaseError, also for a file of another `version`.

        `schema` is SQL that may be executed again. `steps`: SQL that makes a file of the version
        one of the next.
        """
        steps = steps or {}
        try:
            _prepare(path, cls.error)
            with ExitStack() as on_failure:
                connection = sqlite3.connect(
                    path, isolation_level=None, check_same_thread=False, timeout=_LOOK_SECONDS
                )
                on_failure.callback(connection.close)
                version_of = connection.execute
                found = _patiently(lambda: version_of("PRAGMA user_version").fetchone()[0])
                if found not in (0, version, *steps):
                    raise cls.error(
                        _("{path} has format {found}; this program knows format {version}").format(
                            path=path, found=found, version=version
                        ),
                        advice=_("Use the cpc-engine version that made it, or name another file."),
                    )
                _patiently(lambda: _set_up(connection, schema, version, steps))
                on_failure.pop_all()
        except (sqlite3.Error, OSError) as error:
            if _is_busy(error):
                raise cls.error(_locked(path), advice=_close_it()) from error
            raise cls.error(
                _("the database {path} cannot be used: {error}").format(
                    path=path, error=reason_of(error)
                ),
                advice=_("Free space on the disk, fix the permissions, or name another file."),
            ) from error
        return cls(path, connection)

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._db.close()

    def read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return every row of a query. Raises DatabaseError."""
        with self._mutex:
            try:
                try:
                    return self._db.execute(sql, values).fetchall()
                except sqlite3.OperationalError as error:
                    if not _is_busy(error):
                        raise
                return self._wait(lambda: self._db.execute(sql, values).fetchall())
            except sqlite3.Error as error:
                raise self.error(
                    _("the database could not be read: {error}").format(error=error)
                ) from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: all of it is on the disk when the block ends, or nothing. May be nested.

        Raises DatabaseError.
        """
        with self._mutex:
            if self._db.in_transaction:  # the outer transaction commits
                yield self._db
                return
            try:
                self._wait(lambda: self._db.execute("BEGIN IMMEDIATE"))
                self._require_in_place()
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._undo()
                raise self.error(
                    _("the database could not be written: {error}").format(error=error),
                    advice=_("Free space on the disk; everything that was written before is safe."),
                ) from error
            except BaseException:
                self._undo()
                raise

    def savepoint(self) -> None:
        """Begin a change within a transaction, which may be undone alone."""
        self._db.execute("SAVEPOINT change")

    def release(self) -> None:
        """End it: it is part of the transaction now."""
        self._db.execute("RELEASE change")

    def roll_back(self) -> None:
        """End it, and undo it."""
        self._db.execute("ROLLBACK TO change")
        self._db.execute("RELEASE change")

    def _wait[T](self, ask: Callable[[], T]) -> T:
        """Do it as soon as no other program keeps the file locked. Raises sqlite3.Error, `error`."""
        try:
            return _patiently(ask, self.waits)
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise self.error(_locked(self.path), advice=_close_it()) from error
            raise

    def _require_in_place(self) -> None:
        if _identity(self.path) != self._identity:
            raise self.error(
                _("the file {path} was removed or replaced while it was in use").format(
                    path=self.path
                ),
                advice=_("Put it back as it was, and start again; nothing was written since."),
            )

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _set_up(
    connection: sqlite3.Connection, schema: str, version: int, steps: Mapping[int, str]
) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    with connection:  # rolled back where a step fails
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        for old in range(found or version, version):
            for statement in steps[old].split(";\n"):
                connection.execute(statement)
        if found:
            connection.execute(f"PRAGMA user_version = {version:d}")
    connection.executescript(schema)
    connection.execute(f"PRAGMA user_version = {version:d}")


def _patiently[T](ask: Callable[[], T], waits: Waits | None = None) -> T:
    """Ask again, a second each, while the file is locked. Raises sqlite3.Error."""
    give_up, waited = time.monotonic() + BUSY_SECONDS, False
    while True:
        try:
            answer = ask()
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            if time.monotonic() > give_up if waits is None else not waits(True):
                raise
            waited = True
        else:
            if waited and waits is not None:
                waits(False)
            return answer


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


def _locked(path: Path) -> str:
    return _("another program keeps the database {path} locked").format(path=path)


def _close_it() -> str:
    return _("Close it there (a database browser, a backup), then start again.")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _prepare(path: Path, error: type[BadInput]) -> None:
    """Make the file's directory where it is missing, and the file. Raises OSError, or `error`."""
    make_private(path.parent)
    if reason := exposure(path.parent) or (exposure(path) if path.exists() else ""):
        raise error(
            _("{path} is not safe from other users of this machine: {reason}").format(
                path=path, reason=reason
            ),
            advice=_("Make it yours alone (chown, chmod go-w), or name another place."),
        )
    if not path.exists():  # opening and closing it would drop this process's locks on it
        path.touch(mode=0o600)


@contextmanager
def lock_beside_key(directory: Path | None, name: str) -> Iterator[None]:
    """Hold a key's lock for this process alone, wherever its ledger lies. Raises BadInput.

    `name`: of the account on its chain. A directory that cannot be written, as that of a mounted
    secret, has no lock; the ledger's is there still.
    """
    with ExitStack() as held:
        if directory is not None and os.access(directory, os.W_OK | os.X_OK):
            busy = _("another cpc-engine works with this key, with another ledger: {name}")
            lock = lock_file(
                directory / f".{name}.lock",
                busy.format(name=name),
                _(
                    "Stop it first (cpc-engine status), or give this one another account with --from."
                ),
            )
            held.enter_context(lock)
        yield


@contextmanager
def lock_file(
    path: Path, busy: str, advice: str, *, error: type[BadInput] = BadInput
) -> Iterator[IO[str]]:
    """Hold `path` for this process alone. Raises `error` with `busy` where another one has it."""
    try:
        make_private(path.parent)
        # Neither emptied nor followed: whoever put a link here would have its target emptied.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, 0o600), "r+")
    except OSError as trouble:
        linked = trouble.errno == errno.ELOOP
        reason = _("it is a symbolic link") if linked else trouble.strerror
        raise error(
            _("{path} cannot be made: {reason}").format(path=path, reason=reason),
            advice=_("Free space on the disk, fix the permissions, or name another file."),
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise error(busy, advice=advice) from None
        except OSError as trouble:  # ENOLCK, as NFS without its lock service answers
            raise error(
                _("{path} cannot be locked: {reason}").format(path=path, reason=trouble.strerror),
                advice=_("Name a place on a disk of this machine: network drives may lack locks."),
            ) from None
        yield file
