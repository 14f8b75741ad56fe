"""A card of numpy arrays: kernels run under the CUDA simulator, one thread each; products in numpy.

The product's own kernels are tested in test_product_sim.py and on cards.
"""

import numpy as np

from kernels.cuda.network.kernel import NUMBER
from kernels.cuda.network.machine import SLACK, Block, CardSums, Machine, Right
from kernels.network.graph import reference

PITCH = 16
"""Sums have gaps between their rows, as they have on a card."""


class Memory(Block):
    def __init__(self, size):
        self.size = -(-max(size, 1) // SLACK) * SLACK
        self.bytes = np.full(self.size, 0x5A, np.uint8)  # what is not written is seen


class SimulatedRight(Right):
    def __init__(self, rows):
        (self.n, self.k), self.rows = rows.shape, rows


class SimulatedMachine(Machine):
    """`launched`: names of kernels; `uploaded`: bytes that came from the host."""

    tree_threads, tree_lanes = 4, 2
    free_bytes = 1 << 30

    def __init__(self):
        self.launched = set()
        self.uploaded = 0

    def empty(self, size):
        return Memory(size)

    def write(self, block, array):
        content = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        block.bytes[: content.size] = content
        self.uploaded += content.size

    def read(self, block, rows, row_bytes, pitch):
        starts = np.arange(rows)[:, None] * pitch
        return block.bytes[starts + np.arange(row_bytes)]

    def launch(self, kernel, count, *arguments):
        assert len(arguments) == len(kernel.kinds)
        assert count == arguments[-1]
        self.launched.add(kernel.name)
        given = [
            np.int64(value) if kind == NUMBER else value.bytes.view(f"<{kind[:2]}")
            for kind, value in zip(kernel.kinds, arguments, strict=True)
        ]
        kernel.kernel[1, 1](*given)

    def launch_grid(self, kernel, grid, threads, *arguments):
        self.launched.add(kernel.__name__)
        given = [x.bytes.view(np.uint32) if isinstance(x, Block) else x for x in arguments]
        kernel[grid, threads](*given)

    def right(self, rows):
        return SimulatedRight(self.download(rows))

    def multiply(self, A, B):
        C = reference.multiply(self.download(A), B.rows)
        pitch = -(-B.n // PITCH) * PITCH + PITCH
        block = self.empty(4 * len(C) * pitch)
        block.bytes.view(np.int32).reshape(len(C), pitch)[:, : B.n] = C
        return CardSums(block, len(C), B.n, pitch)

    def wait(self):
        pass

    def trim(self):
        pass
