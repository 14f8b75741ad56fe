"""Tasks on CPUs, by kernels that Numba compiles for this machine's instructions.

Read `operations.py`, then what it is made of: `philox.py` (expand), `product/`, `commit/`. Below them
`ir.py` and `jit.py` (LLVM from Python, compiled and kept as files), `features.py` (what this CPU can).
"""
