"""What is done for a block goes before what is done for jobs, in the threads of one process, too.

    way.take()      # a block came, or an answer to a task of it: its results are on their way
    way.give()      # they are sent

    way.let_pass()  # in a thread that does jobs, between one and the next

Threads of one process share one interpreter: a thread with a few milliseconds of work, and a dozen
waits in it, has to wait for it a dozen times where others never rest. So those rest, for the few
milliseconds that it takes; and never for longer than that, whatever becomes of the block.
"""

import threading
import time

MOST_SECONDS = 0.05
"""Nobody waits for longer than that after the last `take`."""


class RightOfWay:
    """See the module. Every method is for any thread."""

    def __init__(self) -> None:
        self._until = 0.0
        self._given = threading.Event()

    @property
    def left(self) -> float:
        """Seconds for which the way is taken still, at most; 0 where it is free."""
        return max(0.0, self._until - time.monotonic())

    def take(self) -> None:
        """Threads that do jobs are to wait from now on."""
        self._given.clear()
        self._until = time.monotonic() + MOST_SECONDS

    def give(self) -> None:
        """They may go on."""
        self._until = 0.0
        self._given.set()

    def let_pass(self) -> None:
        """Wait while the way is taken."""
        while (left := self.left) > 0:
            self._given.wait(left)
