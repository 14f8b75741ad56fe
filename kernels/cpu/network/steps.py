"""The language of a program: what its steps are, and where a step has which number.

A program is int64[steps][FIELDS]. Places of values are distances in the arena, where a thread keeps
one sample's values: bytes, int8 with 128 added. Places of tables and weights are distances in the
constants. A value is an image of `height` rows, `pitch` bytes apart, of pixels of `channels` bytes,
with room around it for what a later window sees outside (halo); place 0 is its first pixel.
"""

from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt


class Op(IntEnum):
    """What a step does."""

    LOAD = 0
    """The sample's bytes: SOURCE in the sample, HEIGHT rows of WIDTH bytes."""
    STORE = auto()
    """The same the other way; OUT is in the output."""
    COPY = auto()
    """HEIGHT rows of WIDTH bytes."""
    BORDER = auto()
    """ZERO around HEIGHT rows of WIDTH bytes at OUT: TOP and BOTTOM rows, LEFT and RIGHT bytes."""
    TABLE = auto()
    """Byte by byte through 256 of them."""
    PRODUCT = auto()
    """A convolution or a fully connected layer (tiles.py)."""
    DEPTHWISE = auto()
    """By depthwise.py: COUNT runs of WIDTH bytes."""
    DEPTHWISE_ENTRIES = auto()
    """Entry by entry, with any exponent."""
    ADD_LINE = auto()
    ADD_EXACT = auto()
    MAX_RUN = auto()
    """A max pool by pool.py: COUNT runs of WIDTH bytes."""
    MAX_POOL = auto()
    """Place by place, within an image that has other bytes around it."""
    AVERAGE_POOL = auto()
    SUM = auto()
    SOFTMAX = auto()


class Scaling(IntEnum):
    """How sums become bytes."""

    PLAIN = 0
    """By requantise.py, without a term for negative sums."""
    SIGNED = 1
    """With it."""
    TWICE = 2
    """One by one: any exponent."""
    ONCE = 3
    """One by one, rounded once."""


class Field(IntEnum):
    """Where a step has which number; a step uses some of them."""

    OP = 0
    COUNT, UNIT, OUTPUTS = auto(), auto(), auto()
    """Places (or rows); threads share them in units of so many places by so many outputs."""
    PARTS, UNITS, TAKEN = auto(), auto(), auto()
    """Units of the same outputs, all units, and those that a thread takes at once."""
    BESIDE = auto()
    """1: threads do not wait for the end of this step before they begin the next."""
    SOURCE, OUT, SECOND = auto(), auto(), auto()
    """Values in the arena: the first input, the output, the second input."""
    SOURCE_PITCH, OUT_PITCH, SECOND_PITCH = auto(), auto(), auto()
    """Bytes from row to row."""
    HEIGHT, WIDTH, CHANNELS = auto(), auto(), auto()
    LOW, HIGH, ZERO = auto(), auto(), auto()
    """Of the output, as bytes."""
    PLACES, OUT_PLACES = auto(), auto()
    """int32 distances of each place in the source, and in the output."""
    SEGMENTS, SEGMENT_COUNT, QUADS = auto(), auto(), auto()
    WEIGHTS, STARTS = auto(), auto()
    N = auto()
    """Outputs."""
    SCALING, PARAMETERS = auto(), auto()
    MULTIPLIERS, SHIFTS = auto(), auto()
    """int64, for what is scaled one by one."""
    PERIOD = auto()
    """Vectors after which a run's channels come again."""
    ABSORBED = auto()
    """int32: what sums have more than x * w."""
    COLUMN = auto()
    """Where the layer's sums begin in a result that commits to them."""
    DIGITS, WEIGHTS_SUM, RANDOM = auto(), auto(), auto()
    """For a check (check.py), in its secrets: W r in digits, 128 * its sum, and r."""
    TOP, LEFT, BOTTOM, RIGHT = auto(), auto(), auto(), auto()
    WINDOW_HEIGHT, WINDOW_WIDTH, STRIDE_DOWN, STRIDE_ACROSS = auto(), auto(), auto(), auto()
    OUT_WIDTH = auto()
    """Places in a row of the output."""
    A_ZERO, B_ZERO, A_SIGN, B_SIGN, MINUS = (auto() for _ in range(5))
    """Of an addition."""


FIELDS = 64


class Memory(IntEnum):
    """Which number is where in the table of a thread's memory, int64: addresses, mostly."""

    CONSTANTS = 0
    SECRETS = auto()
    """0 where nothing is checked."""
    ARENA = auto()
    SCRATCH = auto()
    SAMPLE, OUT = auto(), auto()
    """int8, of the sample that is worked on."""
    SUMS = auto()
    """int32 that a result commits to; 0: none."""
    STEPS, STEP_COUNT = auto(), auto()
    COUNTERS, THREAD, THREADS = auto(), auto(), auto()
    """For threads that share a sample: counters, zeros at first, and which of how many this one is."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What Kernels.run works through."""

    steps: npt.NDArray[np.int64]
    constants: npt.NDArray[np.uint8]
    arena_bytes: int
    scratch: int
    """Sums that a thread holds at once."""
    nodes: tuple[int, ...]
    """The node that each step is of; -1: none."""
    columns: int
    """Entries of a sample's outputs."""
