"""What the classes over the validator's tables have in common."""

import time
from collections.abc import Callable, Sequence

from engine.runtime.sql import Row
from engine.validator.store.backend import Backend

SET_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class Table:
    """A view of the database, with a clock (Unix seconds)."""

    def __init__(self, database: Backend, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def _read_apart(self, sql: str, *values: object) -> Sequence[Row]:
        """Read what no row that waits has to do with."""
        database = self._database
        if database.unit is None:
            return database.read(sql, *values)
        return database.apart(sql, *values)
