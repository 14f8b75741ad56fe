"""The interface of a graph that a device has made ready: all of it is computed in one go."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels.network import Activations
from kernels.network.graph.kernels import Sums


class Prepared(Protocol):
    """Gives the bits of run.py and layers.py, without going through operators one by one."""

    def run(self, samples: Activations, sums: Sums | None = None) -> npt.NDArray[np.int8]:
        """Return the outputs, N x columns, of samples, N x bytes of a sample.

        `sums`, N x (sums of all product layers), is filled with them where it is given.
        """
