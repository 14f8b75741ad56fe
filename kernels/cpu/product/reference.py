"""What a microkernel computes, in numpy: to be read first, and to hold the fast ones against."""

import numpy as np
import numpy.typing as npt

from kernels.cpu.product.microkernel import PANEL
from kernels.product import Matrix, Sums

Quads = npt.NDArray[np.int32]
"""One panel of B, [K / 4][32]: an int32 holds 4 neighbours along k, the first in its lowest byte."""


def pack_quads(rows: Matrix) -> Quads:
    """Rows of B, 32 x K, as a panel."""
    quads = np.ascontiguousarray(rows).view("<i4")
    return np.ascontiguousarray(quads.T)


def multiply_panel(A: Matrix, panel: Quads) -> Sums:
    """C, 32 x 32, from rows of A, 32 x K, and a panel of B, quad by quad, as the microkernels do."""
    C = np.zeros((PANEL, PANEL), np.int32)
    for quad, line in enumerate(panel):
        a = A[:, 4 * quad : 4 * quad + 4].astype(np.int32)
        b = line[:, np.newaxis].view(np.int8).astype(np.int32)
        C += a @ b.T
    return C
