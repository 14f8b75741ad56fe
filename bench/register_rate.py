"""What vpmaddwd and vpaddd reach from registers alone: the ceiling of the product in pairs of int16.

14 sums in registers; each turn multiplies every one of them, as 16-bit halves, by one operand and
adds what it gives. Nothing is loaded or stored in between. A sum waits 4 to 6 cycles for itself, in
which 14 of them keep two multipliers busy.
"""

import platform
import time
from collections.abc import Sequence
from typing import Any

import numba

from kernels.cpu import ir
from kernels.cpu.ir import I16, I32, Builder, Value
from kernels.cpu.memory import aligned
from kernels.team import Team

INTRINSICS = {
    "avx512": ("llvm.x86.avx512.pmaddw.d.512", 512),
    "avx2": ("llvm.x86.avx2.pmadd.wd", 256),
    "simd128": ("llvm.x86.sse2.pmadd.wd", 128),
}
SUMS = 14
TURNS = 1 << 23


def measured(tier: str) -> bool:
    """Whether the tier multiplies so, on this machine."""
    return tier in INTRINSICS and platform.machine() == "x86_64"


class RegisterRate:
    """The loop of one tier, compiled, on so many threads."""

    def __init__(self, tier: str, threads: int) -> None:
        self._run = _compile(tier)
        self._operations = 2 * (INTRINSICS[tier][1] // 16) * SUMS * TURNS * threads
        self._rooms = [aligned((SUMS + 1, 64), "u1") for _ in range(threads)]
        for room in self._rooms:
            room[:] = 1
        self._team = Team(threads, "register-rate")

    def seconds(self, operations: int) -> float:
        """How long so many operations take at this rate; a multiply-add is two."""
        started = time.perf_counter()
        self._team.run((lambda room: self._run(room.ctypes.data, TURNS), self._rooms))
        return (time.perf_counter() - started) * operations / self._operations

    def close(self) -> None:
        """End the threads."""
        self._team.close()


def _compile(tier: str) -> Any:
    name, bits = INTRINSICS[tier]
    kind, pairs, width = ir.vector(I32, bits // 32), ir.vector(I16, bits // 16), bits // 8

    @ir.inline
    def multiply_add(builder: Builder, place: Value, turns: Value) -> None:
        places = [ir.offset(builder, place, width * i) for i in range(SUMS)]
        factor = ir.load(builder, pairs, ir.offset(builder, place, width * SUMS), width)

        def turn(_: Value, sums: Sequence[Value]) -> list[Value]:
            return [
                builder.add(x, ir.call(builder, name, kind, builder.bitcast(x, pairs), factor))
                for x in sums
            ]

        sums = ir.loop(builder, turns, [ir.load(builder, kind, x, width) for x in places], turn)
        for x, value in zip(places, sums, strict=True):
            ir.store(builder, value, x, width)

    @numba.njit("void(int64, int64)", nogil=True)
    def run(place: int, turns: int) -> None:
        multiply_add(place, turns)

    return run
