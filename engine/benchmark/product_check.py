"""Whether the products that are timed are right, every element of them.

Up to NUMPY_UP_TO the reference is numpy's float64 product, which is exact there; above it is cuBLASLt's
C. Every buffer is overwritten before the product that is to fill it, so what is not written is found.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.benchmark.contender import Contender, Replay
from engine.benchmark.product_table import CUBLASLT, INT32, OURS
from engine.benchmark.products import Operands
from kernels.cuda.driver import DeviceBuffer, Stream

NUMPY, THEIRS, NONE = "numpy", "cuBLASLt, int32", ""
NUMPY_UP_TO = 2048
_POISON = 0x5A5A5A5A

Ready = Sequence[tuple[Contender, Replay]]
Verdict = tuple[str, int | None]
"""What it was compared with, and how many 32-bit words differ; NONE and None where with nothing."""


def compare(operands: Operands, ready: Ready) -> list[Verdict]:
    """Run every contender's variant once more and compare what it wrote."""
    verdicts: dict[int, Verdict] = {}
    stream = Stream()
    reference, source = _Reference(operands, stream), NONE
    # cuBLASLt's int32 comes first, as the reference; its fold, which overwrites C, last.
    for number in sorted(range(len(ready)), key=lambda one: _order(ready[one][0])):
        contender, replay = ready[number]
        if contender.run is None:
            continue
        if source == NONE and operands.n <= NUMPY_UP_TO:
            reference.take_numpy()
            source = NUMPY
        for buffer in (operands.c, operands.r, operands.plain_r):
            _poison(stream, buffer)
        if contender.name == CUBLASLT:
            _poison(stream, operands.plain_c)
        contender.run(replay.variant, stream)
        stream.wait()
        if source == NONE and (contender.name, contender.output) == (CUBLASLT, INT32):
            reference.take_theirs()
            source = THEIRS
        elif source != NONE:
            verdicts[number] = source, reference.differences(contender)
    stream.close()
    return [verdicts.get(number, (NONE, None)) for number in range(len(ready))]


def _order(contender: Contender) -> int:
    if contender.name == CUBLASLT:
        return 0 if contender.output == INT32 else 2
    return 1


def _poison(stream: Stream, buffer: DeviceBuffer) -> None:
    stream.clear(buffer.address, buffer.size // 4, _POISON)


class _Reference:
    """C and its fold. cuBLASLt's C stays where it is; numpy's takes its place where there is one."""

    def __init__(self, operands: Operands, stream: Stream) -> None:
        self._o, self._stream = operands, stream
        self._numpy: NDArray[np.int32] | None = None

    def take_numpy(self) -> None:
        o, shape = self._o, (self._o.n, self._o.n)
        a, b = (x.to_host(np.int8).reshape(shape).astype(float) for x in (o.plain_a, o.plain_b))
        self._numpy = np.rint(a @ b.T).astype(np.int32)
        folded = ((self._numpy ^ (self._numpy >> 8)) & 0xFF).astype(np.uint8)
        o.reference_r.from_host(folded)

    def take_theirs(self) -> None:
        o = self._o
        o.fold(self._stream, o.plain_c.address, o.reference_r.address, o.n * o.n)
        self._stream.wait()

    def differences(self, contender: Contender) -> int:
        """Return how many words of what it wrote differ."""
        o, n = self._o, self._o.n
        if contender.output != INT32:
            if contender.name == OURS:
                o.unpack(self._stream, o.r, o.plain_r)
                self._stream.wait()
            return o.differences(o.plain_r.address, o.reference_r.address, n, n)
        if self._numpy is not None:
            buffer, P = (o.c, o.P) if contender.name == OURS else (o.plain_c, n)
            found = buffer.to_host(np.int32).reshape(P, P)[:n, :n]
            return int(np.count_nonzero(found != self._numpy))
        return o.differences(o.c.address, o.plain_c.address, 4 * n, 4 * o.P)
