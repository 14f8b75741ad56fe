"""An open unit of work: statements that are executed at once, and rows that are written together.

    unit.later(JOB_ENDED, ("accepted", now, job_id))    # with others, by one statement
    unit.execute("UPDATE ...")                          # after them

Rows wait until something is read or a statement is executed, or the unit ends: each kind of row is one
statement then, however many there are. Kinds are written in their `order`, the same in every process,
so that two of them that change the same rows do not wait for each other for ever.

A change within the unit may be undone alone (`savepoint`). Its savepoint is made with the first
statement that writes: most changes have none, only rows that wait.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from engine.runtime.sql import Done

type Values = Sequence[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a table that are inserted, or, where there are `keys`, updated.

    Values come in the order of `columns`, then `keys`. Each update is to change one row, which
    `where` (SQL) holds for, too: else what this process has in mind of it is not so.
    """

    order: int
    table: str
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AtEnd:
    """What is done with its rows when the unit ends, and no sooner; in the same order everywhere."""

    order: int
    write: Callable[[Sequence[Values]], None]


class Statements(Protocol):
    """The database's part."""

    def ask(self, sql: str, values: Values) -> Done:
        """Execute a statement of the unit of work that is open. Raises DatabaseError."""

    def ask_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Execute it for each row of values. Raises DatabaseError."""

    def write_rows(self, batches: Sequence[tuple[Rows, list[Values]]]) -> None:
        """Write them, in that order. Raises DatabaseError; DatabaseLost where a row is another's."""


class Unit:
    """See the module. A `Transaction`."""

    def __init__(self, statements: Statements, forget: Callable[[], None]) -> None:
        """`forget` is called when something is undone that may be known in memory."""
        self._statements = statements
        self._forget = forget
        self._waiting: dict[Rows, list[Values]] = {}
        self._at_end: dict[AtEnd, list[Values]] = {}
        self._fresh: list[tuple[Rows | AtEnd, Values]] | None = None
        """Those of the change that is under way, if it may be undone alone."""
        self._saved = False

    def execute(self, sql: str, values: Values = (), /) -> Done:
        """Execute a statement."""
        self._flush(writes=True)
        return self._statements.ask(sql, values)

    def executemany(self, sql: str, rows: Iterable[Values], /) -> None:
        """Execute it for each row of values."""
        self._flush(writes=True)
        self._statements.ask_many(sql, rows)

    def read(self, sql: str, values: Values) -> list[Any]:
        """Return every row of a query, as the unit has left them."""
        self._flush(writes=False)
        return self._statements.ask(sql, values).fetchall()

    def apart(self, sql: str, values: Values, *, writes: bool = False) -> list[Any]:
        """Return the rows of a statement that no row which waits has to do with."""
        if writes and self._fresh is not None:
            self._flush(writes=True)  # it may be undone
        return self._statements.ask(sql, values).fetchall()

    def later(self, kind: Rows | AtEnd, values: Values) -> None:
        """Write this row with others."""
        if self._fresh is None:
            self._put(kind, values)
        else:
            self._fresh.append((kind, values))

    def waiting(self, kind: AtEnd) -> Sequence[Values]:
        """Return the rows of this kind, in the order in which they came."""
        fresh = [values for one, values in self._fresh or () if one is kind]
        return [*self._at_end.get(kind, ()), *fresh]

    def savepoint(self) -> None:
        """Begin a change that may be undone alone."""
        self._fresh, self._saved = [], False

    def release(self) -> None:
        """It is part of the unit now."""
        if self._saved:
            self._statements.ask("RELEASE change", ())
        fresh, self._fresh = self._fresh or [], None
        for kind, values in fresh:
            self._put(kind, values)

    def roll_back(self) -> None:
        """Undo it, and nothing else."""
        fresh, self._fresh = self._fresh, None
        if self._saved:
            self._statements.ask("ROLLBACK TO change", ())
            self._statements.ask("RELEASE change", ())
        if self._saved or fresh:
            self._forget()

    def finish(self) -> None:
        """Write all that waits: the unit ends."""
        for kind, rows in sorted(self._at_end.items(), key=lambda one: one[0].order):
            kind.write(rows)
        self._write_waiting()

    def _put(self, kind: Rows | AtEnd, values: Values) -> None:
        if isinstance(kind, AtEnd):
            self._at_end.setdefault(kind, []).append(values)
        else:
            self._waiting.setdefault(kind, []).append(values)

    def _flush(self, *, writes: bool) -> None:
        """Write the rows that wait. `writes`: a statement follows that writes, too."""
        self._write_waiting()
        if self._fresh is None or self._saved:
            fresh = self._fresh
        elif writes or any(isinstance(kind, Rows) for kind, _values in self._fresh):
            self._statements.ask("SAVEPOINT change", ())
            self._saved, fresh = True, self._fresh
        else:
            return
        if fresh:
            self._fresh = [one for one in fresh if isinstance(one[0], AtEnd)]
            for kind, values in fresh:
                if isinstance(kind, Rows):
                    self._put(kind, values)
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._statements.write_rows(sorted(waiting.items(), key=lambda one: one[0].order))


class Units:
    """The unit of work of a database that is open, if one is. For whoever has the database's lock."""

    def __init__(self) -> None:
        self._unit: Unit | None = None
        self._undone: list[Callable[[], None]] = []
        self._number = 0
        self._thread = 0

    @property
    def unit(self) -> int | None:
        """Number of the unit that this thread has open."""
        mine = self._unit is not None and self._thread == threading.get_ident()
        return self._number if mine else None

    def when_undone(self, forget: Callable[[], None]) -> None:
        """Have this called whenever changes are undone that may be known in memory."""
        self._undone.append(forget)

    def apart(self, sql: str, *values: object, writes: bool = False) -> Sequence[Any]:
        """Return the rows of a statement that no row which waits has to do with."""
        return self._opened().apart(sql, values, writes=writes)

    def later(self, kind: Rows | AtEnd, *values: object) -> None:
        """Write a row with others, at the end of the unit at the latest."""
        self._opened().later(kind, values)

    def waiting(self, kind: AtEnd) -> Sequence[Values]:
        """Return the rows that are kept for the unit's end."""
        return self._opened().waiting(kind)

    def savepoint(self) -> None:
        """Begin a change within the unit, which may be undone alone."""
        self._opened().savepoint()

    def release(self) -> None:
        """End it: it is part of the unit now."""
        self._opened().release()

    def roll_back(self) -> None:
        """End it, and undo it."""
        self._opened().roll_back()

    def _begin_unit(self, statements: Statements) -> Unit:
        self._number, self._thread = self._number + 1, threading.get_ident()
        self._unit = Unit(statements, self._forget)
        return self._unit

    def _opened(self) -> Unit:
        assert self._unit is not None
        return self._unit

    def _forget(self) -> None:
        for forget in self._undone:
            forget()


def padded[T](values: Sequence[T]) -> tuple[str, tuple[T, ...]]:
    """Return `?`s for a list in SQL, and the values for them: some twice, so that few texts differ."""
    most = 1 << max(0, len(values) - 1).bit_length()
    again = [values[-1]] * (most - len(values)) if values else []
    return ", ".join("?" * most), (*values, *again)
