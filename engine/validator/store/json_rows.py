"""Many rows for PostgreSQL as one parameter: JSON, which gets the types of the table's columns."""

from collections.abc import Sequence
from functools import cache

import msgspec

from engine.runtime.sql import quoted
from engine.validator.store.unit import Rows, Values


@cache
def sql_of(rows: Rows) -> str:
    """Return the statement, whose one parameter is what `to_json` gives."""
    if not rows.keys:
        names = quoted(rows.columns)
        return f"INSERT INTO {rows.table} ({names}) SELECT {names} FROM {_given(rows)}"  # noqa: S608
    columns = ", ".join(f'"{name}" = given."{name}"' for name in rows.columns)
    where = " AND ".join(f"{rows.table}.{name} = given.{name}" for name in rows.keys)
    if rows.where:
        where += f" AND {rows.table}.{rows.where}"
    return f"UPDATE {rows.table} SET {columns} FROM {_given(rows)} WHERE {where}"  # noqa: S608


def _given(rows: Rows) -> str:
    return f"json_populate_recordset(NULL::{rows.table}, %s) AS given"


def to_json(rows: Rows, all_: Sequence[Values]) -> str:
    """Return the parameter: these rows."""
    names = (*rows.columns, *rows.keys)
    return msgspec.json.encode(
        [
            {name: without_nul(one) for name, one in zip(names, values, strict=True)}
            for values in all_
        ]
    ).decode()


def without_nul(value: object) -> object:
    """Return what PostgreSQL keeps of it: no text there has a NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
