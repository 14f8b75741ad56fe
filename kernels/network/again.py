"""Samples computed again, to be compared with a result: compiled where that is worth it, else in numpy.

    rows = compute_again(graph, samples, layers=False)      # a row of outputs for each sample
    rows = compute_again(graph, samples, layers=True)       # `run_layers`

A graph is one compiled program, or, where it has operators that programs lack, computed operator by
operator with compiled products. Either is believed after it gave what numpy gives for the first sample
that was asked for. Numpy takes some 200 times as long as a program; who blames a worker asks it, too.
"""

import sys
import threading
from functools import cache
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from kernels.network import Activations
from kernels.network.fast import group_size
from kernels.network.graph.backend import REFERENCE, Backend, fast
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import layer_columns, run_layers
from kernels.network.graph.run import Rows, run_graph

WORTH = 1 << 23
"""Multiply-adds from which on Numba, half a second to load, is loaded for it."""


def compute_again(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    """Return a row for each sample: outputs, or with `layers` the sums of each product, too, int32."""
    flat = samples.reshape(len(samples), -1)
    worth = "numba" in sys.modules or graph.sample_cost * len(flat) >= WORTH
    if len(flat) == 0 or not worth:
        return by_numpy(graph, flat, layers=layers)
    with _LOCK:  # a runner, or a device, is for one caller at a time
        compiled = _compiled(graph, flat[:1])
        if compiled is not None:
            return compiled(graph, flat, layers=layers)
    return by_numpy(graph, flat, layers=layers)


def is_compiled(graph: Graph, sample: Activations) -> bool:
    """Return whether `compute_again` does not ask numpy; `sample`, 1 x shape, tries what it asks."""
    with _LOCK:
        return _compiled(graph, sample.reshape(1, -1)) is not None


def by_numpy(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    """Return the same, wholly in numpy; one sample at a time, since it computes in doubles."""
    if layers:
        return run_layers(graph, samples, REFERENCE, group=1)
    return run_graph(graph, samples, REFERENCE, group=1)


def _compiled(graph: Graph, sample: Activations) -> "Compute | None":
    if graph not in _KEPT:
        made = _program(graph) or _by_kernels
        wanted = by_numpy(graph, sample, layers=True)
        _KEPT[graph] = made if np.array_equal(made(graph, sample, layers=True), wanted) else None
    return _KEPT[graph]


def _program(graph: Graph) -> "Compute | None":
    """Return what runs the graph as one program, if it can be one."""
    from kernels.cpu.network.dots import usable_dots
    from kernels.cpu.network.runner import prepare
    from kernels.team import Team

    ways = usable_dots()
    runner = prepare(graph, ways[0].name, Team(1)) if ways else None
    if runner is None:
        return None

    def run(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
        if not layers:
            return runner.run(samples)
        rows = np.empty((len(samples), graph.columns + layer_columns(graph)), np.int32)
        rows[:, : graph.columns] = runner.run(samples, rows[:, graph.columns :])
        return rows

    return run


def _by_kernels(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    """Run it operator by operator, with the CPU's compiled products."""
    run = run_layers if layers else run_graph
    return run(graph, samples, compiled_backend(), group_size(graph))


@cache
def compiled_backend() -> Backend:
    """Return the CPU's compiled operators, on one thread."""
    from kernels.devices import open_device

    return fast(open_device("cpu", threads=1))


class Compute(Protocol):
    """Computes rows of a graph's samples. It does not keep the graph, by which it is found."""

    def __call__(self, graph: Graph, samples: Activations, /, *, layers: bool) -> Rows:
        """See `compute_again`."""


_LOCK = threading.Lock()
_KEPT: "WeakKeyDictionary[Graph, Compute | None]" = WeakKeyDictionary()
