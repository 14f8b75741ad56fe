"""A square of int32, transposed in registers: rows become lanes.

Packing wants the same quad of many rows side by side, and SHA-256 in lanes the same word of many
messages: both load L rows of L neighbours and turn them over. In log2(L) rounds, round s exchanges
between rows r and r + s the lanes whose number has the bit s (Eklundh, 1972).
"""

from collections.abc import Sequence

from kernels.cpu import ir
from kernels.cpu.ir import I32, Builder, Value


def transpose(builder: Builder, rows: Sequence[Value]) -> list[Value]:
    """L vectors of L int32, turned over; L a power of two."""
    lanes = len(rows)
    kind = ir.vector(I32, lanes)
    current = list(rows)
    distance = 1
    while distance < lanes:
        low = [x + lanes - distance if x & distance else x for x in range(lanes)]
        high = [x + lanes if x & distance else x + distance for x in range(lanes)]
        after = list(current)
        for row in range(lanes):
            if not row & distance:
                pair = current[row], current[row + distance]
                after[row] = builder.shuffle_vector(*pair, ir.lanes_from(kind, low))
                after[row + distance] = builder.shuffle_vector(*pair, ir.lanes_from(kind, high))
        current = after
        distance *= 2
    return current
