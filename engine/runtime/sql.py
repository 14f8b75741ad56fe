"""What SQL databases have in common here, as `sqlite3` has it: rows, transactions, short statements."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Protocol


class Row(Protocol):
    """A row of a query: its values by the names of their columns."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of a column."""


class Done(Protocol):
    """A statement that was executed."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """Return the next row, None where there is none left."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""


class Transaction(Protocol):
    """A transaction that is open."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Done:
        """Execute a statement; each `?` in it is one of the values."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        """Execute it for each row of values, in fewer steps than one by one."""


def quoted(names: Iterable[str]) -> str:
    """Return the names as SQL has them, whatever the database's reserved words are."""
    return ", ".join(f'"{name}"' for name in names)


def insert(db: Transaction, table: str, **values: Any) -> None:
    """Insert a row; table and columns are named in this program's source."""
    names, marks = quoted(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608


def update(db: Transaction, table: str, where: str, *keys: Any, **values: Any) -> int:
    """Set columns of the rows `where`, SQL whose parameters are `keys`; return how many there are."""
    names = ", ".join(f'"{name}" = ?' for name in values)
    done = db.execute(f"UPDATE {table} SET {names} WHERE {where}", (*values.values(), *keys))  # noqa: S608
    return done.rowcount


def from_row[T](kind: Callable[..., T], row: Row, **converted: Any) -> T:
    """Return a dataclass or Struct with the row's columns for its fields, some of them converted."""
    return kind(**{name: row[name] for name in _names(kind) if name not in converted}, **converted)


@cache
def _names(kind: Callable[..., Any]) -> tuple[str, ...]:
    names: tuple[str, ...] | None = getattr(kind, "__struct_fields__", None)
    return names or tuple(field.name for field in fields(kind))  # type: ignore[arg-type]
