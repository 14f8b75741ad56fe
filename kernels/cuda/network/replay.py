"""A batch of a model that comes again and again: everything is recorded once, then one launch does it.

    replay = Replay(model, graph, count=64, group=64, layers=False)
    matrix, tree = replay.run(samples)

Launched one by one a small network takes the host longer than the card. The memory that the launches
use is the recording's, and a tree is copied out of it, since it must outlive the next batch.
"""

import numpy as np
import numpy.typing as npt

from kernels.cuda.network.commitment import Hashed, launch_tree
from kernels.cuda.network.model import Model
from kernels.cuda.network.run import CardRows, Inputs, launch
from kernels.device import Made
from kernels.network.graph.graph import Graph


class Replay:
    """For `count` samples; the same was run before, so that weights and plans are on the card."""

    def __init__(self, model: Model, graph: Graph, count: int, group: int, *, layers: bool) -> None:
        """Raises CannotRecord, TaskTooLarge."""
        self._model, self._graph, self._layers = model, graph, layers
        self._inputs = Inputs(model.machine, graph, count, group)
        self._rows: CardRows | None = None
        self._hashed: Hashed | None = None
        self._recording = model.machine.record(self._launch)

    def run(self, samples: npt.NDArray[np.int8]) -> Made:
        """Return the rows and their tree. Raises TaskTooLarge, DeviceFault."""
        assert self._rows is not None
        assert self._hashed is not None
        self._inputs.write(samples)
        self._recording.replay()
        tree = self._hashed.fetch(copied=True)
        return self._rows.to_host(), tree

    def _launch(self) -> None:
        self._rows = launch(self._model, self._graph, self._inputs, layers=self._layers)
        self._hashed = launch_tree(self._rows)
