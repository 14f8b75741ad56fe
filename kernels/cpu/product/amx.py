"""AMX int8: a panel is 2 x 2 tiles, and one instruction does 16 x 16 x 64 multiply-adds.

Intel SDM, volume 1, chapter 18 (tiles), volume 2, TDPBSSD: for a tile A of 16 rows of 64 int8 and a
tile B of 16 rows of 16 quads, C[m][n] += sum over q and i of A[m][4q + i] * B[q][n][i], signed by
signed, in 16 cycles. Intrinsics Guide: _tile_loadconfig, _tile_zero, _tile_loadd, _tile_dpbssd,
_tile_stored.

Eight tile registers: four of C, which stay where they are along all of k, and two each of A and B,
so that four loads of 1 KiB feed four multiplications. Rows of A are packed into tiles that lie in
one piece: with its rows 4 KiB apart, a tile's 16 rows would all want the same set of the L1 cache.

    A[panel][k / 64][32 rows][64]        two tiles, one after the other

A process must ask Linux for the tiles once (`features.tiles_permitted`), a thread must say before
it uses them what they look like (ldtilecfg), and say when it is done (tilerelease), so that its
state is small again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.cpu import ir
from kernels.cpu.ir import I8, I64, VOID, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES, Microkernel

FEATURES = frozenset({"amx-tile", "amx-int8"})
ROWS, ROW_BYTES = 16, 64
TILE_BYTES = ROWS * ROW_BYTES
STEP_QUADS = ROW_BYTES // 4

C_TILES, A_TILES, B_TILES = (0, 1, 2, 3), (4, 5), (6, 7)
C_PLACES = tuple(QUAD_BYTES * ROWS * i + ROW_BYTES * j for i in (0, 1) for j in (0, 1))


@ir.inline
def multiply(builder: Builder, a: Value, b: Value, c: Value, quads: Value, starts: Value) -> None:
    """C (+)= A B^T of one panel; `quads` is a multiple of 16, and `starts` only says: from zero."""

    def tile(operation: str, number: int, address: Value, pitch: int) -> None:
        place = ir.pointer(builder, address)
        ir.call(builder, f"llvm.x86.{operation}", VOID, I8(number), place, I64(pitch))

    def for_c(operation: str) -> None:
        for number, place in zip(C_TILES, C_PLACES, strict=True):
            tile(operation, number, ir.offset(builder, c, place), QUAD_BYTES)

    def zero() -> list[Value]:
        for number in C_TILES:
            ir.call(builder, "llvm.x86.tilezero", VOID, I8(number))
        return []

    def go_on() -> list[Value]:
        for_c("tileloadd64")
        return []

    def step(_turn: Value, places: Sequence[Value]) -> list[Value]:
        a, b = places
        # Each load stands right before its first use: the multiplications hide the next ones.
        tile("tileloadd64", B_TILES[0], b, QUAD_BYTES)
        tile("tileloadd64", A_TILES[0], a, ROW_BYTES)
        dot(0, 0)
        tile("tileloadd64", B_TILES[1], ir.offset(builder, b, ROW_BYTES), QUAD_BYTES)
        dot(0, 1)
        tile("tileloadd64", A_TILES[1], ir.offset(builder, a, TILE_BYTES), ROW_BYTES)
        dot(1, 0)
        dot(1, 1)
        return [ir.offset(builder, a, 2 * TILE_BYTES), ir.offset(builder, b, 2 * TILE_BYTES)]

    def dot(i: int, j: int) -> None:
        numbers = (I8(C_TILES[2 * i + j]), I8(A_TILES[i]), I8(B_TILES[j]))
        ir.call(builder, "llvm.x86.tdpbssd", VOID, *numbers)

    ir.choose(builder, builder.icmp_unsigned("!=", starts, I64(0)), zero, go_on)
    ir.loop(builder, builder.udiv(quads, I64(STEP_QUADS)), [a, b], step)
    for_c("tilestored64")


def configuration() -> bytes:
    """What ldtilecfg reads: palette 1, and for each of 8 tiles 64 bytes a row and 16 rows."""
    header = bytes([1]) + bytes(15)
    row_bytes = np.array([ROW_BYTES] * 8, "<u2").tobytes() + bytes(16)
    return header + row_bytes + bytes([ROWS] * 8) + bytes(8)


@ir.inline
def begin(builder: Builder) -> None:
    """Tell this thread's tile unit what its tiles look like."""
    kind = ir.vector(I8, 64)
    with builder.goto_entry_block():
        place = builder.alloca(kind)
    place.align = 64
    builder.store(ir.lanes_from(kind, configuration()), place)
    ir.call(builder, "llvm.x86.ldtilecfg", VOID, builder.bitcast(place, ir.POINTER))


@ir.inline
def end(builder: Builder) -> None:
    """Give the tiles back."""
    ir.call(builder, "llvm.x86.tilerelease", VOID)


def make_pack(jit: Jit, _pack_quads: Any) -> Any:
    """Makes the kernel that copies rows into tiles, 64 bytes at a time."""

    @jit.kernel("void(int8[:,::1], int64, uint8[::1])")
    def pack_tiles(X: Any, panels: int, packed: Any) -> None:
        steps = X.shape[1] // ROW_BYTES
        words = X.reshape(-1).view(np.int64).reshape(X.shape[0], steps, 8)
        tiles = packed.view(np.int64)
        for panel in range(panels):
            for step in range(steps):
                for row in range(PANEL):
                    source = words[panel * PANEL + row, step]
                    first = ((panel * steps + step) * PANEL + row) * 8
                    target = tiles[first : first + 8]
                    for word in range(8):
                        target[word] = source[word]

    return pack_tiles


MICROKERNEL = Microkernel(multiply, make_pack, QUAD_BYTES, begin, end)
