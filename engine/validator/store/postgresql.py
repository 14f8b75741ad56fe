"""The validator's tables in PostgreSQL, so that several validator processes share one market.

    backend = PostgresBackend.open("postgresql://validator@db.example/market")

One connection, as with SQLite. A query outside of a unit of work, and the beginning of one, connect
again where the server was started anew; a unit of work that the connection did not outlive raises
DatabaseLost, as nobody knows then whether it was committed. Transactions are READ COMMITTED: what is
changed by what was read is locked (`row_lock`), and who ends a task or a job asks what it ends.

`fence`: the process's own row among the validators. Each unit of work locks it first, so none is
committed once another process has removed the row, and with it taken over what this one had.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from gettext import gettext as _
from typing import Any, ClassVar, Self

from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput, DatabaseError
from engine.runtime.packages import install_line
from engine.validator.store.backend import AnotherLeads, DatabaseLost, changed_by_another
from engine.validator.store.json_rows import sql_of, to_json, without_nul
from engine.validator.store.schema import RECEIPTS, SCHEMA, SCHEMA_VERSION
from engine.validator.store.unit import Rows, Unit, Units, Values

try:
    import psycopg
    from psycopg.rows import dict_row

    from engine.validator.store.postgresql_url import connect_options, name_of
except ImportError as missing:
    raise BadInput(
        _("PostgreSQL needs the package psycopg: {error}").format(error=missing),
        advice=_("Install it: {command}").format(command=install_line("postgresql")),
    ) from missing

_SETTING_UP = 0x637063_01
_LEADING = 0x637063_02
"""Advisory locks, of this database."""


class PostgresBackend(Units, Closing):
    """See the module, and `Backend`."""

    row_lock: ClassVar[str] = " FOR NO KEY UPDATE"
    skip_locked: ClassVar[str] = " FOR NO KEY UPDATE SKIP LOCKED"
    shared: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        """Connect. Raises BadInput where the URL is not valid, or holds a password; DatabaseLost."""
        super().__init__()
        self._url = url
        self.name = name_of(url)
        self.fence: str | None = None
        self._mutex = threading.RLock()
        self._begun = False
        self._lost_in_unit: DatabaseLost | None = None
        self._leads = False
        self._gone: DatabaseLost | None = None
        self._db = self._connect()
        self._cursor = self._db.cursor()

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect, and make the tables where there are none. Raises BadInput, DatabaseError."""
        backend = cls(url)
        try:
            with backend.write() as db:
                db.execute("SELECT pg_advisory_xact_lock(?)", (_SETTING_UP,))
                _set_up(db, backend.name)
        except DatabaseError as error:
            backend.close()
            if not error.advice:  # the user's rights, or tables of another program
                error.advice = _("Give it a database of its own: createdb --owner USER NAME.")
            raise
        except BaseException:
            backend.close()
            raise
        return backend

    def read(self, sql: str, *values: object) -> Sequence[Any]:
        """See `Backend`."""
        with self._mutex:
            if self._unit is not None:
                return self._unit.read(sql, values)
            rows: list[Any] = self._anew(lambda: _execute(self._cursor, sql, values).fetchall())
            return rows

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """See `Backend`."""
        with self._mutex:
            if self._unit is not None:  # the outer one commits
                yield self._unit
                return
            self._begun, self._lost_in_unit = False, None
            try:
                unit = self._begin_unit(self)
                yield unit
                unit.finish()
                if self._lost_in_unit is not None:  # and somebody caught it
                    raise self._lost_in_unit
                if self._begun:
                    self._ask(lambda: self._cursor.execute("COMMIT"))
            except BaseException:
                if self._begun:
                    self._undo()
                self._forget()
                raise
            finally:
                self._unit = None

    def close(self) -> None:
        """Close the connection."""
        with self._mutex:
            self._db.close()

    def reconnect(self) -> None:
        """Connect again. Raises DatabaseLost, as everything else does until then."""
        try:
            new = self._connect()
        except DatabaseLost as error:
            self._gone = error
            raise
        with self._mutex:
            self._db.close()
            self._db, self._gone = new, None
            self._cursor = new.cursor()

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Be the only process that makes payouts, as long as the session lasts.

        Raises AnotherLeads.

        The server ends the lock with the session, and this process does not connect again meanwhile:
        what it writes, it writes as the leader, or not at all.
        """
        with self._mutex:
            got = self.read("SELECT pg_try_advisory_lock(?) AS got", _LEADING)[0]["got"]
            if not got:
                raise AnotherLeads(
                    _("another process makes payouts from this database"),
                    advice=_("Wait until it has ended, or have this one wait: --follow."),
                )
            self._leads = True
        try:
            yield
        finally:
            self._leads = False
            with suppress(DatabaseError):
                self.read("SELECT pg_advisory_unlock(?)", _LEADING)

    def ask(self, sql: str, values: Values) -> "psycopg.Cursor[Any]":
        """Execute a statement of the unit of work that is open. Raises DatabaseError."""
        done: psycopg.Cursor[Any] = self._ask_in_unit(lambda: _execute(self._cursor, sql, values))
        return done

    def ask_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Execute it for each row of values. Raises DatabaseError."""
        self._ask_in_unit(lambda: self._cursor.executemany(_translated(sql), list(rows)))

    def write_rows(self, batches: Sequence[tuple[Rows, list[Values]]]) -> None:
        """Write rows, a statement a kind. Raises DatabaseError; DatabaseLost where one is another's."""
        counts = self._ask_in_unit(lambda: self._write_rows(batches))
        for (rows, values), count in zip(batches, counts, strict=True):
            if rows.keys and count != len(values):
                raise changed_by_another()

    def _write_rows(self, batches: Sequence[tuple[Rows, list[Values]]]) -> list[int]:
        with self._db.pipeline() if len(batches) > 1 else nullcontext():
            done = [
                self._db.execute(sql_of(rows), (to_json(rows, all_),)) for rows, all_ in batches
            ]
        return [one.rowcount for one in done]

    def _ask_in_unit(self, step: Callable[[], Any]) -> Any:
        if self._lost_in_unit is not None:  # a savepoint would revive what a deadlock ended
            raise self._lost_in_unit
        try:
            if not self._begun:  # a unit that comes to nothing asks nothing
                self._anew(self._begin)
                self._begun = True
            return self._ask(step)
        except DatabaseLost as error:
            self._lost_in_unit = error
            raise

    def _connect(self) -> "psycopg.Connection[Any]":
        try:
            db: psycopg.Connection[Any] = psycopg.connect(
                **connect_options(self._url), autocommit=True, row_factory=dict_row
            )
        except psycopg.Error as error:
            raise self._lost(error) from error
        encoding = db.info.parameter_status("server_encoding")
        if encoding != "UTF8":  # workers' and customers' words would be refused there
            db.close()
            raise DatabaseError(
                _("the database {name} is encoded in {encoding}; it has to be UTF8").format(
                    name=self.name, encoding=encoding
                ),
                advice=_("Make another: createdb --encoding UTF8 --template template0 NAME."),
            )
        return db

    def _begin(self) -> None:
        if self.fence is None:
            self._db.execute("BEGIN")
            return
        # Two statements at once: without parameters, the server takes both. The id is our own hex.
        cursor = self._db.execute(
            f"BEGIN; SELECT FROM validators WHERE id = '{self.fence}' FOR KEY SHARE"
        )
        cursor.nextset()
        if cursor.rowcount == 0:
            self._undo()
            raise changed_by_another()

    def _anew(self, step: Callable[[], Any]) -> Any:
        """Do what begins something; once more, on a new connection, where the old one is gone."""
        try:
            return self._ask(step)
        except DatabaseLost:
            if self._leads or self._gone is not None or not self._db.closed:
                raise
        self.reconnect()
        return self._ask(step)

    def _ask(self, step: Callable[[], Any]) -> Any:
        if self._gone is not None:  # nobody waits for a server that is known to be away
            raise DatabaseLost(str(self._gone), advice=self._gone.advice)
        try:
            return step()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # also deadlocks
            raise self._lost(error) from error
        except psycopg.Error as error:
            raise DatabaseError(
                _("the database could not be used: {error}").format(error=_first_line(error))
            ) from error

    def _undo(self) -> None:
        with suppress(psycopg.Error):
            self._db.execute("ROLLBACK")

    def _lost(self, error: Exception) -> DatabaseLost:
        return DatabaseLost(
            _("the database {name} does not answer: {error}").format(
                name=self.name, error=_first_line(error)
            ),
            advice=_("Start the server, or fix --store; what was committed before is safe."),
        )


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _execute(db: "psycopg.Cursor[Any]", sql: str, values: Sequence[Any]) -> "psycopg.Cursor[Any]":
    try:
        return db.execute(_translated(sql), values)
    except psycopg.DataError:
        kept = [without_nul(one) for one in values]
        if kept == list(values):
            raise
        return db.execute(_translated(sql), kept)  # it was not sent yet


def _set_up(db: Unit, name: str) -> None:
    if not db.execute("SELECT 1 WHERE to_regclass('meta') IS NOT NULL").fetchone():
        for statement in _dialect(SCHEMA).split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('format', ?)", (str(SCHEMA_VERSION),))
        return
    row = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if row is None or row["value"] != str(SCHEMA_VERSION):
        raise DatabaseError(
            _("{path} has format {found}; this program knows format {version}").format(
                path=name, found=row and row["value"], version=SCHEMA_VERSION
            ),
            advice=_("Use the cpc-engine version that made it, or name another database."),
        )
    db.execute(_in_its_words(RECEIPTS).strip().removesuffix(";"))


def _dialect(schema: str) -> str:
    """Return SQLite's schema in PostgreSQL's words, with the order of rows."""
    ordered = "".join(  # as SQLite's rows are, by their hidden number
        f"ALTER TABLE {table} ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY;\n"
        for table in ("tasks", "jobs")
    )
    return _in_its_words(schema) + ordered


def _in_its_words(schema: str) -> str:
    for sqlite, ours in (
        ("REAL", "DOUBLE PRECISION"),
        ("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        ("INTEGER", "BIGINT"),
        (") STRICT;", ");"),
        # A table names only those that are there already.
        ("job_id TEXT REFERENCES jobs (job_id)", "job_id TEXT"),
    ):
        schema = schema.replace(sqlite, ours)
    return schema


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
