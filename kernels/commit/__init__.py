"""Commit: leaves and nodes of the tree over the result (section 4 of the specification).

`reference.py` hashes with hashlib, `kernels.cpu.commit` many messages at once; `sha256.py` is SHA-256
written down; `tree.py` knows the tree's form, and hashes nothing by the thousand.
"""

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int8]
Digests = npt.NDArray[np.uint8]
"""m x 32, one digest a row."""
