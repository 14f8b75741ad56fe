"""Everything that the validator keeps on disk, in one SQLite file.

with Store.open(path, Policy()) as store:
    store.customers, store.tasks, store.jobs, store.workers, store.rewards
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Self

from engine.runtime.closing import Closing
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import Backend, open_sqlite
from engine.validator.store.customers import Customers
from engine.validator.store.jobs import Jobs
from engine.validator.store.rewards import Rewards
from engine.validator.store.schema import SCHEMA, SCHEMA_VERSION
from engine.validator.store.table import SET_META
from engine.validator.store.tasks import Tasks
from engine.validator.store.uploads import Uploads
from engine.validator.store.workers import Workers


class Store(Closing):
    """The database, and a view of it for each thing that is stored."""

    def __init__(
        self, database: Backend, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self.policy = policy
        self.clock = clock
        self.customers = Customers(database, clock)
        self.uploads = Uploads(database, self.customers, clock)
        self.workers = Workers(database, policy, clock)
        self.tasks = Tasks(database, clock)
        self.jobs = Jobs(database, clock)
        self.rewards = Rewards(database, policy, self.customers, clock)

    @classmethod
    def open(
        cls, path: Path, policy: Policy | None = None, clock: Callable[[], float] = time.time
    ) -> Self:
        """Open the file, or make it, with this policy, else the stored one of the last `serve`.

        Raises DatabaseError.
        """
        database = open_sqlite(path, SCHEMA, SCHEMA_VERSION)
        if policy is None:
            return cls(database, _kept_policy(database), clock)
        with database.write() as db:
            db.execute(SET_META, ("policy", json.dumps(asdict(policy))))
        return cls(database, policy, clock)

    def close(self) -> None:
        """Close the file."""
        self.database.close()


def _kept_policy(database: Backend) -> Policy:
    rows = database.read("SELECT value FROM meta WHERE key = 'policy'")
    return Policy(**json.loads(rows[0]["value"])) if rows else Policy()
