"""A batch of samples through an integer-only network; the outputs are committed to as a matrix."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from gettext import gettext as _
from gettext import ngettext
from typing import Self

import numpy as np

from kernels.commit.rows import MatrixForm
from kernels.data import Data
from kernels.device import Device, Integers, Made, WholeJobs
from kernels.errors import InvalidTask, WrongResult
from kernels.memory import require_bytes
from kernels.network import Activations, reference
from kernels.network.again import by_numpy, compute_again, is_compiled
from kernels.network.checking import check_layers
from kernels.network.fast import forward, forward_layers, group_size
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import (
    check_cost,
    columns_of_layers,
    layer_columns,
    layer_roots,
)
from kernels.network.graph.stream import run_stream, samples_with_states, start_of
from kernels.network.model import Network, decode_network
from kernels.seeded import SeededBytes, draw
from kernels.work import Checked, Outcome
from kernels.work.matrix import MatrixResult

STREAM_COST = 1 << 26
"""Multiply-adds of a stream's samples that are computed again, some tenths of a second in numpy."""
MOST_MODELS = 4
"""Models that stay in memory from one job to the next."""
SPOT_SAMPLES = 4
"""Samples that `check` computes again, at most."""
SPOT_COST = 1 << 29
"""Multiply-adds that it spends on them, at most: some tenths of a second in numpy."""
COMPILED_COST = 1 << 33
"""The same of a graph that is computed again by a compiled program: some 50 ms."""
LAYERS_COST = 1 << 25
"""The same where it checks layers: entry by entry in numpy, which takes longer for each."""


Compute = Callable[..., Integers]
"""`compute_again`, or `by_numpy`."""


@dataclass(frozen=True, slots=True)
class InferenceWork(MatrixResult):
    """`batch` samples through a network. Make it with `of`, which reads the model."""

    model: Data
    input: Data
    batch: int
    sample_cost: int
    working_bytes: int
    outputs: MatrixForm
    """A row a sample, int8, or int32 after argmax."""
    returns_data: bool = False
    layers: bool = False
    """Whether a row also has the sums of each product layer, int32 all of it: docs/jobs.md."""
    state: Data | None = None
    """The states that the first sample meets, where it does not begin the stream."""
    layer_share: float = 1.0
    """Of the layers of a checked sample, as many are looked at, drawn: the checker chooses."""
    samples: int = SPOT_SAMPLES
    """Samples that are computed again, at most: the checker chooses."""

    @classmethod
    def of(
        cls,
        model: Data,
        samples: Data,
        batch: int,
        returns_data: bool = False,
        layers: bool = False,
        state: Data | None = None,
    ) -> Self:
        """Return the work. Raises InvalidNetwork, or InvalidTask for samples that do not fit it."""
        network = _network(model)
        held = network.state_entries if isinstance(network, Graph) else 0
        if state is not None and (held == 0 or state.size != held):
            raise InvalidTask(
                ngettext(
                    "the state has {size} byte, and the model's is {held}",
                    "the state has {size} bytes, and the model's is {held}",
                    state.size,
                ).format(size=state.size, held=held)
            )
        if layers and not isinstance(network, Graph):
            raise InvalidTask(_("only a model of version 2 commits to its layers"))
        if samples.size != batch * network.sample_entries:
            raise InvalidTask(
                ngettext(
                    "a batch of {batch} has {number} byte, {entries} a sample, and the input {size}",
                    "a batch of {batch} has {number} bytes, {entries} a sample, and the input {size}",
                    batch * network.sample_entries,
                ).format(
                    size=samples.size,
                    batch=batch,
                    entries=network.sample_entries,
                    number=batch * network.sample_entries,
                )
            )
        form = MatrixForm(batch, network.columns, network.entry_bytes)
        if layers and isinstance(network, Graph):
            form = MatrixForm(batch, network.columns + layer_columns(network), 4)
        group = min(batch, group_size(network))
        needed = 2 * model.size + 2 * samples.size + group * network.sample_bytes
        needed += 2 * form.data_bytes + form.tree_bytes
        cost = network.sample_cost
        return cls(model, samples, batch, cost, needed, form, returns_data, layers, state)

    @property
    def cost(self) -> int:
        """Multiply-adds."""
        return self.batch * self.sample_cost

    @property
    def bytes_needed(self) -> int:
        """Model and input, what one group of samples takes on its way, outputs and their tree."""
        return self.working_bytes

    @property
    def form(self) -> MatrixForm:
        """The outputs'."""
        return self.outputs

    def matrix(self, device: Device) -> Integers:
        """Compute the outputs, by the device's products."""
        network, batch = self._read()
        layers = self.layers

        def run(batch: Activations) -> Integers:
            if layers and isinstance(network, Graph):
                return forward_layers(network, batch, device)
            return forward(network, batch, device)

        if isinstance(network, Graph) and network.states:
            return run_stream(network, batch, self._start(network), run)
        return run(batch)

    def whole(self, jobs: WholeJobs) -> Made | None:
        """Outputs and tree; the model is known by its hash. Streams are not computed like this."""
        network, batch = self._read()
        if isinstance(network, Graph) and network.states:
            return None
        return jobs.infer(self.model.sha256, network, batch, layers=self.layers)

    @property
    def goes_with(self) -> tuple[bytes, bool]:
        """Equal for works whose samples may run together: they have one model."""
        return self.model.sha256, self.layers

    @staticmethod
    def run_together(works: "Sequence[InferenceWork]", device: Device) -> list[Outcome]:
        """Return the outcome of each, their samples run as one batch, and keep their trees.

        The bits are those that each has by itself. Raises what `run` raises of any of them.
        """
        network = _network(works[0].model)
        streams = isinstance(network, Graph) and bool(network.states)
        if streams or device.whole_jobs() is not None:  # which hashes on the card, too
            return [work.run(device) for work in works]
        require_bytes(_("a batch of jobs"), sum(work.bytes_needed for work in works))
        whole = Data.of_bytes(b"".join(work.input.read() for work in works))
        first, batch = works[0], sum(work.batch for work in works)
        rows = replace(first, input=whole, batch=batch).matrix(device)
        cuts = np.cumsum([work.batch for work in works])[:-1]
        parts = zip(works, np.split(rows, cuts), strict=True)
        return [work.keep(device, *work.committed(part)) for work, part in parts]

    def check_matrix(self, matrix: Integers, seed: bytes) -> Checked:
        """Compute a few samples again, drawn from the seed, as long as that stays cheap.

        Where the layers were committed to, samples are checked layer by layer instead: as many as
        LAYERS_COST allows, and at least one. Of a stream STREAM_COST allows.
        """
        try:
            return self._check_rows(_network(self.model), matrix, seed)
        except WrongResult:
            self.input.read()  # if it is another file, the worker is not to blame
            raise

    def _check_rows(self, network: Network | Graph, matrix: Integers, seed: bytes) -> Checked:
        held = isinstance(network, Graph) and bool(network.states)
        if self.layers and isinstance(network, Graph):
            count = max(1, LAYERS_COST // check_cost(network))
        else:
            count = STREAM_COST // network.sample_cost if held else self._affordable(network)
        drawn = draw(seed, self.batch, min(self.batch, count))
        samples = self._some(network, drawn)
        if isinstance(network, Graph) and network.states:
            batch = self._read()[1]
            samples = samples_with_states(network, batch, self._start(network), matrix)[drawn]
        if self.layers and isinstance(network, Graph):
            check_layers(network, samples, matrix[drawn], SeededBytes(seed), self.layer_share)
            return Checked("layers", tuple(drawn))
        if drawn:
            _require_equal(network, samples, matrix[drawn])
        return Checked("samples" if drawn else "hash", tuple(drawn))

    def _affordable(self, network: Network | Graph) -> int:
        """Return how many samples are computed again, at most."""
        count, cost = min(self.samples, self.batch), network.sample_cost
        if count * cost <= SPOT_COST or not isinstance(network, Graph):
            return min(count, SPOT_COST // cost)
        allowed = COMPILED_COST if is_compiled(network, self._some(network, [0])) else SPOT_COST
        return min(count, allowed // cost)

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves are the result's; a worker is not blamed before numpy was asked."""
        try:
            MatrixResult.check_leaves(self, result_hash, leaves, siblings)
        except WrongResult:
            network = _network(self.model)
            self.input.read()  # as above
            if not isinstance(network, Graph) or not is_compiled(network, self._some(network, [0])):
                raise
            self.form.check_entries(result_hash, self.leaf_entries(leaves, by_numpy), siblings)

    def layer_roots(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Return node, first column, columns and root of each layer that the result commits to."""
        network = _network(self.model)
        if not self.layers or not isinstance(network, Graph):
            return []
        layers = columns_of_layers(network)
        roots = layer_roots(layers, self.form.entries(data))
        return [
            (one.node, one.first, one.count, root) for one, root in zip(layers, roots, strict=True)
        ]

    def leaf_entries(
        self, leaves: Sequence[int], compute: Compute = compute_again
    ) -> dict[int, Integers]:
        """Their samples are computed again."""
        places = {leaf: self.form.leaf_place(leaf) for leaf in leaves}
        rows = self._again(sorted({sample for sample, _, _ in places.values()}), compute)
        entries: dict[int, Integers] = {}
        for sample, row in rows:  # one at a time: with layers a row has up to 44 MB
            its = {leaf: place for leaf, place in places.items() if place[0] == sample}
            entries |= {leaf: row[first:last].copy() for leaf, (_, first, last) in its.items()}
        return entries

    def _again(self, samples: Sequence[int], compute: Compute) -> Iterator[tuple[int, Integers]]:
        """Yield these rows; those of a stream are computed from its beginning on."""
        network = _network(self.model)
        if not isinstance(network, Graph):
            yield from (
                (i, reference.forward(network, self._some(network, [i]))[0]) for i in samples
            )
            return

        def run(some: Activations) -> Integers:
            return compute(network, some, layers=self.layers)

        if network.states:
            batch = self._read()[1][: max(samples) + 1]
            whole = run_stream(network, batch, self._start(network), run)
            yield from ((i, whole[i]) for i in samples)
            return
        yield from ((i, run(self._some(network, [i]))[0]) for i in samples)

    def _some(self, network: Network | Graph, places: Sequence[int]) -> Activations:
        """Return these samples, not compared with the input's hash: a job may have many more."""
        size = self.input.size // self.batch
        parts = [self.input.read_part(size * place, size) for place in places]
        return np.frombuffer(b"".join(parts), np.int8).reshape(len(places), *network.input_shape)

    def _start(self, network: Graph) -> Activations:
        if self.state is None:
            return start_of(network)
        return np.frombuffer(self.state.read(), np.int8)

    def _read(self) -> tuple[Network | Graph, Activations]:
        network = _network(self.model)
        samples = np.frombuffer(self.input.read(), np.int8)
        return network, samples.reshape(self.batch, *network.input_shape)


def _require_equal(network: Network | Graph, samples: Activations, rows: Integers) -> None:
    """Raise WrongResult unless these are the samples' outputs: a worker is not blamed before numpy."""
    if isinstance(network, Graph):
        if np.array_equal(compute_again(network, samples, layers=False), rows):
            return
        right = by_numpy(network, samples, layers=False)
    else:
        right = np.concatenate([reference.forward(network, one[np.newaxis]) for one in samples])
    if not np.array_equal(right, rows):
        raise WrongResult(_("a sample, computed again, has another output"))


def _network(model: Data) -> Network | Graph:
    """Return a model; the last ones stay decoded, and with them what devices made of them."""
    with _LOCK:
        kept = _KEPT.pop(model.sha256, None)
    network = decode_network(model.read()) if kept is None else kept
    with _LOCK:
        _KEPT[model.sha256] = network
        while len(_KEPT) > MOST_MODELS:
            del _KEPT[next(iter(_KEPT))]
    return network


_LOCK = threading.Lock()
_KEPT: dict[bytes, Network | Graph] = {}
