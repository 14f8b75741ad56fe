"""One step of a small product: four neighbours along k of one row, times those of `lanes` outputs.

Activations are unsigned here (int8 with 128 added), weights signed, as VPDPBUSD takes them; whoever
prepares the weights takes 128 * (their sum) off the bias. Without VNNI a quad of bytes becomes two
pairs of int16 by masks, and VPMADDWD adds up pairs (Intel SDM, volume 2): both are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.features import usable_features
from kernels.cpu.ir import I8, I16, I32, Builder, Value
from kernels.cpu.product.vnni import FEATURES_256, FEATURES_512

Step = Callable[[Builder, Value, Value, list[Value]], Value]
"""step(builder, sums, quad in every lane as int32, weights) -> sums"""


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """A way to do it: sums in vectors of `lanes` int32, weights of a quad in `parts` vectors."""

    name: str
    lanes: int
    parts: int
    step: Step
    tiles: dict[int, int]
    """Rows of the tiles that its registers hold, by their number of vectors, widest first."""

    def pack(self, quads: npt.NDArray[np.int8]) -> npt.NDArray[np.uint8]:
        """Return weights, ... x vectors x lanes x 4, as they lie: ... x parts x the same, in bytes."""
        if self.parts == 1:
            return quads[..., np.newaxis, :, :, :].view(np.uint8)
        wide = quads.astype("<i2")
        halves = [np.ascontiguousarray(wide[..., i::2]).view(np.uint8) for i in (0, 1)]
        return np.stack(halves, axis=-4)


def _vnni(builder: Builder, sums: Value, quad: Value, weights: list[Value]) -> Value:
    lanes = sums.type.count
    kind, bytes_of_it = ir.vector(I32, lanes), ir.vector(I8, 4 * lanes)
    a, b = (builder.bitcast(x, bytes_of_it) for x in (quad, weights[0]))
    return ir.call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", kind, sums, a, b)


def _pairs(builder: Builder, sums: Value, quad: Value, weights: list[Value]) -> Value:
    kind = sums.type
    halves, mask = ir.vector(I16, 2 * kind.count), ir.splat(kind, 0x00FF00FF)
    name = {8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}[kind.count]
    parts = quad, builder.lshr(quad, ir.splat(kind, 8))
    for x, w in zip(parts, weights, strict=True):
        a, b = (builder.bitcast(y, halves) for y in (builder.and_(x, mask), w))
        sums = builder.add(sums, ir.call(builder, name, kind, a, b))
    return sums


_WIDE, _NARROW = {4: 6, 2: 8, 1: 12}, {2: 4, 1: 6}
DOTS = {
    "avx512vnni": (FEATURES_512, Dots("avx512vnni", 16, 1, _vnni, _WIDE)),
    "avxvnni": (FEATURES_256, Dots("avxvnni", 8, 1, _vnni, _NARROW)),
    "avx512": (frozenset({"avx512f", "avx512bw"}), Dots("avx512", 16, 2, _pairs, _WIDE)),
    "avx2": (frozenset({"avx2"}), Dots("avx2", 8, 2, _pairs, _NARROW)),
}
"""By the features that they need, best first; without AVX2 there are none."""


def usable_dots() -> list[Dots]:
    """Return those that run here, best first."""
    return [dots for features, dots in DOTS.values() if features <= usable_features()]
