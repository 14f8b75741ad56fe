"""From a graph to a program: its steps, its constants, and where its values lie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu.network.add import side_parameters
from kernels.cpu.network.assembly import CHUNK_BYTES, Assembly, rows_of
from kernels.cpu.network.depthwise import ROWS, Runs
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.layout import Image, NoProgram, place_all
from kernels.cpu.network.lines import line_of
from kernels.cpu.network.requantise import parameters
from kernels.cpu.network.scaling import scaling_of, scaling_once
from kernels.cpu.network.steps import Op, Program, Scaling
from kernels.cpu.network.weights import pack_taps, pack_weights, rows_of_weights, window_of
from kernels.network import Window
from kernels.network.graph import convolutions, elementwise, moves, products, softmax, windows
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import product_layers

CHUNK_COST = 1 << 19
"""Multiply-adds of a chunk, about: some microseconds."""
MOST_COST = 1 << 24
"""Of a chunk of few places, which should go through its weights once."""
PLACES = 24
"""A chunk has a multiple of so many places: whole tiles."""
FEW = 48
"""Places a thread, below which threads share a layer by its outputs."""
BLOCK = 64
"""Outputs of a unit then: whole tiles."""


POINTS = Window(1, 1)
IMAGES = (convolutions.Convolution, windows.Pool, windows.Sum, moves.Pad)
MOST_ARENA = 1 << 24
MOST_PLACES = 1 << 20
"""Of a layer: their distances take eight bytes each."""
MOST_LINES = 64
"""Additions for which numbers are looked for: some milliseconds each."""


def plan(graph: Graph, dots: Dots, threads: int = 1) -> Program:
    """Return its program, for so many threads. Raise NoProgram where some operator has no step here."""
    return _Plan(graph, dots, threads).program()


class _Plan(Assembly):
    def __init__(self, graph: Graph, dots: Dots, threads: int) -> None:
        super().__init__()
        self.graph, self.dots, self.threads = graph, dots, threads
        self.images = [Image.of(form) for form in graph.forms]
        self.layers = product_layers(graph)
        self.column = self.lines = 0
        self.by_runs: set[int] = set()
        """Max pools for which what is outside of their images is 0."""
        self.makers: dict[type[Any], Callable[..., None]] = {
            convolutions.Conv2D: self.convolution,
            convolutions.DepthwiseConv2D: self.depthwise,
            products.FullyConnected: self.fully_connected,
            elementwise.Add: self.add,
            elementwise.Table: self.table,
            windows.MaxPool: self.pool,
            windows.AveragePool: self.pool,
            windows.Sum: self.sum,
            softmax.Softmax: self.softmax,
            moves.Reshape: self.reshape,
            moves.Pad: self.pad,
        }

    def program(self) -> Program:
        graph, first = self.graph, len(self.graph.inputs)
        if any(type(node.operator) not in self.makers for node in graph.nodes) or any(
            image.height * image.width > MOST_PLACES for image in self.images
        ):
            raise NoProgram
        for node in graph.nodes:
            if isinstance(node.operator, IMAGES) and graph.forms[node.inputs[0]].shape[0] != 1:
                raise NoProgram
            if isinstance(node.operator, convolutions.Convolution):
                fill = node.operator.input_zero + 128
                self.images[node.inputs[0]].surround(window_of(node.operator), fill)
        for place, node in enumerate(graph.nodes):
            op = node.operator
            if isinstance(op, windows.MaxPool) and self.images[node.inputs[0]].sees(op.window, 0):
                self.by_runs.add(place)
        size = place_all(self.images, graph.last_use, first)
        if size > MOST_ARENA + 2 * graph.sample_bytes:  # nearly all of it padding
            raise NoProgram
        at = 0
        for image in self.images[:first]:
            self.border(-1, image)
            self.move(Op.LOAD, -1, image.height * image.row, at, image)
            at += image.height * image.row
        for place, node in enumerate(graph.nodes):
            image = self.images[first + place]
            self.border(place, image)
            self.makers[type(node.operator)](
                place, node.operator, *(self.images[i] for i in node.inputs), image
            )
        at = 0
        for i in graph.outputs:
            image = self.images[i]
            self.step(
                Op.STORE, -1, image.height, SOURCE=image.origin,
                SOURCE_PITCH=image.pitch, OUT=at, OUT_PITCH=image.row, WIDTH=image.row,
            )  # fmt: skip
            at += image.height * image.row
        return self.finished(size, graph.columns)

    def convolution(self, place: int, op: convolutions.Conv2D, x: Image, out: Image) -> None:
        """One place of the window a row; its stretches are rows of the window."""
        window = window_of(op)
        segments = x.taps(window)
        if window.dilation[1] == 1:
            segments = segments[:: window.width]
        self.product(
            place, op, segments, x.places(window), out.places(POINTS), x, out,
            scaling_of(op, self.dots.lanes, self.constants),
        )  # fmt: skip

    def fully_connected(
        self, place: int, op: products.FullyConnected, x: Image, out: Image
    ) -> None:
        """A row of features is a place."""
        if not (x.whole and out.whole):
            raise NoProgram
        outputs, features = op.weights.shape
        count = x.height * x.row // features
        if count > MOST_PLACES:
            raise NoProgram
        steps = np.arange(count, dtype=np.int32)
        scaling = scaling_once(op, self.dots.lanes, self.constants)
        self.product(
            place, op, np.zeros(1, np.int32), steps * features,
            steps * outputs, x, out, scaling,
        )  # fmt: skip

    def product(
        self,
        place: int,
        op: products.Weighted,
        segments: npt.NDArray[np.int32],
        places: npt.NDArray[np.int32],
        out_places: npt.NDArray[np.int32],
        x: Image,
        out: Image,
        scaling: dict[str, int],
    ) -> None:
        """A place's row is stretches of the image at these distances."""
        weights = rows_of_weights(op)
        n, keep, kept = len(weights), self.constants.keep, self.constants.places
        packed, quads = pack_weights(weights, self.dots)
        padded = np.zeros(-(-n // 16) * 16 + 64, np.int32)
        padded[:n] = op.absorbed - 128 * weights.reshape(n, -1).sum(axis=1, dtype=np.int32)
        chunk, unit, outputs = self.shares(len(places), n, weights[0].size)
        column = -1
        if place in self.layers:
            column, self.column = self.column, self.column + len(places) * n
        self.scratch = max(self.scratch, max(self.dots.tiles.values()) * len(padded))
        self.step(
            Op.PRODUCT, place, len(places), chunk=chunk, unit=unit, OUTPUTS=outputs, SOURCE=x.origin,
            OUT=out.origin, PLACES=kept(places), OUT_PLACES=kept(out_places), SEGMENTS=keep(segments),
            SEGMENT_COUNT=len(segments), QUADS=quads, WEIGHTS=keep(packed), STARTS=keep(padded), N=n,
            LOW=op.low + 128, HIGH=op.high + 128, ZERO=op.output_zero + 128,
            ABSORBED=keep(op.absorbed), COLUMN=column, **scaling,
        )  # fmt: skip

    def shares(self, places: int, n: int, k: int) -> tuple[int, int, int]:
        """Return the places that a thread takes at once, and a unit: places by outputs.

        Threads get neighbouring places, most of which they made themselves: each core has its cache.
        Few places do not make equal shares, and have more weights: then each has its own outputs.
        """
        if self.threads > 1 and places < self.threads * FEW and n > BLOCK:
            chunk = min(places, max(1, MOST_COST // (k * BLOCK * PLACES)) * PLACES)
            return chunk, chunk, BLOCK
        vectors, rows = next(iter(self.dots.tiles.items()))
        chunk = max(1, CHUNK_COST // (k * n * PLACES)) * PLACES
        return chunk, PLACES if n % (vectors * self.dots.lanes) else rows, n

    def depthwise(self, place: int, op: convolutions.DepthwiseConv2D, x: Image, out: Image) -> None:
        """Runs of bytes; one by one where its scaling is."""
        window, n, lanes = window_of(op), out.channels, self.dots.lanes
        if n != x.channels:
            raise NoProgram
        keep, kept = self.constants.keep, self.constants.places
        runs = Runs.of(n, window.stride[1], lanes)
        order = runs.line_order(n, lanes)
        scaling = scaling_of(op, lanes, self.constants, order)
        fields = {
            "SOURCE": x.origin, "OUT": out.origin, "N": n, "LOW": op.low + 128,
            "HIGH": op.high + 128, "ZERO": op.output_zero + 128, **scaling,
        }  # fmt: skip
        places, out_places, taps = x.places(window), out.places(POINTS), x.taps(window)
        starts = op.absorbed - 128 * op.weights.sum(axis=(0, 1), dtype=np.int32)
        if scaling["SCALING"] > Scaling.SIGNED:
            chunk = max(1, CHUNK_BYTES // (n * len(taps)))
            self.step(
                Op.DEPTHWISE_ENTRIES, place, len(places), chunk=chunk, PLACES=kept(places),
                OUT_PLACES=kept(out_places), SEGMENTS=keep(taps), SEGMENT_COUNT=len(taps),
                WEIGHTS=keep(op.weights.view(np.uint8) ^ 128), STARTS=keep(op.absorbed), **fields,
            )  # fmt: skip
            return
        run = n
        if runs.by_row:
            run = out.row
            places, out_places = (x.reshape(out.height, -1)[:, 0] for x in (places, out_places))
        taps = np.append(taps, [taps[-1]] * (-len(taps) % 4)).astype(np.int32)
        rows = ROWS[lanes]
        self.step(
            Op.DEPTHWISE, place, len(places), chunk=max(1, CHUNK_BYTES // (rows * run)) * rows,
            unit=rows, WIDTH=run, PERIOD=runs.period, PLACES=kept(places), OUT_PLACES=kept(out_places),
            SEGMENTS=keep(taps), QUADS=len(taps) // 4, WEIGHTS=keep(pack_taps(op, order, self.dots)),
            STARTS=keep(starts[order]), **fields,
        )  # fmt: skip

    def add(self, place: int, op: elementwise.Add, a: Image, b: Image, out: Image) -> None:
        """Row by row, of two values of one shape."""
        if len({(x.height, x.row) for x in (a, b, out)}) != 1:
            raise NoProgram
        fields = {"LOW": op.low + 128, "HIGH": op.high + 128}
        self.lines += 1
        line = line_of(op) if self.lines <= MOST_LINES else None
        if line is not None:
            fields |= dict(zip(("MULTIPLIERS", "SHIFTS", "ZERO"), line, strict=True))
        else:
            lanes = self.dots.lanes
            left = side_parameters(op.left_multiplier, -op.left_exponent, lanes)
            right = side_parameters(op.right_multiplier, -op.right_exponent, lanes)
            m, e = np.full(lanes, op.multiplier), np.full(lanes, -op.exponent)
            to = parameters(m, e, op.output_zero + 128, lanes, signed=True)
            if left is None or right is None or to is None:
                raise NoProgram
            fields |= {
                "PARAMETERS": self.constants.keep(np.concatenate([left[0], right[0], to])),
                "A_ZERO": op.left_zero + 128, "B_ZERO": op.right_zero + 128,
                "A_SIGN": left[1], "B_SIGN": right[1], "MINUS": min(op.sign, 0),
            }  # fmt: skip
        self.step(
            Op.ADD_EXACT if line is None else Op.ADD_LINE, place, out.height, chunk=rows_of(out.row),
            SOURCE=a.origin, SOURCE_PITCH=a.pitch, SECOND=b.origin, SECOND_PITCH=b.pitch,
            OUT=out.origin, OUT_PITCH=out.pitch, WIDTH=out.row, **fields,
        )  # fmt: skip

    def table(self, place: int, op: elementwise.Table, x: Image, out: Image) -> None:
        """The table by bytes: entry x + 128 is that of the byte already."""
        table = (op.table.astype(np.int16) + 128).astype(np.uint8)
        self.step(
            Op.TABLE, place, out.height, chunk=rows_of(out.row), SOURCE=x.origin,
            SOURCE_PITCH=x.pitch, OUT=out.origin, OUT_PITCH=out.pitch, WIDTH=out.row,
            PARAMETERS=self.constants.keep(table),
        )  # fmt: skip

    def pool(self, place: int, op: windows.Pool, x: Image, out: Image) -> None:
        """Place by place."""
        ends = {"LOW": op.low + 128, "HIGH": op.high + 128}
        if place not in self.by_runs:
            kind = Op.MAX_POOL if isinstance(op, windows.MaxPool) else Op.AVERAGE_POOL
            self.windowed(place, kind, op.window, x, out, **ends)
            return
        places, out_places, run = x.places(op.window), out.places(POINTS), out.channels
        if op.window.stride[1] == 1:
            run = out.row
            places, out_places = (x.reshape(out.height, -1)[:, 0] for x in (places, out_places))
        taps = x.taps(op.window)
        self.step(
            Op.MAX_RUN, place, len(places), chunk=max(1, CHUNK_BYTES // run), WIDTH=run,
            SOURCE=x.origin, OUT=out.origin, PLACES=self.constants.places(places),
            OUT_PLACES=self.constants.places(out_places), SEGMENTS=self.constants.keep(taps),
            SEGMENT_COUNT=len(taps), **ends,
        )  # fmt: skip

    def sum(self, place: int, op: windows.Sum, x: Image, out: Image) -> None:
        """A window as large as the image."""
        form = self.graph.forms[self.graph.nodes[place].inputs[0]]
        if set(op.axes) != {1, 2} or len(form.shape) != 4 or not out.whole:
            raise NoProgram
        keep = self.constants.keep
        self.windowed(
            place, Op.SUM, Window(x.height, x.width), x, Image(1, 1, x.channels, offset=out.offset),
            LOW=op.low + 128, HIGH=op.high + 128, ZERO=op.output_zero + 128,
            A_ZERO=op.input_zero + 128, MULTIPLIERS=keep(np.array([op.multiplier], np.int64)),
            SHIFTS=keep(np.array([op.exponent], np.int64)),
        )  # fmt: skip

    def windowed(
        self, place: int, kind: Op, window: Window, x: Image, out: Image, **fields: int
    ) -> None:
        """A pool's step."""
        self.scratch = max(self.scratch, x.channels)
        self.step(
            kind, place, out.height * out.width, chunk=max(1, CHUNK_BYTES // out.channels),
            SOURCE=x.origin, SOURCE_PITCH=x.pitch, HEIGHT=x.height, WIDTH=x.width,
            CHANNELS=x.channels, OUT=out.origin, OUT_WIDTH=out.width,
            OUT_PLACES=self.constants.places(out.places(POINTS)), TOP=window.padding[0],
            LEFT=window.padding[1], WINDOW_HEIGHT=window.height, WINDOW_WIDTH=window.width,
            STRIDE_DOWN=window.stride[0], STRIDE_ACROSS=window.stride[1], **fields,
        )  # fmt: skip

    def softmax(self, place: int, op: softmax.Softmax, x: Image, out: Image) -> None:
        """Row by row of the last side."""
        if not (x.whole and out.whole):
            raise NoProgram
        depth = self.graph.forms[len(self.graph.inputs) + place].shape[-1]
        self.step(
            Op.SOFTMAX, place, x.height * x.row // depth, SOURCE=x.origin, OUT=out.origin,
            SOURCE_PITCH=depth, OUT_PITCH=depth, WIDTH=depth,
            PARAMETERS=self.constants.keep(op.exps.astype(np.int32)),
        )  # fmt: skip

    def reshape(self, place: int, op: moves.Reshape, x: Image, out: Image) -> None:  # noqa: ARG002
        """A copy; one of both lies in one piece."""
        if x.whole:
            self.move(Op.COPY, place, x.height * x.row, x.origin, out)
        elif out.whole:
            self.step(
                Op.COPY, place, x.height, chunk=rows_of(x.row), SOURCE=x.origin,
                SOURCE_PITCH=x.pitch, OUT=out.origin, OUT_PITCH=x.row, WIDTH=x.row,
            )  # fmt: skip
        else:
            raise NoProgram

    def pad(self, place: int, op: moves.Pad, x: Image, out: Image) -> None:
        """A copy into the middle, and what is around it."""
        if len(op.before) != 4 or op.before[0] or op.after[0] or op.before[3] or op.after[3]:
            raise NoProgram
        top, left = op.before[1:3]
        bottom, right = op.after[1:3]
        self.step(
            Op.COPY, place, x.height, chunk=rows_of(x.row), SOURCE=x.origin, SOURCE_PITCH=x.pitch,
            OUT=out.origin + top * out.pitch + left * out.channels, OUT_PITCH=out.pitch, WIDTH=x.row,
        )  # fmt: skip
        self.step(
            Op.BORDER, place, out.height, OUT=out.origin, OUT_PITCH=out.pitch, HEIGHT=out.height,
            WIDTH=out.row, ZERO=op.value + 128, TOP=top, BOTTOM=bottom,
            LEFT=left * out.channels, RIGHT=right * out.channels,
        )  # fmt: skip
