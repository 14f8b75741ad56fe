"""What a tier's instructions reach from registers alone: the ceiling of its product.

Pairs and VNNI: 14 sums in registers; each turn multiplies every one of them, as it is, by one operand
and adds what it gives. Nothing is loaded or stored in between. A sum waits 4 to 6 cycles for itself,
in which 14 of them keep two multipliers busy. AMX: the four tiles of C, by the same four of A and B.
"""

import platform
import time
from collections.abc import Sequence
from typing import Any

import numba

from kernels.cpu import ir
from kernels.cpu.ir import I8, I16, I32, VOID, Builder, Value
from kernels.cpu.memory import aligned
from kernels.cpu.product import amx
from kernels.team import Team

PAIRS = {
    "avx512": ("llvm.x86.avx512.pmaddw.d.512", 512),
    "avx2": ("llvm.x86.avx2.pmadd.wd", 256),
    "simd128": ("llvm.x86.sse2.pmadd.wd", 128),
}
QUADS = {
    "avx512vnni": ("llvm.x86.avx512.vpdpbusd.512", 512),
    "avxvnni": ("llvm.x86.avx512.vpdpbusd.256", 256),
}
SUMS = 14
TURNS = 1 << 23
TILE_TURNS = 1 << 20


def measured(tier: str) -> bool:
    """Whether the tier multiplies so, on this machine."""
    return tier in {"amx", *QUADS, *PAIRS} and platform.machine() == "x86_64"


class RegisterRate:
    """The loop of one tier, compiled, on so many threads."""

    def __init__(self, tier: str, threads: int) -> None:
        self._run, operations = _tiles() if tier == "amx" else _vectors(tier)
        self._operations = operations * threads
        self._rooms = [aligned((SUMS + 1, 64), "u1") for _ in range(threads)]
        for room in self._rooms:
            room[:] = 1
        self._team = Team(threads, "register-rate")

    def seconds(self, operations: int) -> float:
        """How long so many operations take at this rate; a multiply-add is two."""
        started = time.perf_counter()
        self._team.run((lambda room: self._run(room.ctypes.data), self._rooms))
        return (time.perf_counter() - started) * operations / self._operations

    def close(self) -> None:
        """End the threads."""
        self._team.close()


def _tiles() -> tuple[Any, int]:
    @ir.inline
    def multiply_add(builder: Builder, turns: Value) -> None:
        for number in (*amx.C_TILES, *amx.A_TILES, *amx.B_TILES):
            ir.call(builder, "llvm.x86.tilezero", VOID, I8(number))

        def turn(_: Value, _carried: Sequence[Value]) -> list[Value]:
            for number in amx.C_TILES:
                a, b = amx.A_TILES[number // 2], amx.B_TILES[number % 2]
                ir.call(builder, "llvm.x86.tdpbssd", VOID, I8(number), I8(a), I8(b))
            return []

        ir.loop(builder, turns, [], turn)

    begin, end = amx.begin, amx.end

    @numba.njit("void(int64)", nogil=True)
    def run(_place: int) -> None:
        begin()
        multiply_add(TILE_TURNS)
        end()

    return run, 2 * amx.ROWS * amx.ROWS * amx.ROW_BYTES * len(amx.C_TILES) * TILE_TURNS


def _vectors(tier: str) -> tuple[Any, int]:
    name, bits = (PAIRS | QUADS)[tier]
    entry = I16 if tier in PAIRS else I8
    kind, entries, width = (
        ir.vector(I32, bits // 32),
        ir.vector(entry, bits // entry.width),
        bits // 8,
    )

    def dot(builder: Builder, x: Value, factor: Value) -> Value:
        if tier in QUADS:
            return ir.call(builder, name, kind, x, builder.bitcast(x, entries), factor)
        return builder.add(x, ir.call(builder, name, kind, builder.bitcast(x, entries), factor))

    @ir.inline
    def multiply_add(builder: Builder, place: Value, turns: Value) -> None:
        places = [ir.offset(builder, place, width * i) for i in range(SUMS)]
        factor = ir.load(builder, entries, ir.offset(builder, place, width * SUMS), width)

        def turn(_: Value, sums: Sequence[Value]) -> list[Value]:
            return [dot(builder, x, factor) for x in sums]

        sums = ir.loop(builder, turns, [ir.load(builder, kind, x, width) for x in places], turn)
        for x, value in zip(places, sums, strict=True):
            ir.store(builder, value, x, width)

    @numba.njit("void(int64)", nogil=True)
    def run(place: int) -> None:
        multiply_add(place, TURNS)

    return run, 2 * (bits // entry.width) * SUMS * TURNS
