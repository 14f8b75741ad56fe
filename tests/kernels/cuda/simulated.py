"""A card of numpy arrays: kernels run under the CUDA simulator, one thread each; products in numpy.

The product's own kernels are tested in test_product_sim.py and on cards.
"""

import numpy as np

from kernels.cuda.network.kernel import NUMBER, WORDS
from kernels.cuda.network.machine import (
    SLACK,
    Block,
    CannotRecord,
    CardSums,
    Machine,
    Recording,
    Right,
)
from kernels.network.graph import reference

VIEWS = {WORDS: "<u4"}
PITCH = 16
"""Sums have gaps between their rows, as they have on a card."""


class Memory(Block):
    def __init__(self, size):
        self.size = -(-max(size, 1) // SLACK) * SLACK
        self.bytes = np.full(self.size, 0x5A, np.uint8)  # what is not written is seen


class SimulatedRight(Right):
    def __init__(self, rows):
        (self.n, self.k), self.rows = rows.shape, rows


class SimulatedRecording(Recording):
    def __init__(self, steps):
        self.steps = steps

    def replay(self):
        for step in self.steps:
            step()


class SimulatedMachine(Machine):
    """`launched`: names of kernels; `uploaded`: bytes that came from the host; `recorded`: batches."""

    tree_threads, tree_lanes = 4, 2
    free_bytes = 1 << 30

    def __init__(self):
        self.launched = set()
        self.uploaded = self.recorded = 0
        self.steps = None

    def do(self, step):
        """At once, or whenever it is replayed."""
        if self.steps is None:
            step()
        else:
            self.steps.append(step)

    def record(self, work):
        self.steps = steps = []
        try:
            work()
        finally:
            self.steps = None
        self.recorded += 1
        return SimulatedRecording(steps)

    def empty(self, size):
        return Memory(size)

    def copy(self, block, size):
        made = self.empty(size)
        made.bytes[:size] = block.bytes[:size]
        return made

    def write(self, block, array):
        if self.steps is not None:
            raise CannotRecord
        content = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        block.bytes[: content.size] = content
        self.uploaded += content.size

    def read(self, block, rows, row_bytes, pitch):
        if self.steps is not None:
            raise CannotRecord
        starts = np.arange(rows)[:, None] * pitch
        return block.bytes[starts + np.arange(row_bytes)]

    def launch(self, kernel, count, *arguments):
        assert len(arguments) == len(kernel.kinds)
        assert count == arguments[-1]
        self.launched.add(kernel.name)
        given = [
            np.int64(value) if kind == NUMBER else value.bytes.view(VIEWS.get(kind, f"<{kind[:2]}"))
            for kind, value in zip(kernel.kinds, arguments, strict=True)
        ]
        self.do(lambda: kernel.kernel[1, 1](*given))

    def launch_grid(self, kernel, grid, threads, *arguments):
        self.launched.add(kernel.__name__)
        given = [x.bytes.view(np.uint32) if isinstance(x, Block) else x for x in arguments]
        self.do(lambda: kernel[grid, threads](*given))

    def right(self, rows):
        return SimulatedRight(self.download(rows))

    def multiply(self, A, B):
        m, pitch = A.shape[0], -(-B.n // PITCH) * PITCH + PITCH
        block = self.empty(4 * m * pitch)

        def product():
            left = A.block.bytes[: A.count].view(np.int8).reshape(A.shape)
            C = block.bytes[: 4 * m * pitch].view(np.int32).reshape(m, pitch)
            C[:, : B.n] = reference.multiply(left, B.rows)

        self.do(product)
        return CardSums(block, m, B.n, pitch)

    def wait(self):
        pass

    def trim(self):
        pass
