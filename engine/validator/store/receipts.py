"""Receipts in the validator's database: of each completed task one, as its file is."""

from engine.validator.store.table import Table
from engine.validator.store.unit import Rows

_KEPT = Rows(6, "receipts", ("task_id", "content"))


class Receipts(Table):
    """Receipts; a task's is written in the transaction that completes it."""

    def keep(self, task_id: str, content: bytes) -> None:
        """Add the receipt of a task, within a transaction."""
        self._database.later(_KEPT, task_id, content.decode("ascii"))

    def find(self, task_id: str) -> bytes | None:
        """Return the receipt of a task, if there is one."""
        rows = self._database.read("SELECT content FROM receipts WHERE task_id = ?", task_id)
        return str(rows[0]["content"]).encode("ascii") if rows else None
