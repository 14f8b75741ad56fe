"""Tasks of one size as one CUDA graph, captured once and replayed: few launches, and one to the
host.

    graph = TaskGraph(kernels, card, task, config)
    graph.begin(seed)
    root = graph.finish()

Expansion (whose arguments are the seed, and a fresh seed of the check's weights: they alone change
from task to task), the products, the tree, and on a branch of its own Freivalds' check (`check.py`): of
the last product beside the upper tree, which leaves most of the card idle, of those before beside the
next product. The last kernels write the root and the check's verdict into
pinned host memory.
"""

import os
import weakref
from gettext import gettext as _
from itertools import pairwise
from typing import Protocol

import numpy as np

from kernels.cuda import gather
from kernels.cuda.card import Card
from kernels.cuda.driver import Event, PinnedBuffer, Stream, timed
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.philox import words_of
from kernels.cuda.product.tiers import TileConfig
from kernels.cuda.stages import Stages
from kernels.digest import DIGEST_BYTES
from kernels.errors import DeviceFault
from kernels.task import MAX_OPENINGS, Task

_VERDICT, _OUTPUT_BYTES = 32, 48
_MOST_GATHERED = 16 * MAX_OPENINGS


def check_beside(launches: int) -> int:
    """Beside which launch of the commitment the last product's check begins.

    The last one is a single block's. Where operands outgrow the L2 cache the check takes longer, and
    begins beside the launch before it; such results take three launches or more.
    """
    return launches - (1 if launches < 3 else 2)


class Borrower(Protocol):
    """Something that reads the tree of the last task, as long as that lies on the device."""

    def leave_device(self) -> None:
        """Take what you need: the next task overwrites it."""


class TaskGraph:
    """The graph, its streams and its buffers."""

    def __init__(
        self,
        kernels: KernelCache,
        card: Card,
        task: Task,
        config: TileConfig,
        *,
        checked: bool = True,
    ) -> None:
        """`checked=False` leaves Freivalds' check out: to measure what it costs, and for nothing
        else.
        """
        self.n, self.iterations, self.config = task.n, task.iterations, config
        self._checked = checked
        self._gather = kernels.gather
        # The task comes first: the check takes the room that it leaves.
        self._stream, self._branch = Stream(first=True), Stream()
        self._host_out = PinnedBuffer(_OUTPUT_BYTES)
        self._host_places = PinnedBuffer(4 * _MOST_GATHERED)
        self._host_digests = PinnedBuffer(DIGEST_BYTES * _MOST_GATHERED)
        self._stages = Stages(kernels, card, task, config, self._host_out.address, checked=checked)
        self._ticket = 0
        self._borrower: weakref.ref[Borrower] | None = None
        self._stages.clear_u(self._stream)
        self._put_on_streams()  # once without a graph: whatever is loaded lazily is loaded now
        self._stream.wait()
        with self._stream.capture() as self._graph:
            self._put_on_streams()

    def fits(self, task: Task) -> bool:
        """Whether the task is of this size and number of iterations."""
        return (self.n, self.iterations) == (task.n, task.iterations)

    @property
    def is_lent(self) -> bool:
        """Whether somebody may still read the tree of the last task."""
        return self._borrower is not None and self._borrower() is not None

    def lend(self, borrower: Borrower) -> None:
        """The tree is this borrower's until the next run."""
        self._borrower = weakref.ref(borrower)

    def begin(self, seed: bytes) -> None:
        """Launch one task, and do not wait for it."""
        self._take_back()
        self._graph.set_arguments(self._stages.expansion(self._fresh(seed)))
        self._stream.launch(self._graph)

    def finish(self) -> bytes:
        """Wait for the task: its root. Raises DeviceFault where the check failed."""
        self._stream.wait()
        return self._read_output()

    def device_seconds(self, seed: bytes) -> float:
        """Time on the device of one task, first launch to last kernel."""
        self._take_back()
        self._graph.set_arguments(self._stages.expansion(self._fresh(seed)))
        seconds = timed(self._stream, lambda: self._stream.launch(self._graph))
        self._read_output()
        return seconds

    def tree_to_host(self) -> np.ndarray:
        """Every digest of the last task's tree: eight words each, the leaves first."""
        return self._stages.tree.to_host(np.uint32).reshape(-1, 8)

    def gather(self, numbers: np.ndarray) -> bytes:
        """Digests of the last task's tree by their number in it."""
        found = []
        for first in range(0, len(numbers), _MOST_GATHERED):
            some = numbers[first : first + _MOST_GATHERED]
            self._host_places.array[: 4 * len(some)] = some.view(np.uint8)
            self._gather(
                self._stream,
                (-(-len(some) // gather.THREADS),),
                gather.THREADS,
                self._stages.tree.address,
                self._host_places.address,
                self._host_digests.address,
                len(some),
            )
            self._stream.wait()
            found.append(self._host_digests.array[: DIGEST_BYTES * len(some)].tobytes())
        return b"".join(found)

    def profile(self, seed: bytes) -> dict[str, float]:
        """Device seconds of each stage, one after the other on one stream.

        Where the product hashes the leaves, too, they count as product, and "commit" is the tree.
        """
        self._take_back()
        stream, stages = self._stream, self._stages
        marks: list[tuple[str, Event]] = []

        def mark(stage: str) -> None:
            marks.append((stage, stream.record()))

        mark("")
        stages.expand(stream, self._fresh(seed))
        mark("expand")
        last = self.iterations - 1
        if self._checked and not stages.projects:
            stages.project(stream)
            mark("check")
        for t in range(self.iterations):
            if self._checked and (t == last or not stages.projects):
                stages.subtract(stream, t)
                mark("check")
            stages.product(stream, t)
            mark("product")
        if self._checked:
            self._judge(stream)
            mark("check")
        stages.commit(stream)
        mark("commit")
        stream.wait()
        self._read_output()
        seconds = dict.fromkeys(("expand", "product", "commit", "check"), 0.0)
        for (_before, before), (stage, after) in pairwise(marks):
            seconds[stage] += after.seconds_since(before)
        return seconds

    def close(self) -> None:
        """Give every buffer back."""
        self._take_back()
        self._graph.close()
        self._stages.close()
        for pinned in (self._host_out, self._host_places, self._host_digests):
            pinned.close()
        self._stream.close()
        self._branch.close()

    def _put_on_streams(self) -> None:
        """The whole task, and the check on the branch."""
        stream, branch, stages = self._stream, self._branch, self._stages
        stages.expand(stream)
        last = self.iterations - 1
        if self._checked and last > 0 and not stages.projects:
            self._put_products_and_check()
        else:
            for t in range(self.iterations):
                stages.product(stream, t, early=True)
        launches = stages.commit_launches()
        for number, launch in enumerate(launches):
            if self._checked and number == check_beside(len(launches)):
                branch.follow(stream)
            launch(stream)
        if not self._checked:
            return
        projects_here = last == 0 and not stages.projects
        if projects_here:
            stages.project(branch)
        # The checks of the products before the last one have been.
        stages.subtract(branch, last, early=projects_here)
        self._judge(branch)
        stream.follow(branch)

    def _judge(self, stream: Stream) -> None:
        self._stages.verdict(stream)
        if self._stages.projects:
            self._stages.clear_u(stream)

    def _put_products_and_check(self) -> None:
        """The products, and beside each the check of the one before."""
        stream, branch, stages = self._stream, self._branch, self._stages
        for t in range(self.iterations - 1):
            branch.follow(stream)  # R of the iteration before is there
            if t == 0:
                stages.project(branch)
            stages.subtract(branch, t)
            stages.product(stream, t)
            stream.follow(branch)  # what the next product overwrites was read
        stages.product(stream, self.iterations - 1)

    def _fresh(self, seed: bytes) -> tuple[int, ...]:
        """What a task begins with: its seed, a seed for the check's weights, a new ticket."""
        self._ticket = self._ticket % 0x7FFFFFFF + 1
        self._host_out.array[:] = 0
        return (*words_of(seed + os.urandom(16)), self._ticket)

    def _read_output(self) -> bytes:
        said = self._host_out.array.tobytes()
        ticket = int.from_bytes(said[_VERDICT : _VERDICT + 4], "little")
        if self._checked and ticket != self._ticket:
            raise DeviceFault(
                _("the product failed Freivalds' check on the card: its result is wrong"),
                advice=_(
                    "Check the card: overclocking, heat, memory errors (nvidia-smi -q -d ECC)."
                ),
            )
        return said[:DIGEST_BYTES]

    def _take_back(self) -> None:
        borrower = None if self._borrower is None else self._borrower()
        if borrower is not None:
            borrower.leave_device()
        self._borrower = None
