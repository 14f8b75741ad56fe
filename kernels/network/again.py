"""Samples computed again, to be compared with a result: compiled where that is worth it, else in numpy.

    rows = compute_again(graph, samples, layers=False)      # a row of outputs for each sample
    rows = compute_again(graph, samples, layers=True)       # `run_layers`

A graph's compiled program is believed after it gave what numpy gives for the first sample that was
asked for. Numpy takes some 200 times as long; whoever blames a worker asks it, too (`by_numpy`).
"""

import sys
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from kernels.network import Activations
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import layer_columns, run_layers
from kernels.network.graph.run import Rows, run_graph

if TYPE_CHECKING:
    from kernels.cpu.network.runner import Runner

WORTH = 1 << 23
"""Multiply-adds from which on Numba, half a second to load, is loaded for it."""


def compute_again(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    """Return a row for each sample: outputs, or with `layers` the sums of each product, too, int32."""
    flat = samples.reshape(len(samples), -1)
    worth = "numba" in sys.modules or graph.sample_cost * len(flat) >= WORTH
    if len(flat) == 0 or not worth:
        return by_numpy(graph, flat, layers=layers)
    with _LOCK:  # a runner is for one caller at a time
        runner = _runner(graph, flat[:1])
        if runner is not None:
            return _run(runner, graph, flat, layers=layers)
    return by_numpy(graph, flat, layers=layers)


def is_compiled(graph: Graph, sample: Activations) -> bool:
    """Return whether `compute_again` has a compiled program for it; `sample`, 1 x shape, tries it."""
    with _LOCK:
        return _runner(graph, sample.reshape(1, -1)) is not None


def by_numpy(graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    """Return the same, wholly in numpy; one sample at a time, since it computes in doubles."""
    if layers:
        return run_layers(graph, samples, REFERENCE, group=1)
    return run_graph(graph, samples, REFERENCE, group=1)


def _runner(graph: Graph, sample: Activations) -> "Runner | None":
    if graph not in _KEPT:
        _KEPT[graph] = _tried(graph, sample)
    return _KEPT[graph]


def _run(runner: "Runner", graph: Graph, samples: Activations, *, layers: bool) -> Rows:
    if not layers:
        return runner.run(samples)
    rows = np.empty((len(samples), graph.columns + layer_columns(graph)), np.int32)
    rows[:, : graph.columns] = runner.run(samples, rows[:, graph.columns :])
    return rows


def _tried(graph: Graph, sample: Activations) -> "Runner | None":
    """Return the graph's program, if there is one, and it gives numpy's row for this sample."""
    from kernels.cpu.network.dots import usable_dots
    from kernels.cpu.network.runner import prepare
    from kernels.team import Team

    ways = usable_dots()
    runner = prepare(graph, ways[0].name, Team(1)) if ways else None
    if runner is None:
        return None
    wanted = by_numpy(graph, sample, layers=True)
    return runner if np.array_equal(_run(runner, graph, sample, layers=True), wanted) else None


_LOCK = threading.Lock()
_KEPT: "WeakKeyDictionary[Graph, Runner | None]" = WeakKeyDictionary()
