"""The kernels' IR, compiled for AArch64 and looked at. It was not run there: no such machine was at
hand.

Whatever a CPU without a tier of its own uses must compile for it: pairs of 128 bits, the packing,
Philox.
"""

from functools import partial

import pytest
from numba import types

from kernels.cpu import philox
from kernels.cpu.ir import copy_bytes
from kernels.cpu.product import blocks, pairs
from kernels.cpu.product.packing import turn_over
from tests.kernels.assembly import assembly, inner_loops, instructions

WIDENING = ("smull", "smull2", "smlal", "smlal2")
compiled = partial(assembly, triple="aarch64-unknown-linux-gnu")


def test_the_microkernel():
    """Widening multiplications of int16: 6 or 5 rows x 2 vectors x 2 halves of a pair."""
    text = compiled(pairs.build(128).multiply, *[types.int64] * 5)
    found = [instructions(inner) for inner in inner_loops(text, "smull")]
    multiplied = [sum(x[name] for name in WIDENING) for x in found]
    assert multiplied == [24, 20]


def test_philox_multiplies_without_masks():
    operand = [types.int32] * 4
    for kernel in (philox.counters_in_a_row, philox.counter_of_a_panel):
        found = instructions(compiled(kernel, types.int64, types.int32, types.int32, *operand))
        assert found["umull"] + found["umull2"] >= 2 * philox.ROUNDS


@pytest.mark.parametrize(
    ("intrinsic", "kinds"),
    [
        (turn_over(4), [types.int64] * 3 + [types.int32]),
        (blocks.fold_panel, [types.int64] * 3),
        (blocks.stream_panel, [types.int64] * 3),
        (blocks.fence, []),
        (copy_bytes, [types.int64] * 3),
    ],
    ids=["turn_over", "fold_panel", "stream_panel", "fence", "copy_bytes"],
)
def test_the_rest_compiles(intrinsic, kinds):
    assert "kernel:" in compiled(intrinsic, *kinds)
