"""Commit on the device: leaves from the tiles of R, and the tree over them, whose root is the result.

`plan(n)` in `plan.py` says which kernels to launch, and documents their buffers.
"""
