"""The product with dp4a, four int8 multiply-adds in one instruction: Pascal (6.1) and later.

The kernel is that of `simt.py`; only the scalar product of two words is another one.
"""

from functools import cache

from kernels.cuda.launch import KernelSpec
from kernels.cuda.product.simt import SimtConfig, scalar_product, with_dot4
from kernels.cuda.ptx import I32, U32, instruction

NAME = "dp4a"
LEAST_CAPABILITY = (6, 1)

dp4a = instruction("dp4a.s32.s32 $0, $1, $2, $3;", I32, [U32, U32, I32], meaning=scalar_product)
"""dp4a(x, y, total): total plus the scalar product of four int8 in x and four in y (PTX ISA, dp4a)."""


LARGE = SimtConfig(2)


@cache
def build(output: str = "fold", checked: bool = False, config: SimtConfig = LARGE) -> KernelSpec:
    """The kernel, with the options of `simt.build`."""
    return with_dot4(dp4a, output, checked, config.quads)
