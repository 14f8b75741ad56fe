"""What `mine` answers: how many tasks of each block, and for how many blocks."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

from engine.runtime.settings import setting
from engine.tasks.defaults import MAX_TASKS_PER_BLOCK


@dataclass(frozen=True, kw_only=True)
class MiningOptions:
    """Mining: how much of each block is answered, and with which machines."""

    heading: ClassVar[str] = _("Mining")

    tasks_per_block: str = setting(
        "1",
        _("Tasks answered for each block, 1 to 16; auto: as many as can be finished."),
        metavar="N|auto",
        live=True,
    )
    blocks: int | None = setting(None, _("End after so many blocks. [mine for ever]"), least=1)
    ray: str | None = setting(
        None,
        _("Compute on the machines of this Ray cluster: HOST:6379, or auto."),
        metavar="ADDRESS",
    )

    def task_count(self) -> int | None:
        """Return the number of tasks per block; None for auto. Raises BadInput."""
        from engine.runtime.errors import BadInput

        text = self.tasks_per_block
        if text == "auto":
            return None
        if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_TASKS_PER_BLOCK:
            return int(text)
        message = _("{text!r} tasks per block: use a number from 1 to {most}, or auto")
        raise BadInput(message.format(text=text[:40], most=MAX_TASKS_PER_BLOCK))
