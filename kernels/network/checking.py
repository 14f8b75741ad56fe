"""The check of committed layers, compiled where that is worth it, else in numpy: one answer."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from gettext import gettext as _
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from kernels.errors import WrongResult
from kernels.network import Activations
from kernels.network.again import compiled_backend
from kernels.network.graph import layers
from kernels.network.graph.graph import Graph
from kernels.network.graph.parts import Part, Units
from kernels.network.graph.run import Rows

if TYPE_CHECKING:
    from kernels.cpu.network.checker import Checker

WORTH = 1 << 23
"""Cost of a check from which on Numba, half a second to load, is loaded for it."""


def check_layers(
    graph: Graph,
    samples: Activations,
    rows: Rows,
    random_bytes: Callable[[int], bytes] = os.urandom,
    share: float = 1.0,
) -> None:
    """Raise WrongResult where a row is not what `run_layers` gives for its sample.

    `share`: of the layers of each sample, drawn (graph/parts.py), as many are looked at.
    """
    parts = _units(graph).drawn(len(samples), share, random_bytes)
    compiled = _checker(graph, len(samples))
    if compiled is None:
        _check_by_operators(graph, samples, rows, random_bytes, parts if share < 1 else None)
        return
    flat = samples.reshape(len(samples), -1)
    place = compiled.wrong(flat, rows.astype("i4", copy=False), random_bytes, parts)
    if place == -1:
        raise WrongResult(_("the outputs are not what follows from the layers"))
    if place is not None:
        node = graph.nodes[place]
        reason = _("the product fails Freivalds' check: some entry is wrong")
        raise WrongResult(f"{place} ({node.name or node.operator.op}): {reason}")


def _check_by_operators(
    graph: Graph,
    samples: Activations,
    rows: Rows,
    random_bytes: Callable[[int], bytes],
    parts: Sequence[Part] | None,
) -> None:
    """Check with the CPU's compiled operators; before somebody is blamed, in numpy."""
    if not _is_worth(graph, len(samples)):
        layers.check_layers(graph, samples, rows, random_bytes, parts)
        return
    try:
        layers.check_layers(graph, samples, rows, random_bytes, parts, compiled_backend())
    except WrongResult:
        layers.check_layers(graph, samples, rows, os.urandom, parts)


def _is_worth(graph: Graph, samples: int) -> bool:
    return "numba" in sys.modules or layers.check_cost(graph) * samples >= WORTH


def _units(graph: Graph) -> Units:
    with _LOCK:
        if graph not in _UNITS:
            _UNITS[graph] = Units(graph)
        return _UNITS[graph]


def _checker(graph: Graph, samples: int) -> "Checker | None":
    with _LOCK:
        if graph in _KEPT:
            return _KEPT[graph]
        if not _is_worth(graph, samples):
            return None
        from kernels.cpu.network.checker import checker

        return _KEPT.setdefault(graph, checker(graph))


_LOCK = threading.Lock()
_KEPT: "WeakKeyDictionary[Graph, Checker | None]" = WeakKeyDictionary()
_UNITS: "WeakKeyDictionary[Graph, Units]" = WeakKeyDictionary()
