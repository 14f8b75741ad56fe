"""A depthwise convolution: each channel by itself, 4 * `lanes` bytes at once, four taps at a time.

Unpacks bring the four bytes of a channel under four taps side by side, and one step (dots.py) adds
their products up in the channel's lane. They work on each 128 bits by themselves, and so do the packs
that make bytes of sums again (pack.py): those undo the order that these made.

    weights[vector of channels][group of 4 taps][part][4][lanes][4 bytes]      channels: `line_order`

Where the window goes on by one pixel at a time, a row of outputs is one run of bytes, and what lies
under a tap is a run of as many: nothing has to be known of pixels but that channels come again after
`period` vectors. With any other stride each place is a run of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import lcm
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value
from kernels.cpu.network import pack, requantise
from kernels.cpu.network.access import distance
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.steps import Scaling

ROWS = {16: 2, 8: 1}
"""Runs that share a load of weights, by lanes: as many as there are registers for."""
MOST_PERIOD = 16
"""Vectors of weights that a run may go through before they come again."""


@dataclass(frozen=True, slots=True)
class Runs:
    """How an output of so many channels is cut into runs."""

    period: int
    """Vectors after which channels come again."""
    by_row: bool
    """A run is a row of the output; else a pixel."""

    @classmethod
    def of(cls, channels: int, stride: int, lanes: int) -> "Runs":
        """Return it for a window that goes on by `stride` pixels."""
        block = 4 * lanes
        period = lcm(block, channels) // block
        if stride == 1 and period <= max(MOST_PERIOD, channels // block):
            return cls(period, True)
        return cls(-(-channels // block), False)

    def line_order(self, channels: int, lanes: int) -> npt.NDArray[np.intp]:
        """Return the channel of each lane of each sum, for a whole period."""
        size = self.period * 4 * lanes
        by_pack = (np.arange(size) % channels).reshape(self.period, lanes // 4, 4, 4)
        return by_pack.transpose(0, 2, 1, 3).reshape(-1)


def build_depthwise(dots: Dots) -> Any:
    """Return depthwise(image, places, taps, groups, weights, starts, period, scaling, parameters, run,
    out, out_places, low, high, free).

    `places`, `out_places` and `taps` are addresses of int32 distances: of ROWS runs, and of 4 * groups
    taps. Scaling: PLAIN or SIGNED. `free`: pack.store_first.
    """  # fmt: skip
    lanes, rows, width = dots.lanes, ROWS[dots.lanes], 4 * dots.lanes

    @ir.inline
    def depthwise(
        builder: Builder,
        image: Value,
        places: Value,
        taps: Value,
        groups: Value,
        weights: Value,
        starts: Value,
        period: Value,
        scaling: Value,
        at: Value,
        run: Value,
        out: Value,
        out_places: Value,
        low: Value,
        high: Value,
        free: Value,
    ) -> None:
        """Vector after vector, ROWS runs at once."""
        sources = [builder.add(image, distance(builder, places, I64(i))) for i in range(rows)]
        targets = [builder.add(out, distance(builder, out_places, I64(i))) for i in range(rows)]
        plain = builder.icmp_signed("==", scaling, I64(int(Scaling.PLAIN)))

        def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
            (number,) = carried
            away = builder.mul(turn, I64(width))
            here = [builder.add(x, away) for x in sources]
            w = builder.add(
                weights, builder.mul(number, builder.mul(groups, I64(4 * width * dots.parts)))
            )
            start = builder.add(starts, builder.mul(number, I64(4 * width)))
            sums = _sums_of(builder, dots, here, taps, groups, w, start)
            size = 4 * width * requantise.VECTORS
            given = builder.add(at, builder.mul(number, I64(size)))
            octets = ir.choose(
                builder,
                plain,
                partial(_bytes_of, builder, sums, given, signed=False),
                partial(_bytes_of, builder, sums, given, signed=True),
            )
            octets = [pack.limited(builder, x, low, high) for x in octets]
            addresses = [builder.add(x, away) for x in targets]
            pack.store_first(builder, octets, addresses, builder.sub(run, away), free, lanes)
            following = builder.add(number, I64(1))
            over = builder.icmp_signed("==", following, period)
            return [builder.select(over, I64(0), following)]

        count = builder.udiv(builder.add(run, I64(width - 1)), I64(width))
        ir.loop(builder, count, [I64(0)], vector)

    return depthwise


def _sums_of(
    builder: Builder,
    dots: Dots,
    here: list[Value],
    taps: Value,
    groups: Value,
    w: Value,
    starts: Value,
) -> list[Value]:
    """Return 4 vectors of sums for each run."""
    kind, width = ir.vector(I32, dots.lanes), 4 * dots.lanes
    line = ir.vector(I8, width)

    def group(_turn: Value, carried: Sequence[Value]) -> list[Value]:
        w, taps, *sums = carried
        away = [distance(builder, taps, I64(i)) for i in range(4)]
        weights = [
            [
                ir.load(builder, kind, ir.offset(builder, w, width * (4 * p + v)), 4)
                for p in range(dots.parts)
            ]
            for v in range(4)
        ]
        for i, place in enumerate(here):
            seen = [ir.load(builder, line, builder.add(place, x), 1) for x in away]
            for v, quads in enumerate(_side_by_side(builder, seen)):
                at = 4 * i + v
                sums[at] = dots.step(builder, sums[at], quads, weights[v])
        return [ir.offset(builder, w, 4 * width * dots.parts), ir.offset(builder, taps, 16), *sums]

    first = [ir.load(builder, kind, ir.offset(builder, starts, width * v), 4) for v in range(4)]
    _, _, *sums = ir.loop(builder, groups, [w, taps, *first * len(here)], group)
    return sums


def _bytes_of(builder: Builder, sums: Sequence[Value], at: Value, signed: bool) -> list[Value]:
    """Return a vector of bytes for each run; `at`: parameters."""
    y, lanes = list(sums), sums[0].type.count
    for v in range(4):
        place = ir.offset(builder, at, 4 * lanes * requantise.VECTORS * v)
        given = requantise.load_parameters(builder, place, lanes)
        for i in range(v, len(y), 4):
            y[i] = requantise.scaled(builder, y[i], given, signed)
    return [pack.packed(builder, y[i : i + 4]) for i in range(0, len(y), 4)]


def _side_by_side(builder: Builder, taps: Sequence[Value]) -> list[Value]:
    """Return quads of 4 taps, from vectors of bytes."""
    pairs = [_unpacked(builder, taps[i], taps[i + 1], high) for high in (0, 1) for i in (0, 2)]
    words = [builder.bitcast(x, ir.vector(ir.I16, x.type.count // 2)) for x in pairs]
    quads = [_unpacked(builder, words[i], words[i + 1], high) for i in (0, 2) for high in (0, 1)]
    return [builder.bitcast(x, ir.vector(I32, x.type.count // 2)) for x in quads]


def _unpacked(builder: Builder, a: Value, b: Value, high: int) -> Value:
    """Return VPUNPCKL or VPUNPCKH: of each 128 bits half of both, entry by entry."""
    count = a.type.count
    part = 128 // a.type.element.width
    half = part // 2
    order = [
        first + high * half + i // 2 + count * (i % 2)
        for first in range(0, count, part)
        for i in range(part)
    ]
    return builder.shuffle_vector(a, b, ir.lanes_from(ir.vector(I32, count), order))
