"""What the validator's tables need of a database, whichever it is.

    with backend.write() as db:                # the unit of work: one commit when the block ends
        db.execute("UPDATE ... WHERE id = ?", (7,))
        with backend.write() as inner: ...     # joins it
    rows = backend.read("SELECT ... WHERE id = ?", 7)

A group of changes is one outer block around them, and costs one commit. What the group leads to (a
frame, an answer) is sent after that block: until then nothing of it is on the disk. SQL is written
once, with `?`, in what SQLite and PostgreSQL have in common; where they differ, a backend says how.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from gettext import gettext as _
from pathlib import Path
from typing import ClassVar, Protocol

from engine.runtime.database import Database, lock_file
from engine.runtime.errors import BadInput, DatabaseError
from engine.runtime.sql import Row, Transaction
from engine.validator.store.schema import SCHEMA, SCHEMA_VERSION, STEPS


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

    def leading(self) -> AbstractContextManager[object]:
        """Be the only process that makes payouts from this database. Raises AnotherLeads."""

    def reconnect(self) -> None:
        """Begin anew after DatabaseLost. Raises DatabaseLost."""

    def close(self) -> None:
        """Close it."""


class SqliteBackend(Database):
    """One SQLite file, of one `validator serve`: `BEGIN IMMEDIATE` locks all of it."""

    row_lock: ClassVar[str] = ""
    skip_locked: ClassVar[str] = ""
    shared: ClassVar[bool] = False
    fence: str | None = None

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


def open_backend(place: Path | str) -> Backend:
    """Open the SQLite file, or the PostgreSQL database of this URL. Raises DatabaseError, BadInput."""
    if isinstance(place, Path):
        return SqliteBackend.open(place, SCHEMA, version=SCHEMA_VERSION, steps=STEPS)
    from engine.validator.store.postgresql import PostgresBackend

    return PostgresBackend.open(place)
