"""Jobs that a card does wholly itself, and when it may: after a known-answer test, and never wrongly.

    jobs = CardJobs(machine, host, trial)
    made = jobs.infer(key, network, samples, layers=False)   # rows and their tree, or None

None: do it as devices without this do, by products alone (`Device.multiply`) and the host. That is the
answer where the card's kernels failed their known-answer test (`trial`), where they raised, where a
model's first sample came out otherwise than on the host, where the graph has an operator that is not
done here, and where memory is short. The reason is said once, in a sentence.
"""

import logging
from collections.abc import Callable
from gettext import gettext as _
from typing import Any, Protocol

import numpy as np

from kernels.cuda.layout import padded
from kernels.cuda.network.commitment import commit
from kernels.cuda.network.machine import CannotRecord, Machine
from kernels.cuda.network.model import Model
from kernels.cuda.network.replay import Replay
from kernels.cuda.network.run import CardRows, run, supports
from kernels.device import Device, Integers, Made
from kernels.errors import DeviceFault, TaskTooLarge
from kernels.network import Activations
from kernels.network.fast import forward, forward_layers
from kernels.network.graph.convolutions import Conv2D
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import layer_columns
from kernels.network.graph.of_chain import graph_of_chain
from kernels.network.graph.products import FullyConnected
from kernels.network.model import Network
from kernels.product import Matrix

KEPT_MODELS = 4
"""Models whose weights stay on the card; the one used longest ago goes first."""
GROUP_BYTES = 1 << 31
"""Memory that the samples of one group take together, or one sample where that needs more."""

KEPT_REPLAYS = 4
"""Batches (of a model, a number of samples, with layers or without) that stay recorded."""
FIRST_COST = 1 << 31
"""Multiply-adds of a sample up to which a model's first one is computed on the host, too."""


SEEN = 64
"""Batches that are known to have been run before."""
Batch = tuple[bytes, int, bool]
"""The model, how many samples, and whether with layers."""


class Trial(Protocol):
    """Says whether the card's kernels compute right."""

    def problem(self) -> str:
        """Return what is wrong with them, in a sentence; empty where nothing is. Tested once."""

    def distrust(self, problem: str) -> None:
        """Remember that something was wrong after all."""


class CardJobs:
    """`host`: the device that the card is, for its products; it computes what is compared."""

    def __init__(self, machine: Callable[[], Machine], host: Device, trial: Trial) -> None:
        """`machine` is made when the first job is done here."""
        self._make, self._host, self._trial = machine, host, trial
        self._machine: Machine | None = None
        self._models: dict[bytes, tuple[Model, Graph]] = {}
        self._replays: dict[Batch, Replay] = {}
        self._once: dict[Batch, None] = {}  # run before: it is recorded the second time
        self._said = False

    def infer(
        self, key: bytes, network: Network | Graph, samples: Activations, *, layers: bool
    ) -> Made | None:
        """Return all samples' outputs, and their tree; `key` names the model. Raises DeviceFault."""
        graph = self._graph(key, network)
        if graph is None:
            return None
        return self._attempt(lambda machine: self._infer(machine, key, graph, samples, layers))

    def _graph(self, key: bytes, network: Network | Graph) -> Graph | None:
        """Return the model as a graph, the same one each time; None where it is not done here."""
        if key in self._models:
            return self._models[key][1]
        graph = network if isinstance(network, Graph) else graph_of_chain(network)
        return graph if graph is not None and supports(graph) else None

    def multiply(self, A: Matrix, B: Matrix) -> Made | None:
        """Return A B, m x n int32, of A, m x k, and B, k x n, and its tree. Raises DeviceFault."""
        return self._attempt(lambda machine: product(machine, A, B))

    @property
    def problem(self) -> str:
        """Why jobs are done with the host's help after all; "" where they are not."""
        return self._trial.problem()

    def release(self) -> None:
        """Give back what is on the card, but for trees that may be opened."""
        self._replays.clear()
        self._once.clear()
        self._models.clear()
        if self._machine is not None:
            self._machine.trim()

    def _attempt(self, job: Callable[[Machine], Made | None]) -> Made | None:
        """Do it, unless it may not be done here."""
        try:
            if problem := self._trial.problem():
                self._say(problem)
                return None
            if self._machine is None:
                self._machine = self._make()
            return self._where_it_fits(job, self._machine)
        except TaskTooLarge:
            self.release()
            return None
        except DeviceFault as error:
            self._distrust(str(error))
            if error.sticky:
                raise  # the process has to end; the next one knows
        except Exception as error:  # noqa: BLE001 - kernels that were never run must not stop a worker
            self._distrust(f"{type(error).__name__}: {error}")
        return None

    def _where_it_fits(
        self, job: Callable[[Machine], Made | None], machine: Machine
    ) -> Made | None:
        """Do it, if need be in the memory that recorded batches hold. Raises TaskTooLarge."""
        try:
            return job(machine)
        except TaskTooLarge:
            if not self._replays:
                raise
        self.release()
        return job(machine)

    def _infer(
        self, machine: Machine, key: bytes, graph: Graph, samples: Activations, layers: bool
    ) -> Made | None:
        kept = self._models.pop(key, None)
        model, graph = kept or (Model(machine), graph)  # weights are found by their operators
        batch = (key, len(samples), layers)
        replay = self._replays.pop(batch, None)
        if replay is None and kept is not None and batch in self._once:
            replay = self._recorded(model, graph, len(samples), layers)
        if replay is not None:
            made = replay.run(samples)
            self._replays[batch] = replay
        else:
            group = self._group(machine, graph, len(samples))
            rows = run(model, graph, samples, layers=layers, group=group)
            made = rows.to_host(), commit(rows)
            self._once[batch] = None
        if kept is None and not self._first_is_right(graph, samples[:1], made[0][:1], layers):
            self._distrust(_("a model's first sample came out otherwise than on the host"))
            return None
        self._models[key] = model, graph
        _keep_last(self._models, KEPT_MODELS)
        _keep_last(self._replays, KEPT_REPLAYS)
        _keep_last(self._once, SEEN)
        return made

    def _group(self, machine: Machine, graph: Graph, count: int) -> int:
        """Return how many samples go through the graph together."""
        room = min(GROUP_BYTES, machine.free_bytes // 2)
        return min(count, max(1, room // sample_bytes(graph)))

    def _recorded(self, model: Model, graph: Graph, count: int, layers: bool) -> Replay | None:
        """Record a batch; None where that cannot be done, or memory is short."""
        machine = model.machine
        group = self._group(machine, graph, count)
        rows = count * (graph.columns + layers * layer_columns(graph)) * 4
        if group * sample_bytes(graph) + rows > machine.free_bytes // 2:
            return None
        try:
            return Replay(model, graph, count, group, layers=layers)
        except (CannotRecord, TaskTooLarge):
            return None

    def _first_is_right(
        self, graph: Graph, sample: Activations, row: Integers, layers: bool
    ) -> bool:
        """Whether the host, with the device's products, gives this row; unless that takes too long."""
        if graph.sample_cost > FIRST_COST:
            return True
        if layers:
            return np.array_equal(forward_layers(graph, sample, self._host), row)
        return np.array_equal(forward(graph, sample, self._host), row)

    def _distrust(self, problem: str) -> None:
        self._trial.distrust(problem)
        self._say(problem)

    def _say(self, problem: str) -> None:
        if not self._said:
            self._said = True
            logging.getLogger(__name__).warning(
                _("%s computes networks with the host's help, as before: %s"),
                self._host.name,
                problem,
            )


def _keep_last(kept: dict[Any, Any], most: int) -> None:
    """Drop the oldest."""
    while len(kept) > most:
        del kept[next(iter(kept))]


def product(machine: Machine, A: Matrix, B: Matrix) -> Made:
    """Return A B, and its tree. Raises TaskTooLarge, DeviceFault."""
    k, n = B.shape
    turned = Model(machine).gathered(machine.upload(B), (n, k), [(1, 0, 1, 1), (1, 0, 1, 0)])
    sums = machine.multiply(machine.upload(A), machine.right(turned))
    rows = CardRows(machine, sums.block, sums.rows, sums.columns, 4, 4 * sums.pitch)
    return rows.to_host(), commit(rows)


def sample_bytes(graph: Graph) -> int:
    """Return the card's memory for one sample: the largest product is padded on all sides."""
    most = 0
    for place, node in enumerate(graph.nodes):
        operator = node.operator
        if isinstance(operator, Conv2D | FullyConnected):
            n = len(operator.weights)
            k = operator.weights[0].size
            rows = graph.forms[len(graph.inputs) + place].entries // n
            most = max(most, rows * (k + padded(k) + 4 * padded(n) + 4))
    return graph.sample_bytes + most
