"""The known-answer test passes what computes right, and finds each of these villains."""

import dataclasses

import numpy as np
import pytest

from kernels.commit import reference as commit
from kernels.device import Commitment
from kernels.errors import WrongResult
from kernels.expand import reference as expand
from kernels.host import HostDevice, Operations
from kernels.known_answer import known_answer_test
from kernels.network import reference as network
from kernels.product import reference as product
from kernels.task import Task

HONEST = Operations(
    expand.expand_rows,
    product.multiply_fold,
    commit.hash_leaves,
    commit.hash_level,
    product.multiply,
    network.OPERATIONS,
)


def swapped_operand(operand, rows, out):
    """Reads the key's words in the wrong order."""
    expand.expand_rows(operand._replace(key0=operand.key1, key1=operand.key0), rows, out)


def one_bit_off(R, B, out):
    product.multiply_fold(R, B, out)
    out[-1, -1] ^= 1


def without_fold(R, B, out):
    out[:] = (R.astype(np.int64) @ B.astype(np.int64).T).astype(np.int8)


def unsigned_fold(R, B, out):
    C = R.astype(np.int64) @ B.astype(np.int64).T
    out[:] = (C ^ ((C & 0xFFFF) >> 9)).astype(np.int8)


def sixteen_bit_sums(R, B, out):
    """Saturates where int32 would not."""
    C = np.clip(R.astype(np.int64) @ B.astype(np.int64).T, -(2**15), 2**15 - 1)
    out[:] = product.fold(C.astype(np.int32))


def last_leaf_padded(R, out):
    n = R.shape[1]
    padded = np.pad(R, ((0, 0), (0, -n % 256)))
    commit.hash_leaves(padded, out)


def odd_node_paired_with_itself(nodes, out):
    commit.hash_level(np.concatenate([nodes, nodes[-1:]]) if len(nodes) % 2 else nodes, out)


VILLAINS = [
    {"expand_rows": swapped_operand},
    {"multiply_fold": one_bit_off},
    {"multiply_fold": without_fold},
    {"multiply_fold": unsigned_fold},
    {"multiply_fold": sixteen_bit_sums},
    {"hash_leaves": last_leaf_padded},
    {"hash_level": odd_node_paired_with_itself},
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
    with HostDevice("honest", HONEST, threads=1) as device:
        known_answer_test(device)


@pytest.mark.parametrize("wrong", VILLAINS, ids=lambda wrong: next(iter(wrong.values())).__name__)
def test_wrong_operations_are_found(wrong):
    with (
        HostDevice("villain", dataclasses.replace(HONEST, **wrong), threads=1) as device,
        pytest.raises(WrongResult, match="villain"),
    ):
        known_answer_test(device)


@pytest.mark.parametrize("kind", [OneIteration, RightOnlyWhenSmall])
def test_liars_are_found(kind):
    with kind("liar", HONEST, threads=1) as device, pytest.raises(WrongResult):
        known_answer_test(device)
