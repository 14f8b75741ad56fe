"""Expand: rows of A or B from the seed (section 2 of the specification).

`reference.py` has it in numpy, `kernels.cpu.philox` in vectors. Which stream of random numbers an
operand is, its `Operand` says (`kernels.task`).
"""

import numpy as np
import numpy.typing as npt

from kernels.task import Operand as Operand
from kernels.task import operands as operands

Matrix = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]
