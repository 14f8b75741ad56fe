"""The compiler of the kernels, chosen once: numba-cuda, or numba-cuda-mlir with CPC_CUDA_COMPILER=mlir.

numba-cuda is in maintenance, and numba-cuda-mlir its successor. Kernels take from here what both have:
`cuda` and the integer types. How instructions get into a kernel differs, and `ptx.py` knows it.
numba-cuda-mlir has no simulator, and `CompiledKernel` does not launch what it makes: the switch is for
`bench.registers`, which compiles every kernel without a card.
"""

import importlib
import os
from typing import Any

MLIR = os.environ.get("CPC_CUDA_COMPILER") == "mlir"
SIMULATED = False

if MLIR:
    cuda: Any = importlib.import_module("numba_cuda_mlir.cuda")
    types: Any = cuda.types
else:
    from numba import config
    from numba import cuda as numba_cuda

    cuda = numba_cuda
    SIMULATED = bool(config.ENABLE_CUDASIM)
    types = importlib.import_module("numba.types" if SIMULATED else "numba.cuda.types")

int8, int32, int64, uint32 = types.int8, types.int32, types.int64, types.uint32
