"""The known-answer test passes what computes right, and finds each of these villains."""

import numpy as np
import pytest

from kernels.device import Commitment
from kernels.errors import WrongResult
from kernels.host import HostDevice
from kernels.known_answer import known_answer_test
from kernels.operations import REFERENCE, Reference
from kernels.product import reference as product
from kernels.task import Task


class SwappedOperand(Reference):
    """Reads the key's words in the wrong order."""

    def expand_rows(self, operand, rows, out):
        super().expand_rows(operand._replace(key0=operand.key1, key1=operand.key0), rows, out)


class OneBitOff(Reference):
    def multiply_fold(self, R, B, out):
        super().multiply_fold(R, B, out)
        out[-1, -1] ^= 1


class WithoutFold(Reference):
    def multiply_fold(self, R, B, out):
        out[:] = (R.astype(np.int64) @ B.astype(np.int64).T).astype(np.int8)


class UnsignedFold(Reference):
    def multiply_fold(self, R, B, out):
        C = R.astype(np.int64) @ B.astype(np.int64).T
        out[:] = (C ^ ((C & 0xFFFF) >> 9)).astype(np.int8)


class SixteenBitSums(Reference):
    """Saturates where int32 would not."""

    def multiply_fold(self, R, B, out):
        C = np.clip(R.astype(np.int64) @ B.astype(np.int64).T, -(2**15), 2**15 - 1)
        out[:] = product.fold(C.astype(np.int32))


class ForgetsAfter512(Reference):
    """Right as long as k fits into one block of the fast kernels."""

    def multiply_fold(self, R, B, out):
        super().multiply_fold(R[:, :512], B[:, :512], out)


class LastLeafPadded(Reference):
    def hash_leaves(self, R, out):
        super().hash_leaves(np.pad(R, ((0, 0), (0, -R.shape[1] % 256))), out)


class OddNodePairedWithItself(Reference):
    def hash_level(self, nodes, out):
        super().hash_level(np.concatenate([nodes, nodes[-1:]]) if len(nodes) % 2 else nodes, out)


VILLAINS = [
    SwappedOperand,
    OneBitOff,
    WithoutFold,
    UnsignedFold,
    SixteenBitSums,
    ForgetsAfter512,
    LastLeafPadded,
    OddNodePairedWithItself,
]


class OneIteration(HostDevice):
    """Does as if every task had one iteration."""

    def compute(self, task: Task) -> Commitment:
        return super().compute(Task(task.seed, task.n, 1))


class RightOnlyWhenSmall(HostDevice):
    """Lies from size 300 on."""

    def compute(self, task: Task) -> Commitment:
        commitment = super().compute(task)
        if task.n >= 300:
            commitment.root = commitment.root[:-1] + bytes([commitment.root[-1] ^ 1])
        return commitment


def test_honest_devices_pass(cpu, reference):
    known_answer_test(cpu)
    known_answer_test(reference)
    with HostDevice(REFERENCE, threads=1) as device:
        known_answer_test(device)


@pytest.mark.parametrize("wrong", VILLAINS)
def test_wrong_operations_are_found(wrong):
    with HostDevice(wrong(), threads=1) as device, pytest.raises(WrongResult, match="reference"):
        known_answer_test(device)


@pytest.mark.parametrize("kind", [OneIteration, RightOnlyWhenSmall])
def test_liars_are_found(kind):
    with kind(REFERENCE, threads=1) as device, pytest.raises(WrongResult):
        known_answer_test(device)
