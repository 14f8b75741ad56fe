"""What is done one entry at a time, or a vector at a time as LLVM likes: roundings, pools, softmax."""

from dataclasses import dataclass
from typing import Any

from numba import int64

from kernels.cpu.ir import fill_bytes
from kernels.cpu.jit import Jit
from kernels.cpu.network.access import (
    add_bytes,
    byte_at,
    field,
    int32_at,
    int64_at,
    keep_larger,
    put_byte,
)
from kernels.cpu.network.steps import Field, Memory, Op


@dataclass(frozen=True, slots=True)
class Roundings:
    """Helpers of one program, to be called by its kernels."""

    divide: Any
    high_mul: Any
    twice: Any
    once: Any


def build_roundings(jit: Jit) -> Roundings:
    """Return LiteRT's roundings of int64."""

    @jit.helper
    def divide(x: int, exponent: int) -> int:
        """RoundingDivideByPOT."""
        mask = (int64(1) << exponent) - int64(1)
        threshold = (mask >> int64(1)) + (int64(1) if x < 0 else int64(0))
        return (x >> exponent) + (int64(1) if (x & mask) > threshold else int64(0))

    @jit.helper
    def high_mul(a: int, b: int) -> int:
        """SaturatingRoundingDoublingHighMul."""
        return min((a * b + (int64(1) << int64(30))) >> int64(31), int64(2**31 - 1))

    @jit.helper
    def twice(x: int, multiplier: int, exponent: int) -> int:
        """MultiplyByQuantizedMultiplier."""
        left = exponent if exponent > 0 else int64(0)
        right = int64(0) if exponent > 0 else -exponent
        return divide(high_mul(x << left, multiplier), right)

    @jit.helper
    def once(x: int, multiplier: int, shift: int) -> int:
        """Rounded once, halves away from zero."""
        y = (abs(x) * multiplier + ((int64(1) << shift) >> int64(1))) >> shift
        return -y if x < 0 else y

    return Roundings(divide, high_mul, twice, once)


def build_entries(jit: Jit, roundings: Roundings) -> Any:
    """Return entries(step, first, last, memory), a depthwise convolution entry by entry."""
    twice = roundings.twice

    @jit.helper
    def entries(step: int, first: int, last: int, memory: int) -> None:
        """Some places of a depthwise convolution, with any exponent."""
        base, arena = field(memory, Memory.CONSTANTS), field(memory, Memory.ARENA)
        n, taps = field(step, Field.N), field(step, Field.SEGMENT_COUNT)
        weights, starts = base + field(step, Field.WEIGHTS), base + field(step, Field.STARTS)
        away, zero = base + field(step, Field.SEGMENTS), field(step, Field.ZERO)
        m, e = base + field(step, Field.MULTIPLIERS), base + field(step, Field.SHIFTS)
        low, high = field(step, Field.LOW), field(step, Field.HIGH)
        for place in range(first, last):
            at = arena + field(step, Field.SOURCE)
            at += int32_at(base + field(step, Field.PLACES) + 4 * place)
            to = arena + field(step, Field.OUT)
            to += int32_at(base + field(step, Field.OUT_PLACES) + 4 * place)
            for c in range(n):
                total = int32_at(starts + 4 * c)
                for tap in range(taps):
                    x = byte_at(at + int32_at(away + 4 * tap) + c) - 128
                    # Weights have 128 added, too: only unsigned bytes are read.
                    total += x * (byte_at(weights + tap * n + c) - 128)
                y = twice(total, int64_at(m + 8 * c), int64_at(e + 8 * c)) + zero
                put_byte(to + c, min(max(y, low), high))

    return entries


def build_softmax(jit: Jit, roundings: Roundings) -> Any:
    """Return softmax(step, row, memory)."""
    divide, high_mul = roundings.divide, roundings.high_mul

    @jit.helper
    def one_over_one_plus(a: int) -> int:
        """one_over_one_plus_x_for_x_in_0_1, as rounding.py has it."""
        half = (a + int64(2**31)) >> int64(1)
        x = int64(1515870810) + high_mul(half, int64(-1010580540))
        for _ in range(3):
            rest = high_mul(x, (int64(1) << int64(29)) - high_mul(half, x))
            x += min(max(rest << int64(2), int64(-(2**31))), int64(2**31 - 1))
        return min(max(x << int64(1), int64(-(2**31))), int64(2**31 - 1))

    @jit.helper
    def softmax(step: int, row: int, memory: int) -> None:
        """One row of WIDTH bytes; 256 exponentials at PARAMETERS, int32."""
        exps = field(memory, Memory.CONSTANTS) + field(step, Field.PARAMETERS)
        n = field(step, Field.WIDTH)
        arena = field(memory, Memory.ARENA) + row * n
        x, to = arena + field(step, Field.SOURCE), arena + field(step, Field.OUT)
        largest, total, headroom = int64(0), int64(0), int64(0)
        for c in range(n):
            largest = max(largest, byte_at(x + c))
        for c in range(n):
            total += divide(int32_at(exps + 4 * (largest - byte_at(x + c))), int64(12))
        while (total << headroom) < int64(2**31):
            headroom += 1
        scale = one_over_one_plus((total << headroom) - int64(2**31))
        for c in range(n):
            power = int32_at(exps + 4 * (largest - byte_at(x + c)))
            y = divide(high_mul(scale, power), 35 - headroom)
            put_byte(to + c, min(max(y, int64(0)), int64(255)))

    return softmax


def build_window(jit: Jit) -> Any:
    """Return seen(step, place, memory), what a pool sees at a place."""

    @jit.helper
    def seen(step: int, place: int, memory: int) -> int:
        """Sums (or the largest) of what lies in the window and in the image; how many there are."""
        channels, scratch = field(step, Field.CHANNELS), field(memory, Memory.SCRATCH)
        width = field(step, Field.OUT_WIDTH)
        top = place // width * field(step, Field.STRIDE_DOWN) - field(step, Field.TOP)
        left = place % width * field(step, Field.STRIDE_ACROSS) - field(step, Field.LEFT)
        bottom = min(top + field(step, Field.WINDOW_HEIGHT), field(step, Field.HEIGHT))
        right = min(left + field(step, Field.WINDOW_WIDTH), field(step, Field.WIDTH))
        top, left = max(top, 0), max(left, 0)
        fill_bytes(scratch, int64(0), 4 * channels)
        image = field(memory, Memory.ARENA) + field(step, Field.SOURCE)
        for y in range(top, bottom):
            for z in range(left, right):
                at = image + y * field(step, Field.SOURCE_PITCH) + z * channels
                if field(step, Field.OP) == Op.MAX_POOL:
                    keep_larger(scratch, at, channels)
                else:
                    add_bytes(scratch, at, channels)
        return (bottom - top) * (right - left)

    return seen
