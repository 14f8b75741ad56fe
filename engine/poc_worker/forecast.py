"""What a job will take, against what is here: said before it is accepted, with both figures.

What is predicted is the least that a job takes, so that none is declined which might have ended well;
the devices look again, at what is free then.
"""

import time
from collections.abc import Iterator, Mapping
from gettext import gettext as _

from engine.jobs.kind import JobWork, TooLarge
from engine.pool.executor import PoolStatus
from engine.runtime.errors import JobGivenUp
from kernels.memory import NOT_WORTH_A_LOOK, available_memory


def refuse_what_cannot_end(job: JobWork, status: PoolStatus, deadline: float | None) -> None:
    """Raise JobGivenUp where no device is seen to be fast enough for a `deadline` in Unix seconds."""
    if deadline is None:
        return
    left, seconds = deadline - time.time(), status.least_seconds(job)
    if seconds is None or seconds <= left:
        return
    message = _("it takes {seconds:.1f} s on the fastest device here, and {left:.1f} s are left")
    raise JobGivenUp("expired", message.format(seconds=seconds, left=max(0.0, left)))


def refuse_what_does_not_fit(job: JobWork, status: PoolStatus, cards: Mapping[str, int]) -> None:
    """Raise TooLarge where no device in service has the memory; `cards`: bytes of each, if known."""
    if job.bytes_needed <= NOT_WORTH_A_LOOK:
        return
    found = list(_shortages(job, status, cards))
    short = [one for one in found if one is not None]
    if short and len(short) == len(found):
        raise TooLarge(max(short)[1])


def _shortages(
    job: JobWork, status: PoolStatus, cards: Mapping[str, int]
) -> Iterator[tuple[int, str] | None]:
    """Give None for each device in service that has room, else the bytes it has, and a sentence."""
    on_card = getattr(job, "card_bytes", 0)  # other jobs go to a card in pieces
    free = available_memory()
    for name, device in status.devices.items():
        if device.state == "out":
            continue
        if on_card and name.startswith("cuda"):
            room, needed = cards.get(name), on_card
            message = _("it takes {needed} of memory on a card, and {name} has {room}")
        else:
            room, needed = free + device.held, getattr(job, "host_bytes", job.bytes_needed)
            message = _("it takes {needed} of memory, and {room} are free for {name}")
            if device.allowed is not None and device.allowed < room:
                room = device.allowed
                message = _("it takes {needed} of memory, and {name} may take {room}")
        if room is None or needed <= room:
            yield None
        else:
            yield room, message.format(needed=_mebibytes(needed), room=_mebibytes(room), name=name)


def _mebibytes(count: int) -> str:
    return _("{number} MiB").format(number=f"{count / 2**20:,.0f}".replace(",", " "))
