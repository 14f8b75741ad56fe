"""From vectors of int32 to bytes: four vectors into one by saturating packs, then clamped and stored.

VPACKSSDW and VPACKUSWB (Intel SDM, volume 2) work on each 128 bits by themselves. After both, each 128
bits hold four bytes of every vector: one permutation of dwords brings the vectors one after the other.
A depthwise convolution has its channels in that order already (depthwise.py), and goes without.
"""

from collections.abc import Sequence

from kernels.cpu import ir
from kernels.cpu.ir import I8, I16, I32, I64, Builder, Value

TOGETHER = 4
"""Vectors that become one."""
MASKED_LANES = 16
"""Vectors of as many int32 are AVX-512's, which can store some bytes of one."""


def packed(builder: Builder, vectors: Sequence[Value]) -> Value:
    """Return the bytes of four vectors, each limited to 0 to 255, as the packs leave them."""
    lanes = vectors[0].type.count
    words, octets = ir.vector(I16, 2 * lanes), ir.vector(I8, 4 * lanes)
    name = "llvm.x86.avx512.pack{}.512" if lanes == 16 else "llvm.x86.avx2.pack{}"
    a, b = (
        ir.call(builder, name.format("ssdw"), words, *vectors[i : i + 2])
        for i in range(0, TOGETHER, 2)
    )
    return ir.call(builder, name.format("uswb"), octets, a, b)


def in_order(builder: Builder, octets: Value) -> Value:
    """Return packed bytes with the vectors one after the other."""
    kind = ir.vector(I32, octets.type.count // 4)
    parts = kind.count // TOGETHER
    order = [TOGETHER * (i % parts) + i // parts for i in range(kind.count)]
    dwords = builder.bitcast(octets, kind)
    whole = builder.shuffle_vector(
        dwords, ir.undefined(kind), ir.lanes_from(ir.vector(I32, kind.count), order)
    )
    return builder.bitcast(whole, octets.type)


def limited(builder: Builder, octets: Value, low: Value, high: Value) -> Value:
    """Return bytes, each brought between two of them, given as int64."""
    kind = octets.type
    for name, limit in (("umax", low), ("umin", high)):
        every = ir.broadcast(builder, builder.trunc(limit, I8), kind.count)
        octets = ir.call(builder, f"llvm.{name}.v{kind.count}i8", kind, octets, every)
    return octets


def part(builder: Builder, octets: Value, first: int, count: int) -> Value:
    """Return some of the bytes."""
    if count == octets.type.count:
        return octets
    places = ir.lanes_from(ir.vector(I32, count), range(first, first + count))
    return builder.shuffle_vector(octets, ir.undefined(octets.type), places)


def store_first(
    builder: Builder,
    octets: Sequence[Value],
    addresses: Sequence[Value],
    count: Value,
    free: Value,
    lanes: int,
) -> None:
    """Store the first `count` bytes of each vector, or all where there are no more.

    With 16 lanes stores are masked (AVX-512BW); with 8 what is short goes by `free`, which has room
    for a whole vector.
    """
    kind = octets[0].type
    width = kind.count

    def whole() -> list[Value]:
        for value, address in zip(octets, addresses, strict=True):
            ir.store(builder, value, address, 1)
        return []

    def masked() -> list[Value]:
        numbers = ir.lanes_from(ir.vector(I8, width), range(width))
        left = ir.broadcast(builder, builder.trunc(count, I8), width)
        mask = builder.icmp_unsigned("<", numbers, left)
        for value, address in zip(octets, addresses, strict=True):
            place = ir.pointer(builder, address, kind)
            name = f"llvm.masked.store.v{width}i8.p0"
            ir.call(builder, name, ir.VOID, value, place, I32(1), mask)
        return []

    def copied() -> list[Value]:
        for value, address in zip(octets, addresses, strict=True):
            ir.store(builder, value, free, 1)
            ir.copy(builder, address, free, count)
        return []

    some = masked if lanes == MASKED_LANES else copied
    ir.choose(builder, builder.icmp_signed(">=", count, I64(width)), whole, some)
