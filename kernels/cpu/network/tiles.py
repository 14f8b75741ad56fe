"""A tile of a convolution's product: some places by some vectors of outputs, all of k in registers.

What a window sees is never laid out. A place's row of A is `segments` stretches of the padded image,
one for each row of the window (with dilation, one for each entry), at distances that are the same
for every place; so a place is one address. A stretch is read in quads, past its end where its
length is no multiple of 4: the weights there are 0.

    weights[segment][quad][part][vectors][lanes][4 bytes]

The sums become bytes where they are: in the registers. Each vector's parameters are loaded once for
all places, and four vectors of one place, or one vector of four places, make a vector of bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.network import pack, requantise
from kernels.cpu.network.access import distance
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.steps import Scaling

SHAPES = 16
"""More than a tile has rows."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Addresses of a tile's operands, and how many there are."""

    image: Value
    places: Value
    """int32 distances in the image, one for each row of the tile."""
    segments: Value
    """int32 distances of a place's stretches."""
    count: Value
    quads: Value
    """Of a stretch."""
    weights: Value
    starts: Value
    """What the sums start from."""


@dataclass(frozen=True, slots=True)
class Results:
    """What becomes of a tile's sums."""

    sums: Value
    keep: Value
    scaling: Value
    parameters: Value
    n: Value
    out: Value
    out_places: Value
    low: Value
    high: Value


def build_sums(dots: Dots, vectors: int, rows: int) -> Any:
    """Return tile(Operands..., sums, pitch): sums go to `sums`, rows `pitch` bytes apart."""

    @ir.inline_records(Operands, "sums", "pitch")
    def tile(builder: Builder, given: Operands, sums: Value, pitch: Value) -> None:
        """Without parameters, of a check."""
        results = _multiplied(builder, dots, vectors, rows, given)
        _store_sums(builder, results, vectors, sums, pitch)

    return tile


def build_tiles(dots: Dots) -> Any:
    """Return tile(vectors, rows, Operands..., Results...).

    `rows` is `dots.tiles[vectors]` or 1. Of the rows' places n bytes each go to `out` and the place's
    distance, int32. `keep`: the sums, too, go to `sums`, row after row. A scaling that is not
    requantise.py's leaves the sums alone. At `sums` there is room in any case.
    """

    @ir.inline_records("vectors", "rows", Operands, Results)
    def tile(builder: Builder, vectors: Value, rows: Value, given: Operands, to: Results) -> None:
        """Each shape has code of its own."""
        shape = builder.add(builder.mul(vectors, I64(SHAPES)), rows)
        shapes = [(v, r) for v, most in dots.tiles.items() for r in (most, 1)]
        works = {v * SHAPES + r: partial(_tile, builder, dots, v, r, given, to) for v, r in shapes}
        ir.switch(builder, shape, works)

    return tile


def _tile(
    builder: Builder, dots: Dots, vectors: int, rows: int, given: Operands, to: Results
) -> None:
    """The product, and what becomes of it."""
    results = _multiplied(builder, dots, vectors, rows, given)
    width, whole = vectors * dots.lanes, 4 * dots.lanes

    def store_sums() -> None:
        _store_sums(builder, results, vectors, to.sums, I64(4 * width))

    def bytes_of(signed: bool) -> list[Value]:
        return _bytes(builder, dots.lanes, vectors, results, to.parameters, signed)

    def finish() -> None:
        plain = builder.icmp_signed("==", to.scaling, I64(int(Scaling.PLAIN)))
        made = ir.choose(builder, plain, lambda: bytes_of(False), lambda: bytes_of(True))
        made = [pack.limited(builder, x, to.low, to.high) for x in made]
        octets, addresses = [], []
        for i in range(rows):
            first = i * width
            octets.append(pack.part(builder, made[first // whole], first % whole, width))
            addresses.append(builder.add(to.out, distance(builder, to.out_places, I64(i))))
        free = ir.offset(builder, to.sums, 4 * width * rows)
        pack.store_first(builder, octets, addresses, to.n, free, dots.lanes)

    ir.when(builder, builder.icmp_signed("!=", to.keep, I64(0)), store_sums)
    known = builder.icmp_signed("<=", to.scaling, I64(int(Scaling.SIGNED)))
    ir.when(builder, known, finish)


def _multiplied(
    builder: Builder, dots: Dots, vectors: int, rows: int, given: Operands
) -> list[Value]:
    """Return the sums, row by row: rows of quads, broadcast, times vectors of weights."""
    kind, width = ir.vector(I32, dots.lanes), 4 * dots.lanes
    starting = [
        builder.add(given.image, distance(builder, given.places, I64(i))) for i in range(rows)
    ]
    first = [
        ir.load(builder, kind, ir.offset(builder, given.starts, width * j), 4)
        for j in range(vectors)
    ]

    def segment(turn: Value, carried: Sequence[Value]) -> list[Value]:
        away = distance(builder, given.segments, turn)
        here = [builder.add(x, away) for x in starting]

        def quad(turn: Value, carried: Sequence[Value]) -> list[Value]:
            weights, *sums = carried
            w = [
                [
                    ir.load(
                        builder, kind, ir.offset(builder, weights, width * (p * vectors + j)), 4
                    )
                    for p in range(dots.parts)
                ]
                for j in range(vectors)
            ]
            right = builder.mul(turn, I64(4))
            for i in range(rows):
                entries = ir.load(builder, I32, builder.add(here[i], right), 1)
                a = ir.broadcast(builder, entries, dots.lanes)
                for j in range(vectors):
                    sums[i * vectors + j] = dots.step(builder, sums[i * vectors + j], a, w[j])
            return [ir.offset(builder, weights, width * dots.parts * vectors), *sums]

        return ir.loop(builder, given.quads, list(carried), quad)

    _, *results = ir.loop(builder, given.count, [given.weights, *first * rows], segment)
    return results


def _store_sums(
    builder: Builder, results: Sequence[Value], vectors: int, sums: Value, pitch: Value
) -> None:
    for number, value in enumerate(results):
        i, j = divmod(number, vectors)
        line = builder.add(sums, builder.mul(pitch, I64(i)))
        ir.store(builder, value, ir.offset(builder, line, 4 * value.type.count * j), 4)


def _bytes(
    builder: Builder, lanes: int, vectors: int, results: Sequence[Value], at: Value, signed: bool
) -> list[Value]:
    """Return the sums' bytes, four vectors in one."""
    y = list(results)
    for j in range(vectors):
        place = ir.offset(builder, at, 4 * lanes * requantise.VECTORS * j)
        given = requantise.load_parameters(builder, place, lanes)
        for number in range(j, len(y), vectors):
            y[number] = requantise.scaled(builder, y[number], given, signed)
    y += [y[-1]] * (-len(y) % pack.TOGETHER)
    groups = (y[i : i + pack.TOGETHER] for i in range(0, len(y), pack.TOGETHER))
    return [pack.in_order(builder, pack.packed(builder, group)) for group in groups]
