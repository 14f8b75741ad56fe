"""Everything that the validator keeps on disk: in one SQLite file, or in PostgreSQL.

with Store.open(path, Policy()) as store:    # or "postgresql://validator@db.example/market"
    store.customers, store.tasks, store.jobs, store.workers, store.rewards
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from gettext import gettext as _
from pathlib import Path
from typing import Self

from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput, DatabaseError
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import Backend, open_backend
from engine.validator.store.customers import Customers
from engine.validator.store.jobs import Jobs
from engine.validator.store.receipts import Receipts
from engine.validator.store.rewards import Rewards
from engine.validator.store.table import SET_META
from engine.validator.store.tasks import Tasks
from engine.validator.store.uploads import Uploads
from engine.validator.store.validators import Validators
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
        self.validators = Validators(database, clock)
        self.tasks = Tasks(database, self.validators, clock)
        self.jobs = Jobs(database, self.validators, clock)
        self.receipts = Receipts(database, clock)
        self.rewards = Rewards(database, policy, self.customers, clock)

    @classmethod
    def open(
        cls, place: Path | str, policy: Policy | None = None, clock: Callable[[], float] = time.time
    ) -> Self:
        """Open it, with this policy, to serve from it, else with the stored one of the last `serve`.

        `place`: a file, which may be made, or PostgreSQL's URL. Raises DatabaseError, BadInput.
        """
        database = open_backend(place)
        if policy is None:
            return cls(database, _kept_policy(database), clock)
        store = cls(database, policy, clock)
        try:
            with database.write() as db:
                store.validators.enter()
                if store.validators.others() and _kept_policy(database) != policy:
                    raise BadInput(
                        _("another validator serves from this database by another policy"),
                        advice=_("Give each the same options, or stop the others first."),
                    )
                db.execute(SET_META, ("policy", json.dumps(asdict(policy))))
        except BaseException:
            database.close()
            raise
        return store

    def begin_anew(self) -> None:
        """Connect again after DatabaseLost, under a new id. Raises DatabaseError."""
        self.database.reconnect()
        self.validators.enter()

    def close(self) -> None:
        """Close it; what this validator had in hand is another's at once."""
        if self.validators.id and self.database.shared:
            with suppress(DatabaseError):
                self.validators.leave()
        self.database.close()


def _kept_policy(database: Backend) -> Policy:
    rows = database.read("SELECT value FROM meta WHERE key = 'policy'")
    return Policy(**json.loads(rows[0]["value"])) if rows else Policy()
