"""Times the stages of a task side by side with the reference, in one run.

    table = run_bench(1024, 1, repeat=5)
    table.gops

Device and reference take turns, so that a machine whose speed drifts treats both alike.
"""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from kernels.device import Device
from kernels.devices import open_device
from kernels.known_answer import known_answer_test
from kernels.task import Task

_SEED = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Row:
    """Median seconds of a stage; `numpy_seconds` is None where it was not timed."""

    stage: str
    seconds: float
    numpy_seconds: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured. `gops`: the product's 10^9 operations a second."""

    device: str
    size: int
    iterations: int
    rows: list[Row]
    gops: float

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def run_bench(
    size: int,
    iterations: int,
    *,
    repeat: int,
    device: str = "auto",
    threads: int | None = None,
    compare: bool = True,
) -> Table:
    """Time one task `repeat` times after a warm-up. Raises KernelError as `open_device` does."""
    task = Task(_SEED, size, iterations)
    with open_device(device, threads) as opened, open_device("reference") as reference:
        known_answer_test(opened)
        opened.profile(task)
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        for _ in range(repeat):
            ours.append(_with_total(opened, task))
            if compare:
                theirs.append(_with_total(reference, task))
        rows = [
            Row(
                stage,
                median(run[stage] for run in ours),
                median(run[stage] for run in theirs) if compare else None,
            )
            for stage in ours[0]
        ]
        product = next(row.seconds for row in rows if row.stage == "product")
        return Table(opened.name, size, iterations, rows, 2e-9 * task.multiply_adds / product)


def _with_total(device: Device, task: Task) -> dict[str, float]:
    stages = device.profile(task)
    return stages | {"total": sum(stages.values())}
