"""What a microkernel is: a value that says what it needs and how it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernels.cpu.jit import Jit

PANEL = 32
"""Rows of A, and rows of B, that one call of a microkernel multiplies."""
QUAD_BYTES = 4 * PANEL
"""Bytes of one quad (4 neighbours along k) of all rows of a panel of B; a row of C, too."""
BLOCK_PANELS = 8
"""Most panels of B that go together."""
BLOCK_QUADS = 128
"""Most quads of k that go together: that one call of a microkernel multiplies."""
STEP = 64
"""k is padded to a multiple of this: a row of an AMX tile. B's padding is 0, so A's may be anything."""


@dataclass(frozen=True, slots=True)
class Microkernel:
    """One way to multiply panels.

    `multiply(a, b, c, quads, starts)` is an intrinsic of five int64: addresses of packed panels of A
    and of B, of 32 x 32 int32 in C, how many quads, and where the 32 numbers lie that every row of C
    starts from; 0 there means to go on from what C holds. Every address but `a` is aligned to 64 bytes.
    """

    multiply: Any
    make_pack: Callable[[Jit, Any], Callable[[Any, int, Any], None]]
    """Makes the function (X, panels, packed) that packs rows, m x K and padded, into panels of A. It is
    given the kernel that packs quads (`packing.py`)."""
    a_quad_bytes: int
    """Bytes of one quad of a panel of A."""
    begin: Any
    """Intrinsic without arguments that each thread calls before it multiplies ..."""
    end: Any
    """... and after."""
    sum_quads: Any = None
    """Intrinsic (b, quads, starts): for a microkernel that takes A as unsigned, A + 128: writes what
    the sums of a panel of B must start from, -128 * the sum of each row of B. None: they start from
    0."""
    widen: Any = None
    """Intrinsic (b, quads, target): writes a piece of a panel of B as `multiply` wants it, in twice as
    many bytes. None: it takes panels as they are."""
    block_panels: int = BLOCK_PANELS
    block_quads: int = BLOCK_QUADS
    """How many panels of B and quads of k go together."""
