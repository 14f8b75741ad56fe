"""A task as the command line names it: by block, address and index, or by its seed."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING

from engine.runtime.settings import setting
from engine.tasks.options import MatrixOptions

if TYPE_CHECKING:
    from kernels.task import Task


@dataclass(frozen=True, kw_only=True)
class TaskChoice:
    """Which task."""

    block_hash: str | None = setting(None, _("Hash of the task's block, 64 hex digits."))
    address: str | None = setting(None, _("Worker's address, cpc1..."))
    index: int = setting(0, _("Index of the block's task, 0 to 15."))
    seed: str | None = setting(None, _("Seed instead of a block: 64 hex digits."))

    def task(self, matrix: MatrixOptions) -> "tuple[str | None, Task]":
        """Return the task id (None for a bare seed) and the task. Raises BadInput."""
        from engine.runtime.errors import BadInput
        from engine.tasks.derivation import BlockTask, check_hash
        from kernels.task import Task

        size, iterations = matrix.size, matrix.iterations
        if self.seed is not None:
            if self.block_hash is not None or self.address is not None:
                raise BadInput(
                    _("name the task by --seed, or by --block-hash and --address, not by both")
                )
            return None, Task(bytes.fromhex(check_hash(self.seed, "seed")), size, iterations)
        if self.block_hash is None or self.address is None:
            raise BadInput(_("name the task: --block-hash and --address, or --seed"))
        task = BlockTask.derive(
            self.block_hash, self.address, index=self.index, size=size, iterations=iterations
        )
        return task.task_id, task.task
