"""A CUDA device: seed in, root out, and nothing else crosses the bus.

    with CudaDevice(0) as device:
        commitment = device.compute(Task(seed, 4096))

What a task is on the device, and the check that no wrong result gets past, is `task_graph.py`'s;
this keeps the product's tile configuration for the last size (`tuning.py`) and a few graphs of it,
which take turns: a task is launched before the openings of the last one are read, and the tree of one
that is not opened yet stays on the card while others are computed. Where all of them are taken, the
oldest commitment takes a copy of its tree to the host, or loses it where it may be forgotten.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from gettext import gettext as _
from itertools import accumulate
from typing import Any, Self

import numpy as np

from kernels.cards import ordinal
from kernels.commit.tree import level_sizes
from kernels.cuda import layout, tuning
from kernels.cuda.card import Card, driver_version
from kernels.cuda.commit.plan import digest_bytes
from kernels.cuda.cubin_cache import source_digest
from kernels.cuda.driver import free_memory
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.multiply import multiply
from kernels.cuda.network import trial
from kernels.cuda.network.card import CardMachine
from kernels.cuda.network.jobs import CardJobs
from kernels.cuda.product import tiers
from kernels.cuda.stages import bytes_needed
from kernels.cuda.task_graph import TaskGraph
from kernels.device import Commitment, Device
from kernels.energy import Meter
from kernels.errors import DeviceFault, TaskTooLarge
from kernels.product import Matrix, Sums, check_operands
from kernels.task import Task

KEPT_GRAPHS = 4
"""Trees that wait for their openings: two in the child's queue, one at work, and one to spare."""
_RESERVE = 256 * 2**20
"""Device memory that is left to the driver: kernels, the context, other programs' needs."""


class CudaDevice(Device):
    """One GPU. Not thread-safe: one thread, or one process, a device."""

    runs_ahead = True

    def __init__(self, index: int, tier: str | None = None, *, checked: bool = True) -> None:
        """`tier` forces a product tier by name. Raises DeviceUnavailable or KernelError.

        `checked=False` leaves Freivalds' check out: to measure what it costs, and for nothing else.
        """
        self.card = Card.select(index)
        self.name = f"cuda:{index}"
        capability = self.card.capability
        self.tier = tiers.choose(capability) if tier is None else tiers.by_name(tier, capability)
        self._kernels = KernelCache(self.tier)
        self._checked = checked
        self._graphs: list[TaskGraph] = []  # the one that was used last comes last
        self._tuned = tuning.TunedConfigs.of(
            self.card.name, capability, driver_version(), self.tier
        )
        self._machine: CardMachine | None = None
        self._jobs: CardJobs | None = None

    def compute(self, task: Task) -> "CudaCommitment":
        """Compute the whole task. Raises TaskTooLarge before it allocates anything, DeviceFault."""
        return self.begin(task)()

    def begin(self, task: Task) -> Callable[[], "CudaCommitment"]:
        """Launch the task, and return what waits for it. Raises TaskTooLarge, DeviceFault.

        Its graph is lent from the launch on: whoever needs the graph waits for the root first.
        """
        graph = self._free_graph(task)
        graph.begin(task.seed)
        return CudaCommitment(task, graph).wait

    def multiply(self, A: Matrix, B: Matrix) -> Sums:
        """A B^T, int32, exact, from A, m x k, and B, n x k; checked like a task's product.

        Raises InvalidTask, TaskTooLarge before it allocates anything, DeviceFault.
        """
        m, n, _ = check_operands(A, B)
        return multiply(self._kernels, self.card, self._config(layout.padded(max(m, n))), A, B)

    def prepare(self, task: Task) -> None:
        """Compile, capture and tune for tasks of this size: the next one takes no longer than it must.

        Raises TaskTooLarge. Seconds at a card's first use of a size, then one or two for compiling.
        """
        size = layout.padded(task.n)
        configs = self.tier.configs(size, self.card.capability)
        if size >= tuning.LEAST_SIZE and tuning.wanted() and not self._tuned.find(size, configs):
            self._tuned.keep(size, self._best(task, configs))
            self._close_graphs()
        self._graph_for(task)
        with suppress(TaskTooLarge):
            while len(self._graphs) < KEPT_GRAPHS:
                self._graphs.append(self.graph(task))

    def profile(self, task: Task) -> dict[str, float]:
        """Seconds on the device of "expand", "product", "commit" and "check", launched one by one."""
        return self._graph_for(task).profile(task.seed)

    def whole_jobs(self) -> CardJobs | None:
        """Return what does jobs wholly on the card; None with CPC_CARD_JOBS=0."""
        if trial.is_switched_off():
            return None
        if self._jobs is None:
            card = self.card
            parts = [card.name, str(card.capability), str(driver_version()), self.tier.name]
            key = ", ".join([*parts, *tuning.package_versions(), source_digest()])
            test = trial.CardTrial(key, trial.command(ordinal(card.index), self.tier.name))
            self._jobs = CardJobs(self.machine, self, test)
        return self._jobs

    def machine(self) -> CardMachine:
        """Return what networks run on: weights, values and trees in this card's memory."""
        if self._machine is None:
            self._machine = CardMachine(self._kernels, self.card, self._config)
        return self._machine

    def close(self) -> None:
        """Give the device's memory back."""
        self._close_graphs()
        if self._machine is not None:
            self._machine.close()
        self._machine = self._jobs = None

    def _close_graphs(self) -> None:
        for graph in self._graphs:
            graph.close()
        self._graphs.clear()

    def graph(self, task: Task, config: tiers.TileConfig | None = None) -> TaskGraph:
        """Return a graph of this task's size, for running several at a time; close it.

        Raises TaskTooLarge before it allocates anything.
        """
        needed, free = bytes_needed(task), free_memory() - _RESERVE
        if needed > free and self._jobs is not None:
            self._jobs.release()
            free = free_memory() - _RESERVE
        if needed > free:
            raise TaskTooLarge(
                _(
                    "a task of size {n} needs {number:.2f} GiB on {name} ({name_2}), and"
                    " {number_2:.2f} GiB are free"
                ).format(
                    n=task.n,
                    number=needed / 2**30,
                    name=self.name,
                    name_2=self.card.name,
                    number_2=max(free, 0) / 2**30,
                )
            )
        config = config or self._config(layout.padded(task.n))
        return TaskGraph(self._kernels, self.card, task, config, checked=self._checked)

    def _graph_for(self, task: Task) -> TaskGraph:
        """Return a graph of this task's size, those of other sizes closed."""
        if not self._graphs or not self._graphs[0].fits(task):
            self._close_graphs()
            self._graphs.append(self.graph(task))
        return self._graphs[-1]

    def _free_graph(self, task: Task) -> TaskGraph:
        """Return one whose last tree nobody reads any more, or else the one used longest ago."""
        self._graph_for(task)
        found = next((graph for graph in self._graphs if not graph.is_lent), None)
        if found is None and len(self._graphs) < KEPT_GRAPHS:
            with suppress(TaskTooLarge):  # then the oldest tree goes to the host
                self._graphs.append(self.graph(task))
                return self._graphs[-1]
        found = found or self._graphs[0]
        self._graphs.remove(found)
        self._graphs.append(found)
        return found

    def _config(self, size: int) -> tiers.TileConfig:
        """What the product looks like for a result whose longer side has this padded size."""
        configs = self.tier.configs(size, self.card.capability)
        tuned = self._tuned.find(size, configs) if tuning.wanted() else None
        return tuned or configs[0]

    def _best(self, task: Task, configs: Sequence[tiers.TileConfig]) -> tiers.TileConfig:
        """By whole tasks, one iteration long: one that hashes leaves saves a kernel elsewhere."""
        once = Task(task.seed, task.n)
        opened: list[TaskGraph] = []

        def prepare(config: tiers.TileConfig) -> GraphTrial:
            self._close_graphs()
            graph = self.graph(once, config)
            opened.append(graph)
            return GraphTrial(graph, once.seed)

        try:
            return tuning.best(configs, prepare, Meter(self.card.uuid))
        except TaskTooLarge:  # no room for several at a time: the size is tuned by what is known
            return configs[0]
        finally:
            for graph in opened:
                graph.close()


class GraphTrial:
    """Runs of a task's graph, to measure its configuration."""

    def __init__(self, graph: TaskGraph, seed: bytes) -> None:
        self._graph, self._seed = graph, seed

    def once(self) -> float:
        """Run the task: seconds on the device."""
        return self._graph.device_seconds(self._seed)

    def many(self, count: int) -> None:
        """Run it so many times without a pause."""
        for _number in range(count):
            self._graph.begin(self._seed)
        self._graph.finish()


class CudaCommitment(Commitment):
    """A commitment whose tree lies on the device, or on the host once its place was needed."""

    def __init__(self, task: Task, graph: TaskGraph) -> None:
        """`graph` was launched; the root is there after `wait`."""
        super().__init__(task, b"")
        self._graph: TaskGraph | None = graph
        self._host: Any = None
        self._fault: DeviceFault | None = None
        self._may_be_forgotten = False
        graph.lend(self)

    def wait(self) -> Self:
        """Wait for the root. Raises DeviceFault where the check on the card failed."""
        self._settle()
        if self._fault is not None:
            raise self._fault
        return self

    def may_be_forgotten(self) -> None:
        """Drop the tree rather than copy it to the host."""
        self._may_be_forgotten = True

    @property
    def is_kept(self) -> bool:
        """Whether the tree is there still."""
        return self._graph is not None or self._host is not None

    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """The 32-byte digests at these places of the tree (level, position), joined in order."""
        firsts = _first_digests(self.task.leaf_count)
        numbers = np.array([firsts[level] + at for level, at in places], np.uint32)
        if self._graph is not None:
            return self._graph.gather(numbers)
        assert self._host is not None
        return digest_bytes(self._host[numbers]).tobytes()

    def leave_device(self) -> None:
        """Copy the tree to the host, unless it may be forgotten: its place on the device is needed."""
        self._settle()
        assert self._graph is not None
        if self._fault is None and not self._may_be_forgotten:
            self._host = self._graph.tree_to_host()
        self._graph = None

    def _settle(self) -> None:
        """Have the root, or the fault that is there in its place, for whoever asks for it."""
        if self.root or self._fault is not None:
            return
        assert self._graph is not None
        try:
            self.root = self._graph.finish()
        except DeviceFault as error:
            self._fault = error


@cache
def _first_digests(leaf_count: int) -> tuple[int, ...]:
    """Number of the first digest of each level."""
    return tuple(accumulate(level_sizes(leaf_count)[:-1], initial=0))
