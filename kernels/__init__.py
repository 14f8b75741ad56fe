"""The arithmetic of `matrix_mult_v1` and of other jobs: arrays in, arrays and digests out.

    from kernels.devices import open_device
    from kernels.task import Task

    with open_device("cpu") as device:
        commitment = device.compute(Task(seed, 1024))
        commitment.root, commitment.proof(16)

No chain, no network, no processes. One operation a package (`expand`, `product`, `commit`): what it
is, and a plain `reference.py` in numpy. The fast ones are two wings of their own, `cpu` and `cuda`;
`operations.py` is what a host device computes with, and a device strings the three together. Only
the fast ones import numba, and only `devices.py` chooses one. What else a device can be given than
a task is in `work`: a product of two given matrices, or samples for an integer-only `network`.
"""
