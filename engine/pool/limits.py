"""Patience with children, and how often they may be replaced: numbers only.

The restart limits follow OTP's supervisor: at most so many restarts within a period.
"""

import re
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import BadInput
from kernels.memory import total_memory

_MOST_OF_THE_MACHINE = 0.8
_SIZE = re.compile(r"([0-9]{1,6})([MG])(i?B)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Patience and restart intensity. Times in seconds, memory in bytes."""

    start: float = 180.0
    """Until a child is ready: it may have to compile every kernel."""
    silence_starting: float = 90.0
    silence: float = 5.0
    """Without a heartbeat, of which there is one a second."""
    work_margin: float = 3.0
    work_factor: float = 20.0
    """A job may take this many times what the device's measured speed makes of its cost."""
    slowest_rate: float = 2e7
    """Multiply-adds a second that any device reaches: the deadline before a speed is known."""
    memory: int = 0
    """Resident bytes of one child, 0 for no limit: a slow leak ends here."""
    backoff_first: float = 0.0
    backoff_most: float = 60.0
    restarts: int = 5
    period: float = 300.0
    starts: int = 4
    """A device whose child fell so often in a row before it was ready is out of service."""
    cooldown: float = 600.0
    cooldown_most: float = 3600.0
    """The cool-down doubles up to this while a device fails its probation."""
    sleep: float = 2.0
    """A longer pause between two ticks means that this process itself stood still."""
    queued: int = 1
    """Jobs at one child at a time: the one at work, and those that wait in its own queue."""
    queued_quick: int = 3
    """The same where jobs take less than `quick`: a child would wait for its parent in between."""
    quick: float = 0.05
    queued_seconds: float = 0.01
    """More than that where all of them together take no longer than this: for one message."""
    queued_most: int = 32
    check_share: float = 1.0
    """Of a flood's answers, those that are checked (`check_share.py`)."""
    cross_check: bool = False
    """Whether idle cards check a flood's answers while the CPU is late (`cross_check.py`)."""
    attempts: int = 2
    """A job that took this many children down is quarantined."""


def memory_limit(text: str | None) -> int:
    """Bytes in "512M" or "4G" (binary units); None is most of what there is for this program.

    A child that grows to that is replaced before the system ends processes of its own choice.
    """
    if text is None:
        return int(_MOST_OF_THE_MACHINE * total_memory())
    found = _SIZE.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        advice = _("Write it as 512M or 4G.")
        raise BadInput(_("{text!r} is not a size of memory").format(text=text[:40]), advice=advice)
    return int(found[1]) << (30 if found[2].upper() == "G" else 20)
