"""What of a running miner can be changed without a new start.

miner.change(Live(tasks_per_block=4, openings=16))
"""

from dataclasses import dataclass

from engine.protection.quiet_hours import QuietHours
from engine.tasks.defaults import DEFAULT_OPENINGS


@dataclass(frozen=True, slots=True)
class Live:
    """These hold from the next block, and the next look around, on."""

    tasks_per_block: int | None = 1
    openings: int = DEFAULT_OPENINGS
    pause_on_battery: bool = False
    quiet_hours: QuietHours | None = None
