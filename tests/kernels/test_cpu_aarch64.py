"""The kernels' IR, compiled for AArch64 and looked at. It was not run there: no such machine was at
hand.

Whatever a CPU without a tier of its own uses must compile for it: pairs of 128 bits, the packing,
Philox.
"""

import re
from collections import Counter

import pytest
from llvmlite import binding, ir
from numba import types

from kernels.cpu import philox
from kernels.cpu.ir import copy_bytes
from kernels.cpu.product import blocks, pairs
from kernels.cpu.product.packing import turn_over

TRIPLE = "aarch64-unknown-linux-gnu"


def assembly(intrinsic, *kinds) -> str:
    """An intrinsic as a function of its own, optimised as Numba does."""
    _, generate = intrinsic._defn(None, *kinds)
    module = ir.Module()
    module.triple = TRIPLE
    arguments = [ir.IntType(kind.bitwidth) for kind in kinds]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "kernel")
    builder = ir.IRBuilder(function.append_basic_block())
    generate(None, builder, None, function.args)
    builder.ret_void()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(TRIPLE).create_target_machine(opt=3)
    compiled = binding.parse_assembly(str(module))
    compiled.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(compiled, passes)
    return machine.emit_assembly(compiled)


def instructions(text: str) -> Counter:
    return Counter(re.findall(r"^\t([a-z][a-z0-9.]*)", text, re.M))


def test_the_microkernel():
    """Widening multiplications of int16: 4 rows x 2 vectors x 2 halves x 2 pairs of a quad."""
    text = assembly(pairs.build(128).multiply, *[types.int64] * 5)
    (inner,) = [part for part in re.split(r"^\.LBB", text, flags=re.M) if "smull" in part]
    found = instructions(inner)
    assert found["smull"] + found["smull2"] + found["smlal"] + found["smlal2"] == 32


def test_philox_multiplies_without_masks():
    operand = [types.int32] * 4
    for kernel in (philox.counters_in_a_row, philox.counter_of_a_panel):
        found = instructions(assembly(kernel, types.int64, types.int32, types.int32, *operand))
        assert found["umull"] + found["umull2"] >= 2 * philox.ROUNDS


@pytest.mark.parametrize(
    ("intrinsic", "kinds"),
    [
        (turn_over(4), [types.int64] * 3 + [types.int32]),
        (blocks.fold_line, [types.int64] * 2),
        (blocks.stream, [types.int64] * 2),
        (blocks.fence, []),
        (copy_bytes, [types.int64] * 3),
    ],
    ids=["turn_over", "fold_line", "stream", "fence", "copy_bytes"],
)
def test_the_rest_compiles(intrinsic, kinds):
    assert "kernel:" in assembly(intrinsic, *kinds)
