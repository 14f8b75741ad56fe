"""What the validator's tables need of a database, whichever it is.

    with backend.write() as db:                # the unit of work: one commit when the block ends
        db.execute("UPDATE ... WHERE id = ?", (7,))
        with backend.write() as inner: ...     # joins it
    rows = backend.read("SELECT ... WHERE id = ?", 7)

A group of changes is one outer block around them, and costs one commit. What the group leads to (a
frame, an answer) is sent after that block: until then nothing of it is on the disk. SQL is written
once, with `?`, in what SQLite and PostgreSQL have in common; where they differ, a backend says how.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from gettext import gettext as _
from pathlib import Path
from typing import Any, ClassVar, Protocol

from engine.runtime.database import Database, lock_file
from engine.runtime.errors import BadInput, DatabaseError
from engine.runtime.sql import Row, Transaction, quoted
from engine.validator.store.schema import SCHEMA, SCHEMA_VERSION, STEPS
from engine.validator.store.unit import AtEnd, Rows, Unit, Units, Values


class DatabaseLost(DatabaseError):
    """The database went away in the middle of a unit of work, or another process took over.

    What this process has in mind of the market is to be read anew, as after a restart.
    """


class AnotherLeads(BadInput):
    """Another process makes payouts from this database."""


class Backend(Protocol):
    """A database. Several threads may use it; it admits one at a time."""

    row_lock: ClassVar[str]
    """Ends a SELECT whose rows are changed in the same unit of work, by what they hold."""
    skip_locked: ClassVar[str]
    """The same, but leaves out rows that another process has locked."""
    shared: ClassVar[bool]
    """Whether several validators may serve from it at the same time."""
    fence: str | None
    """This process's row in `validators`: without it, nothing is committed (where `shared`)."""

    def read(self, sql: str, *values: object) -> Sequence[Row]:
        """Return every row of a query; within a unit of work, as that has left them.

        Raises DatabaseError.
        """

    def write(self) -> AbstractContextManager[Transaction]:
        """Run one unit of work: all of it is on the disk when the outermost block ends, or nothing.

        Raises DatabaseError.
        """

    @property
    def unit(self) -> int | None:
        """Number of the unit of work that is open, None where none is."""

    def apart(self, sql: str, *values: object, writes: bool = False) -> Sequence[Row]:
        """Return a statement's rows, within a unit; no row that waits has to do with it."""

    def later(self, kind: Rows | AtEnd, *values: object) -> None:
        """Write a row with others of its kind: before anything is read, or at the unit's end."""

    def waiting(self, kind: AtEnd) -> Sequence[Values]:
        """Return the rows that are kept for the unit's end, in the order in which they came."""

    def when_undone(self, forget: Callable[[], None]) -> None:
        """Have this called whenever changes are undone that may be known in memory."""

    def savepoint(self) -> None:
        """Begin a change within a unit of work, which may be undone alone."""

    def release(self) -> None:
        """End it: it is part of the unit now."""

    def roll_back(self) -> None:
        """End it, and undo it."""

    def leading(self) -> AbstractContextManager[object]:
        """Be the only process that makes payouts from this database. Raises AnotherLeads."""

    def reconnect(self) -> None:
        """Begin anew after DatabaseLost. Raises DatabaseLost."""

    def close(self) -> None:
        """Close it."""


def changed_by_another() -> DatabaseLost:
    """Return the error of a unit whose rows were not as this process had them in mind."""
    return DatabaseLost(
        _("another validator took over what this one had, as it was silent for too long")
    )


class SqliteBackend(Units, Database):
    """One SQLite file, of one `validator serve`: `BEGIN IMMEDIATE` locks all of it."""

    row_lock: ClassVar[str] = ""
    skip_locked: ClassVar[str] = ""
    shared: ClassVar[bool] = False
    fence: str | None = None

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        Units.__init__(self)
        Database.__init__(self, path, connection)

    def read(self, sql: str, *values: Any) -> list[Any]:
        """See `Backend`."""
        with self._mutex:
            if self._unit is not None:
                return self._unit.read(sql, values)
            return super().read(sql, *values)

    @contextmanager
    def write(self) -> Iterator[Unit]:  # type: ignore[override]
        """See `Backend`."""
        with self._mutex:
            if self._unit is not None:  # the outer one commits
                yield self._unit
                return
            try:
                with super().write():
                    unit = self._begin_unit(self)
                    yield unit
                    unit.finish()
            except BaseException:
                self._forget()
                raise
            finally:
                self._unit = None

    def ask(self, sql: str, values: Values) -> sqlite3.Cursor:
        """Execute a statement of the unit of work that is open."""
        return self._db.execute(sql, values)

    def ask_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Execute it for each row of values."""
        self._db.executemany(sql, rows)

    def write_rows(self, batches: Sequence[tuple[Rows, list[Values]]]) -> None:
        """Write rows. Raises DatabaseLost where one is not as it was."""
        for rows, values in batches:
            done = self._db.executemany(_sql_of(rows), values)
            if rows.keys and done.rowcount != len(values):
                raise changed_by_another()

    def reconnect(self) -> None:
        """Do nothing: a file does not go away."""

    def leading(self) -> AbstractContextManager[object]:
        """Hold the lock of payouts, a file beside the database. Raises AnotherLeads."""
        return lock_file(
            self.path.with_suffix(".payouts.lock"),
            _("another process makes payouts from this database"),
            _("Wait until it has ended, or have this one wait: --follow."),
            error=AnotherLeads,
        )


@cache
def _sql_of(rows: Rows) -> str:
    if not rows.keys:
        marks = ", ".join("?" * len(rows.columns))
        return f"INSERT INTO {rows.table} ({quoted(rows.columns)}) VALUES ({marks})"  # noqa: S608
    columns = ", ".join(f'"{name}" = ?' for name in rows.columns)
    where = " AND ".join(
        [*(f"{name} = ?" for name in rows.keys), *([rows.where] * bool(rows.where))]
    )
    return f"UPDATE {rows.table} SET {columns} WHERE {where}"  # noqa: S608


def open_backend(place: Path | str) -> Backend:
    """Open the SQLite file, or the PostgreSQL database of this URL. Raises DatabaseError, BadInput."""
    if isinstance(place, Path):
        return SqliteBackend.open(place, SCHEMA, version=SCHEMA_VERSION, steps=STEPS)
    from engine.validator.store.postgresql import PostgresBackend

    return PostgresBackend.open(place)
