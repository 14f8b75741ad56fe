"""What LLVM makes of the microkernels: every sum in a register, every operand loaded once.

It has a choice, and took the wrong one when a turn held two pairs: sums went to the stack.
"""

import pytest
from numba import types

from kernels.cpu.product import pairs, vnni
from tests.kernels.assembly import assembly, inner_loops, instructions

TRIPLE = "x86_64-unknown-linux-gnu"


@pytest.mark.parametrize(
    ("build", "cpu", "dot", "sums"),
    [
        (lambda: pairs.build(128), "x86-64", "pmaddwd", {12, 10}),
        (lambda: pairs.build(256), "haswell", "vpmaddwd", {12, 10}),
        (lambda: pairs.build(512), "skylake-avx512", "vpmaddwd", {24, 16}),
        (vnni.build_256, "alderlake", "vpdpbusd", {12, 10}),
        (vnni.build_512, "icelake-server", "vpdpbusd", {22, 20}),
    ],
    ids=["simd128", "avx2", "avx512", "avxvnni", "avx512vnni"],
)
def test_sums_stay_in_registers(build, cpu, dot, sums):
    text = assembly(build().multiply, *[types.int64] * 5, triple=TRIPLE, cpu=cpu)
    loops = inner_loops(text, dot)
    assert {instructions(loop)[dot] for loop in loops} == sums
    for loop in loops:
        found = instructions(loop)
        assert "%rsp" not in loop
        if dot.endswith("maddwd"):
            assert found["paddd"] + found["vpaddd"] == found[dot]
        if dot.startswith("v"):
            assert found["vpbroadcastd"] == found[dot] // 2
            assert found["vmovdqa"] + found["vmovdqa64"] == 2
