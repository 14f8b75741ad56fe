"""What the classes over the validator's tables have in common."""

import time
from collections.abc import Callable

from engine.runtime.database import Database


class Table:
    """A view of the database, with a clock (Unix seconds)."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
