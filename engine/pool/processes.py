"""Children as processes of this machine: spawned, each with a task queue and a pipe of its own.

Spawned, never forked: a fork would carry the parent's key, threads and CUDA state along. Queue and pipe
are thrown away with their child, and no lock is shared by two children, so that a process killed at
any moment holds nobody up and leaves nothing behind. Who owns the launcher reads every pipe, and never
waits for one.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from gettext import gettext as _
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from engine.pool.codec import Frames, decode_message, one_line
from engine.pool.launcher import Exited, Heard, LauncherEvent
from engine.pool.messages import SHORTAGE, Failed, FromChild, Order, Run, Setup, Work
from engine.pool.task_queue import Pieces, TaskQueue
from engine.pool.worker_main import BEAT_SECONDS, Reports, child_main
from engine.runtime.child_entry import ChildEntry, deaf_to_interrupts
from engine.runtime.errors import is_shortage, reason_of
from engine.runtime.program_files import ProgramFiles, updated_words
from engine.runtime.safe_path import safe_path
from kernels.cards import number_cards
from kernels.proof import longest_proof

LAST_WORDS_SECONDS = 1.0
"""A child that closed its pipe has so long to end before it is killed."""
DEATH_SECONDS = 5.0
"""How long a killed process may take to be gone: for ever only where the driver holds on to it."""
_LAST_READS = 16
"""Of a dead child's pipe, at most: it may have left the pipe to a process of its own."""
_POLL_SECONDS = 0.005

_SIBLINGS_OF_A_LEAF = 32 * 32
"""Bytes: no tree has more than 2^32 leaves."""

_context = get_context("spawn")

Entry = Callable[[str, Setup, Pieces, Reports], None]
"""What a child runs: device, set-up, its task queue, the pipe for what it says."""


class ChildProcess[T]:
    """A process with a task queue, and a pipe of frames that are read without waiting."""

    def __init__(
        self,
        entry: Callable[..., None],
        arguments: tuple[Any, ...],
        decode: Callable[[bytes], T],
        name: str,
    ) -> None:
        """Start it. Raises OSError where no process can be started."""
        self.frames = Frames(decode)
        self.exitcode: int | None = None
        with safe_path():  # also for the resource tracker, which the first queue starts
            self.tasks = TaskQueue()
            try:
                self._process, self._pipe = _start(entry, (*arguments, self.tasks.queue), name)
            except BaseException:
                self.tasks.close()
                raise
        self.tasks.queue.given_away()
        self._pidfd = _open_pidfd(self._process.pid)
        self._ending = self._process.sentinel if self._pidfd is None else self._pidfd
        os.set_blocking(self._pipe.fileno(), False)
        self.pid = self._process.pid
        self._gone = False
        self._kill_at = float("inf")

    def read(self, ready: Sequence[object]) -> list[T]:
        """What it said. Whoever closed its pipe, or broke it, has a moment to end by itself."""
        heard: list[T] = []
        self._gone = self._gone or self._ending in ready
        was_open = not self.frames.ended
        if was_open:
            reads = _LAST_READS if self._gone else self._pipe.fileno() in ready
            for _again in range(reads):
                more = self.frames.read(self._pipe.fileno())
                heard += more
                if not more:
                    break
            if self.frames.ended:
                self._kill_at = time.monotonic() + LAST_WORDS_SECONDS
        if self._gone:  # or it closed that end itself, so nothing here may wait for it
            self.exitcode = self._process.exitcode
            self._kill_at = 0.0
        if self.exitcode is None and (self.frames.error or time.monotonic() >= self._kill_at):
            self._process.kill()
        return heard

    @property
    def sources(self) -> list[int]:
        """Where it is readable, `read` has something to say."""
        sources = [] if self._gone else [self._ending]
        return sources if self.frames.ended else [*sources, self._pipe.fileno()]

    def tell(self, told: Any, orders: Sequence[Order]) -> None:
        """Put `told` into its queue; `orders` are what is to be answered. Raises pickle's errors."""
        owed = {order.ticket: answer_bytes(order) for order in orders}
        self.tasks.put(told)
        self.frames.owed |= owed

    def kill(self) -> None:
        """SIGKILL, which also ends a stopped process, and one that waits for a kernel."""
        if self.exitcode is None:
            self._process.kill()

    def join(self, deadline: float) -> bool:
        """Wait for its end, until then at most; whether it came."""
        while self.exitcode is None:
            self.exitcode = self._process.exitcode
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        return self.exitcode is not None

    def close(self) -> bool:
        """Free what belonged to it, now that it is gone. False: not yet, call it again."""
        self._pipe.close()
        if self.exitcode is not None:
            self._process.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return self.tasks.close()


def _start(
    entry: Callable[..., None], arguments: tuple[Any, ...], name: str
) -> tuple[SpawnProcess, Connection]:
    """Start a process; return it with the pipe of what it says."""
    pipe, theirs = _context.Pipe(duplex=False)
    with theirs:  # closed here, so that the child's death reads as the end of the pipe
        process = _context.Process(
            target=ChildEntry(entry), args=(*arguments, theirs), name=name, daemon=True
        )
        try:
            with deaf_to_interrupts():
                process.start()
        except BaseException:
            pipe.close()
            raise
    return process, pipe


def _open_pidfd(pid: int | None) -> int | None:
    """Return what is readable once the process has ended; None where the system has no such thing.

    multiprocessing's sentinel is a pipe: it stays open in whatever process the child leaves behind.
    """
    if sys.platform == "linux" and pid is not None:
        with suppress(OSError):
            return os.pidfd_open(pid)
    return None


class _Child(ChildProcess[FromChild]):
    def __init__(self, entry: Entry, device: str, generation: int, setup: Setup) -> None:
        super().__init__(entry, (device, setup), decode_message, f"cpc-{device}")
        self.device = device
        self.generation = generation


class LocalProcesses:
    """A Launcher. Call its methods from one thread, which outlives the children: Linux ends a child
    with the thread that started it (`engine/runtime/child_entry.py`).
    """

    may_find_more = False
    quiet_seconds = BEAT_SECONDS

    def __init__(self, setup: Setup | None = None, *, entry: Entry = child_main) -> None:
        """`entry` is what a child runs: another one only in tests of faults."""
        self._setup = setup or Setup()
        self._entry = entry
        self._current: dict[str, _Child] = {}
        self._children: list[_Child] = []
        self._closing: list[_Child] = []
        self._events: list[LauncherEvent] = []
        self._program = ProgramFiles()

    def start(self) -> None:
        """Processes can always be asked for; cards keep the numbers that they have now."""
        number_cards()

    def sources(self) -> list[int]:
        """Pipes and sentinels of all children, also of those that are dying."""
        return [source for child in self._children for source in child.sources]

    def read(self, ready: Sequence[object]) -> list[LauncherEvent]:
        """What children said, and which ended. A message cut off by a kill is the end."""
        events, self._events = self._events, []
        for child in list(self._children):
            events += [Heard(child.device, child.generation, said) for said in child.read(ready)]
            if child.frames.error:
                broken = Failed(None, "BrokenMessage", child.frames.error)
                events.append(Heard(child.device, child.generation, broken))
                child.frames.error = ""
            if child.exitcode is not None:
                events.append(Exited(child.device, child.generation, child.exitcode))
                self._children.remove(child)
                self._closing.append(child)
        if self._closing:
            self._closing = [child for child in self._closing if not child.close()]
        return events

    def spawn(self, device: str, generation: int) -> int | None:
        """Start a child: return its process id. One that cannot be started is reported as failed."""
        if self._program.updated():
            said = " ".join(updated_words())
            self._events.append(Heard(device, generation, Failed(None, "ProgramUpdated", said)))
            return None
        try:
            child = _Child(self._entry, device, generation, self._setup)
        except OSError as error:
            kind = SHORTAGE if is_shortage(error) else "CannotStart"
            said = _("no process could be started: {error}").format(error=reason_of(error))
            self._events.append(Heard(device, generation, Failed(None, kind, said)))
            return None
        self._current[device] = child
        self._children.append(child)
        return child.pid

    def tell(self, device: str, generation: int, orders: Sequence[Order]) -> None:
        """Send orders, unless that child is gone already."""
        child = self._current.get(device)
        if child is None or child.generation != generation:
            return
        for failed in tell_each(lambda some: child.tell(some, some), orders):
            self._events.append(Heard(device, generation, failed))

    def kill(self, device: str, generation: int) -> None:
        """End that child, whatever it does."""
        child = self._current.get(device)
        if child is not None and child.generation == generation:
            child.kill()

    def stop(self, patience: float) -> None:
        """End every child: asked first, then killed. None is left when this returns."""
        deadline = time.monotonic() + patience
        for child in self._children:
            child.tasks.put(None)
        for child in self._children:
            if not child.join(deadline):
                child.kill()
        deadline = time.monotonic() + DEATH_SECONDS
        for child in self._children:
            child.join(deadline)
        closing = self._closing + self._children
        while closing:
            closing = [child for child in closing if not child.close()]
        self._children.clear()
        self._closing.clear()
        self._current.clear()


def tell_each(tell: Callable[[tuple[Order, ...]], None], orders: Sequence[Order]) -> list[Failed]:
    """Tell the orders in one message. Those that cannot be handed over cost no child, nor each other.

    Return what becomes of them: they are given up.
    """
    together = tuple(orders)
    try:
        tell(together)
    except Exception as error:  # noqa: BLE001 - work that is not a plain value, of a plug-in
        if len(together) > 1:
            return [failed for order in together for failed in tell_each(tell, [order])]
        said = one_line(f"{type(error).__name__}: {error}")
        return [Failed(together[0].ticket, "InvalidJob", said)]
    return []


def answer_bytes(order: Order) -> int:
    """Return the most bytes that an honest answer to this order has, beyond a small frame's."""
    if isinstance(order, Work):
        return longest_proof(order.task, order.openings)
    if isinstance(order, Run):
        work = order.work
        return getattr(work, "outcome_bytes", work.bytes_needed)  # a plug-in may not have it yet
    return _SIBLINGS_OF_A_LEAF * len(order.leaves)
