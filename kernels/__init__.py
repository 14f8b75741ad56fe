"""The arithmetic of `matrix_mult_v1` and of other jobs: arrays in, arrays and digests out.

Compute and verify a task in five lines:

    >>> from kernels.check import check_proof
    >>> from kernels.devices import open_device
    >>> from kernels.task import Task
    >>> task = Task(seed=bytes(range(32)), n=64)
    >>> with open_device("reference") as device:  # or "cpu", "cuda:0", "auto"
    ...     commitment = device.compute(task)
    >>> root, proof = commitment.root, commitment.proof(16)
    >>> check_proof(task, root, proof, least_openings=16)  # raises, unless the proof fits the root
    >>> root.hex()
    'd88d88cc9862587e2657efa8597ce2ecb7a3aa098e73f0ae869efe4b4bddc883'

It knows no chain, no sockets and no processes. Each operation of a task is a package that says what it
is and has a plain `reference.py` in numpy, to be read beside the specification: `expand`, `product`,
`commit`. Two more packages have them fast, `cpu` and `cuda`; besides them only `network.cpu` imports
numba. Read in this order:

    task, expand, product, commit    what is computed
    proof, check                     how a result is proven and verified
    operations, host, device         what a device computes with; a device of this machine's CPU
    devices                          chooses a device by name; the only module that imports `cuda`
    work, network                    other jobs: given matrices, and integer-only neural networks
    cpu, cuda                        the fast operations
"""
