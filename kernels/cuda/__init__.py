"""Tasks on NVIDIA GPUs, through numba.cuda and the CUDA driver.

Read `layout.py` (how matrices lie in device memory), `product/` (the product, by tiers; `launch.py`
describes a kernel), `expand.py`, `commit/` and `check.py` (Freivalds' check), then from one task
outwards: `stages.py`, `task_graph.py`, `device.py`; `multiply.py` for customers' products. Below them:
`card.py` and `driver.py` (the CUDA driver), `kernel_cache.py`, `compiled_kernel.py`, `cubin_cache.py`
(compiled once, kept as files), `tuning.py`. Assembly gets into a kernel through `ptx.py` alone;
`intrinsics.py` are its 32-bit words.

Everything that says in Python what its instructions mean runs under numba's CUDA simulator, too
(NUMBA_ENABLE_CUDASIM=1).
"""
