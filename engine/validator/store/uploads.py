"""Bytes that customers have stored, against their credit: who pays nothing stores nothing.

Uploading costs nothing, but a customer may store `BYTES_A_CPC` a day for each CPC of its credit.
"""

from collections.abc import Callable
from gettext import ngettext

from engine.validator.store.backend import Backend
from engine.validator.store.customers import Customers, NoCredit
from engine.validator.store.table import Table
from node_client.networks import UNITS_PER_CPC

BYTES_A_CPC = 64 * 2**20
MOST_BYTES = 4 * 2**30
"""Of one customer in a day, whatever its credit: others want room in the cache, too."""
DAY_SECONDS = 86_400.0


class Uploads(Table):
    """The last day's uploads in the validator's database."""

    def __init__(self, database: Backend, customers: Customers, clock: Callable[[], float]) -> None:
        super().__init__(database, clock)
        self._customers = customers

    def begin(self, customer: str, sha256: str, size: int) -> None:
        """Count an upload, the same bytes once. Raises NoCredit where the credit is too small."""
        now = self._clock()
        with self._database.write() as db:
            db.execute("DELETE FROM uploads WHERE at <= ?", (now - DAY_SECONDS,))
            stored = db.execute(
                "SELECT coalesce(sum(size), 0) AS size FROM uploads"
                " WHERE customer = ? AND sha256 <> ?",
                (customer, sha256),
            ).fetchone()["size"]
            credit = self._customers.credit(customer)
            allowed = min(MOST_BYTES, BYTES_A_CPC * credit // UNITS_PER_CPC)
            if stored + size > allowed:
                raise NoCredit(
                    ngettext(
                        "with its credit {customer} may store {allowed} byte a day, and "
                        "{stored} are stored",
                        "with its credit {customer} may store {allowed} bytes a day, and "
                        "{stored} are stored",
                        allowed,
                    ).format(customer=customer, allowed=allowed, stored=stored)
                )
            db.execute(
                "INSERT INTO uploads (customer, sha256, size, at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (customer, sha256) DO UPDATE SET size = excluded.size, at = excluded.at",
                (customer, sha256, size, now),
            )
