"""A program in the making: its steps one after the other, and its constants."""

import numpy as np

from kernels.cpu.network.layout import Constants, Image
from kernels.cpu.network.steps import FIELDS, Field, Op, Program

CHUNK_BYTES = 1 << 14
"""Of what a thread takes together."""


class Assembly:
    """Takes steps, and gives a program."""

    def __init__(self) -> None:
        self.constants = Constants()
        self.steps: list[dict[Field, int]] = []
        self.nodes: list[int] = []
        self.scratch = 1024

    def step(
        self, op: Op, place: int, count: int, chunk: int = 0, unit: int = 1, **fields: int
    ) -> None:
        """Append a step of this node, with fields by their names.

        A thread takes `chunk` places at once, or all; threads share them in units (Field.UNIT).
        """
        parts = -(-count // unit)
        blocks = -(-fields["N"] // fields["OUTPUTS"]) if "OUTPUTS" in fields else 1
        shares = {
            "OP": op, "COUNT": count, "UNIT": unit, "PARTS": parts, "UNITS": parts * blocks,
            "TAKEN": max(1, (chunk or count) // unit),
        }  # fmt: skip
        self.steps.append({Field[name]: int(x) for name, x in (shares | fields).items()})
        self.nodes.append(place)

    def border(self, place: int, image: Image) -> None:
        """Fill what is around an image: a step beside the one that makes it."""
        if not image.whole:
            top, left, bottom, right = image.halo
            height = image.height + top + bottom
            self.step(
                Op.BORDER, place, height, OUT=image.offset, OUT_PITCH=image.pitch, HEIGHT=height,
                WIDTH=image.pitch, ZERO=image.fill, TOP=top, BOTTOM=bottom,
                LEFT=left * image.channels, RIGHT=right * image.channels, BESIDE=1,
            )  # fmt: skip

    def move(self, op: Op, place: int, size: int, source: int, out: Image) -> None:
        """Bytes that lie in one piece into an image."""
        assert size == out.height * out.row
        height, row = (1, size) if out.whole else (out.height, out.row)
        self.step(
            op, place, height, chunk=rows_of(row), SOURCE=source, SOURCE_PITCH=row,
            OUT=out.origin, OUT_PITCH=out.pitch, WIDTH=row,
        )  # fmt: skip

    def finished(self, arena_bytes: int, columns: int) -> Program:
        """Return the program."""
        steps = np.full((len(self.steps), FIELDS), -1, np.int64)
        for row, step in zip(steps, self.steps, strict=True):
            for name, value in step.items():
                row[name] = value
        nodes, constants = tuple(self.nodes), self.constants.bytes()
        return Program(steps, constants, arena_bytes, self.scratch, nodes, columns)


def rows_of(row: int) -> int:
    """Return how many rows of so many bytes a thread takes together."""
    return max(1, CHUNK_BYTES // row)
