"""Waiting for pipes.

`multiprocessing.connection.wait` does the same; to prepare it takes longer than all else of a turn of
the pool, or of an order of a child.
"""

import math
import select
from collections.abc import Iterable


def readable(sources: Iterable[int], seconds: float) -> list[int]:
    """Wait until one of these descriptors is readable, or at its end; return those that are.

    For so many seconds at most.
    """
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    return [source for source, _event in poll.poll(math.ceil(1000 * seconds))]


def wait_for_room(pipe: int, seconds: float) -> None:
    """Wait until something can be written into a pipe, or its reader is gone, for so long at most."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    poll.poll(math.ceil(1000 * seconds))
