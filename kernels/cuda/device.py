"""A CUDA device: seed in, root out, and nothing else crosses the bus.

    with CudaDevice(0) as device:
        commitment = device.compute(Task(seed, 4096))

A task of one size and number of iterations is one CUDA graph, captured once and replayed: a copy of
64 bytes (the seed, and a fresh seed of the check's weights), expansion, the products, leaves and
tree, and beside them on a branch of its own Freivalds' check (`check.py`). The last kernels write
the root and the check's verdict into pinned host memory. A result whose check failed raises
DeviceFault: it never leaves the card.

The tree stays on the device for openings, until the next task of that size needs its place; a
commitment that is still in use then takes a copy to the host.
"""

import os
import weakref
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from kernels.commit.tree import level_sizes
from kernels.cuda import check as freivalds
from kernels.cuda import expand, gather, layout
from kernels.cuda.commit.plan import TABLES, digest_bytes, plan, tree_bytes
from kernels.cuda.driver import (
    Card,
    Compiled,
    DeviceBuffer,
    Event,
    PinnedBuffer,
    Stream,
    free_memory,
    timed,
)
from kernels.cuda.product import tiers
from kernels.cuda.product.fold import Built
from kernels.device import Commitment, Device
from kernels.digest import DIGEST_BYTES
from kernels.errors import DeviceFault, TaskTooLarge
from kernels.task import MAX_OPENINGS, Task

_INPUT_BYTES = 64  # seed 32, the check's seed 16, ticket 4, unused 12
_CHECK_SEED, _TICKET = 32, 48
_ROOT, _VERDICT, _OUTPUT_BYTES = 0, 32, 48
_RESERVE = 256 * 2**20
"""Device memory that is left to the driver: kernels, the context, other programs' needs."""


class CudaDevice(Device):
    """One GPU. Not thread-safe: one thread, or one process, a device."""

    def __init__(self, index: int, tier: str | None = None, *, checked: bool = True) -> None:
        """`tier` forces a product tier by name. Raises DeviceUnavailable or KernelError.

        `checked=False` leaves Freivalds' check out: to measure what it costs, and for nothing else.
        """
        self.card = Card.select(index)
        self.name = f"cuda:{index}"
        self.tier = (
            tiers.choose(self.card.capability)
            if tier is None
            else tiers.by_name(tier, self.card.capability)
        )
        self._kernels = Kernels(self.card, self.tier)
        self._checked = checked
        self._plan: Plan | None = None

    def compute(self, task: Task) -> "CudaCommitment":
        """Compute the whole task. Raises TaskTooLarge before it allocates anything, DeviceFault."""
        plan = self._plan_for(task)
        plan.begin(task.seed)
        root = plan.finish()
        return CudaCommitment(task, root, plan)

    def profile(self, task: Task) -> dict[str, float]:
        """Seconds on the device of "expand", "product", "commit" and "check", launched one by one."""
        return self._plan_for(task).profile(task.seed)

    def close(self) -> None:
        """Give the device's memory back."""
        if self._plan is not None:
            self._plan.close()
            self._plan = None

    def _plan_for(self, task: Task) -> "Plan":
        plan = self._plan
        if plan is None or (plan.n, plan.iterations) != (task.n, task.iterations):
            self.close()
            needed, free = _bytes_needed(task), free_memory() - _RESERVE
            if needed > free:
                raise TaskTooLarge(
                    f"a task of size {task.n} needs {needed / 2**30:.2f} GiB on {self.name}"
                    f" ({self.card.name}), and {max(free, 0) / 2**30:.2f} GiB are free"
                )
            self._plan = plan = Plan(self._kernels, self.card, task, checked=self._checked)
        return plan


class CudaCommitment(Commitment):
    """A commitment whose tree lies on the device, or on the host once its place was needed."""

    def __init__(self, task: Task, root: bytes, plan: "Plan") -> None:
        super().__init__(task, root)
        self._plan: Plan | None = plan
        self._host: Any = None
        plan.lend(self)

    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """The 32-byte digests at these places of the tree (level, position), joined in order."""
        firsts = _first_digests(self.task.leaf_count)
        numbers = np.array([firsts[level] + at for level, at in places], np.uint32)
        if self._plan is not None:
            return self._plan.gather(numbers)
        assert self._host is not None
        return digest_bytes(self._host[numbers]).tobytes()

    def leave_device(self) -> None:
        """Copy the tree to the host: its place on the device is needed."""
        assert self._plan is not None
        self._host = self._plan.tree.to_host(np.uint32).reshape(-1, 8)
        self._plan = None


class Kernels:
    """The compiled kernels of a card; those of the product by variant."""

    def __init__(self, card: Card, tier: tiers.Tier) -> None:
        self._card = card
        self._tier = tier
        self._products: dict[Built, Compiled] = {}
        self._built: dict[tuple[str, bool, int], Built] = {}
        self.expand = Compiled(expand.expand_kernel, 5)
        self.weights = Compiled(freivalds.weights_kernel, 3)
        self.project = Compiled(freivalds.project_kernel, 4)
        self.subtract = Compiled(freivalds.subtract_kernel, 4)
        self.verdict = Compiled(freivalds.verdict_kernel, 4)
        self.gather = Compiled(gather.gather_kernel, 4)
        self._commit: dict[Any, Compiled] = {}
        self.tables = DeviceBuffer(TABLES.nbytes)
        self.tables.from_host(TABLES)

    def product(self, output: str, checked: bool, P: int) -> tuple[Built, Compiled]:
        """The product kernel for this padded size."""
        key = (output, checked, P)
        if key not in self._built:
            self._built[key] = self._tier.build(output, checked, P, self._card.capability)
        built = self._built[key]
        if built not in self._products:
            self._products[built] = Compiled(
                built.kernel, 7, shared_bytes=built.shared_bytes, cluster=built.cluster
            )
        return built, self._products[built]

    def commit(self, kernel: Any, arguments: int) -> Compiled:
        """A kernel of the commitment."""
        if kernel not in self._commit:
            self._commit[kernel] = Compiled(kernel, arguments)
        return self._commit[kernel]


class Plan:
    """The buffers and the graph of tasks of one size and number of iterations."""

    def __init__(self, kernels: Kernels, card: Card, task: Task, *, checked: bool = True) -> None:
        self._checked = checked
        self.n, self.iterations = task.n, task.iterations
        self._kernels, self._card = kernels, card
        P = self._P = layout.padded(task.n)
        self._tiles = P // layout.TILE
        # The product comes first: what runs beside it takes the room that it leaves.
        self._stream, self._branch = Stream(first=True), Stream()
        self._host_in = PinnedBuffer(_INPUT_BYTES)
        self._host_out = PinnedBuffer(_OUTPUT_BYTES)
        self._host_places = PinnedBuffer(4 * _MOST_GATHERED)
        self._host_digests = PinnedBuffer(DIGEST_BYTES * _MOST_GATHERED)
        self._input = DeviceBuffer(_INPUT_BYTES)
        self._r = (DeviceBuffer(P * P), DeviceBuffer(P * P))
        self._b = DeviceBuffer(P * P)
        self._vectors = DeviceBuffer(3 * 4 * P)
        self.tree = DeviceBuffer(tree_bytes(task.n))
        self._counter = DeviceBuffer(16)
        self._stream.clear(self._counter.address, 4)
        self._product = kernels.product("fold", checked, P)
        buffers = {
            "r": self._r[task.iterations % 2].address,
            "tree": self.tree.address,
            "root": self._host_out.address + _ROOT,
            "counter": self._counter.address,
            "tables": kernels.tables.address,
        }
        self._commit = [
            (kernels.commit(launch.kernel, len(launch.arguments)), launch, launch.bind(buffers))
            for launch in plan(task.n)
        ]
        self._ticket = 0
        self._borrower: weakref.ref[CudaCommitment] | None = None
        self._put_on_streams()  # once without a graph: whatever is loaded lazily is loaded now
        self._stream.wait()
        with self._stream.capture() as self._graph:
            self._put_on_streams()

    def lend(self, commitment: CudaCommitment) -> None:
        """The tree is this commitment's until the next run."""
        self._borrower = weakref.ref(commitment)

    def begin(self, seed: bytes) -> None:
        """Launch one task, and do not wait for it."""
        self._take_back()
        self._fill_input(seed)
        self._stream.launch(self._graph)

    def finish(self) -> bytes:
        """Wait for the task: its root. Raises DeviceFault where the check failed."""
        self._stream.wait()
        return self._read_output()

    def device_seconds(self, seed: bytes) -> float:
        """Time on the device of one task, first launch to last kernel."""
        self._take_back()
        self._fill_input(seed)
        seconds = timed(self._stream, lambda: self._stream.launch(self._graph))
        self._read_output()
        return seconds

    def gather(self, numbers: Any) -> bytes:
        """Digests by their number in the tree."""
        found = []
        for first in range(0, len(numbers), _MOST_GATHERED):
            some = numbers[first : first + _MOST_GATHERED]
            self._host_places.array[: 4 * len(some)] = some.view(np.uint8)
            self._kernels.gather(
                self._stream,
                (-(-len(some) // gather.THREADS),),
                gather.THREADS,
                self.tree.address,
                self._host_places.address,
                self._host_digests.address,
                len(some),
            )
            self._stream.wait()
            found.append(self._host_digests.array[: DIGEST_BYTES * len(some)].tobytes())
        return b"".join(found)

    def profile(self, seed: bytes) -> dict[str, float]:
        """Device seconds of each stage, one after the other on one stream."""
        self._take_back()
        self._fill_input(seed)
        stream = self._stream
        marks: list[tuple[str, Event]] = []

        def mark(stage: str) -> None:
            marks.append((stage, stream.record()))

        stream.copy_to_device(self._input.address, self._host_in.address, _INPUT_BYTES)
        mark("")
        self._put_expand(stream)
        mark("expand")
        self._put_weights(stream)
        self._put_project(stream)
        mark("check")
        for t in range(self.iterations):
            self._put_subtract(stream, t)
            mark("check")
            self._put_product(stream, t)
            mark("product")
        self._put_verdict(stream)
        mark("check")
        self._put_commit(stream)
        mark("commit")
        stream.wait()
        self._read_output()
        seconds = dict.fromkeys(("expand", "product", "commit", "check"), 0.0)
        for (_, before), (stage, after) in pairwise(marks):
            seconds[stage] += after.seconds_since(before)
        return seconds

    def close(self) -> None:
        """Give every buffer back."""
        self._take_back()
        self._graph.close()
        for buffer in (self._input, *self._r, self._b, self._vectors, self.tree, self._counter):
            buffer.close()
        for pinned in (
            self._host_in,
            self._host_out,
            self._host_places,
            self._host_digests,
        ):
            pinned.close()
        self._stream.close()
        self._branch.close()

    def _put_on_streams(self) -> None:
        """The whole task: the check on a branch, beside what it does not depend on."""
        stream, branch = self._stream, self._branch
        stream.copy_to_device(self._input.address, self._host_in.address, _INPUT_BYTES)
        if not self._checked:
            self._put_expand(stream)
            for t in range(self.iterations):
                self._put_product(stream, t)
            self._put_commit(stream)
            return
        branch.follow(stream)
        self._put_weights(branch)
        self._put_expand(stream)
        stream.follow(branch)  # the product needs weights, and sums that are zero
        branch.follow(stream)
        self._put_project(branch)
        for t in range(self.iterations):
            self._put_subtract(branch, t)
            self._put_product(stream, t)
            stream.follow(branch)  # what the next product overwrites was read
            branch.follow(stream)  # R of this iteration is there
        self._put_verdict(branch)
        self._put_commit(stream)
        stream.follow(branch)

    def _put_expand(self, stream: Stream) -> None:
        grid = (self._tiles, 2 * self._tiles)
        a, b, seed = self._r[0].address, self._b.address, self._input.address
        self._kernels.expand(stream, grid, expand.THREADS, a, b, seed, self.n, self._tiles)

    def _put_weights(self, stream: Stream) -> None:
        stream.clear(self._vectors.address, 3 * self._P)
        grid = (-(-self._P // (4 * freivalds.THREADS)),)
        seed = self._input.address + _CHECK_SEED
        self._kernels.weights(stream, grid, freivalds.THREADS, self._weights, seed, self._P)

    def _put_project(self, stream: Stream) -> None:
        grid = (self._tiles, self._tiles // 2)
        self._kernels.project(
            stream, grid, freivalds.THREADS, self._b.address, self._weights, self._u, self._tiles
        )

    def _put_subtract(self, stream: Stream, t: int) -> None:
        grid = (self._tiles, self._tiles // 2)
        r = self._r[t % 2].address
        self._kernels.subtract(stream, grid, freivalds.THREADS, r, self._u, self._sums, self._tiles)

    def _put_product(self, stream: Stream, t: int) -> None:
        built, kernel = self._product
        kernel(
            stream,
            built.grid(self._P, self._P, self._card.multiprocessors),
            built.threads,
            self._r[t % 2].address,
            self._b.address,
            self._r[(t + 1) % 2].address,
            self._weights,
            self._sums,
            self._P,
            self._P,
        )

    def _put_verdict(self, stream: Stream) -> None:
        self._kernels.verdict(
            stream,
            (1,),
            freivalds.VERDICT_THREADS,
            self._sums,
            self._P,
            self._host_out.address + _VERDICT,
            self._input.address + _TICKET,
        )

    def _put_commit(self, stream: Stream) -> None:
        for kernel, launch, arguments in self._commit:
            kernel(stream, launch.grid, launch.threads, *arguments)

    @property
    def _weights(self) -> int:
        return self._vectors.address

    @property
    def _u(self) -> int:
        return self._vectors.address + 4 * self._P

    @property
    def _sums(self) -> int:
        return self._vectors.address + 8 * self._P

    def _fill_input(self, seed: bytes) -> None:
        self._ticket = self._ticket % 0xFFFFFFFF + 1
        fresh = seed + os.urandom(16) + self._ticket.to_bytes(4, "little")
        self._host_in.array[: len(fresh)] = np.frombuffer(fresh, np.uint8)
        self._host_out.array[:] = 0

    def _read_output(self) -> bytes:
        said = self._host_out.array.tobytes()
        if (
            self._checked
            and int.from_bytes(said[_VERDICT : _VERDICT + 4], "little") != self._ticket
        ):
            raise DeviceFault(
                "the product failed Freivalds' check on the card: its result is wrong",
                advice="Check the card: overclocking, heat, memory errors (nvidia-smi -q -d ECC).",
            )
        return said[_ROOT : _ROOT + DIGEST_BYTES]

    def _take_back(self) -> None:
        borrower = None if self._borrower is None else self._borrower()
        if borrower is not None:
            borrower.leave_device()
        self._borrower = None


_MOST_GATHERED = 16 * MAX_OPENINGS


def _first_digests(leaf_count: int) -> list[int]:
    """Number of the first digest of each level."""
    firsts, total = [], 0
    for size in level_sizes(leaf_count):
        firsts.append(total)
        total += size
    return firsts


def _bytes_needed(task: Task) -> int:
    P = layout.padded(task.n)
    return 3 * P * P + tree_bytes(task.n) + 12 * P + 2**20
