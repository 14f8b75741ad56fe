"""Commit: leaves and nodes of the tree over the result (section 4 of the specification).

`reference.py` and `cpu.py` both have a `hash_leaves` and a `hash_level` of the shapes below;
`tree.py` knows the tree's form, and hashes nothing by the thousand.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int8]
Digests = npt.NDArray[np.uint8]
"""m x 32, one digest a row."""


class HashLeaves(Protocol):
    """Fill `out` with the digests of the leaves of whole rows R, m x n, in the leaves' order."""

    def __call__(self, R: Matrix, out: Digests, /) -> None:
        """`out` has m * ceil(n / 256) digests."""


class HashLevel(Protocol):
    """Fill `out`, ceil(m / 2) digests, with the parents of m nodes; an odd last one moves up."""

    def __call__(self, nodes: Digests, out: Digests, /) -> None:
        """Every digest of `out` is written."""
