"""A task as the command line names it: by block, address and index, or by its seed."""

from gettext import gettext as _
from typing import TYPE_CHECKING

from engine.runtime.errors import BadInput

if TYPE_CHECKING:
    from kernels.task import Task


def named_task(
    block_hash: str | None,
    address: str | None,
    index: int,
    seed: str | None,
    size: int,
    iterations: int,
) -> tuple[str | None, "Task"]:
    """The task id (None for a bare seed) and the task. Raises BadInput."""
    from engine.tasks.derivation import BlockTask, check_hash
    from kernels.task import Task

    if seed is not None:
        if block_hash is not None or address is not None:
            raise BadInput(
                _("name the task by --seed, or by --block-hash and --address, not by both")
            )
        return None, Task(bytes.fromhex(check_hash(seed, "seed")), size, iterations)
    if block_hash is None or address is None:
        raise BadInput(_("name the task: --block-hash and --address, or --seed"))
    task = BlockTask.derive(block_hash, address, index=index, size=size, iterations=iterations)
    return task.task_id, task.task
