"""What is computed: the size of a task's matrices, and how much of a result its proof opens."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

from engine.runtime.settings import setting
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE


@dataclass(frozen=True, kw_only=True)
class MatrixOptions:
    """The task's matrices."""

    heading: ClassVar[str] = _("Task")

    size: int = setting(DEFAULT_SIZE, _("Matrix size n."))
    iterations: int = setting(DEFAULT_ITERATIONS, _("Products in a row."))


@dataclass(frozen=True, kw_only=True)
class TaskOptions(MatrixOptions):
    """The task: its matrices and its proof."""

    openings: int = setting(DEFAULT_OPENINGS, _("Leaves that the proof opens."), live=True)

    def check(self) -> None:
        """Raise BadInput or BadTask for what no task can be."""
        from engine.runtime.errors import BadInput
        from kernels.task import MAX_OPENINGS, Task

        if not 0 <= self.openings <= MAX_OPENINGS:
            message = _("a proof opens 0 to {MAX_OPENINGS} leaves, not {openings}")
            raise BadInput(message.format(openings=self.openings, MAX_OPENINGS=MAX_OPENINGS))
        Task(bytes(31) + b"\1", self.size, self.iterations)
