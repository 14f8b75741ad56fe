"""What is done one entry at a time, or a vector at a time as LLVM likes: roundings, pools, softmax."""

from typing import Any

import numpy as np
from numba import int32, int64, uint8

from kernels.cpu.jit import Jit
from kernels.cpu.network.steps import Field


class Scalar:
    """Helpers of one program, to be called by its kernels."""

    def __init__(self, jit: Jit) -> None:
        helper = jit.helper

        @helper
        def divide(x: int, exponent: int) -> int:
            """RoundingDivideByPOT."""
            mask = (int64(1) << exponent) - int64(1)
            threshold = (mask >> int64(1)) + (int64(1) if x < 0 else int64(0))
            return (x >> exponent) + (int64(1) if (x & mask) > threshold else int64(0))

        @helper
        def high_mul(a: int, b: int) -> int:
            """SaturatingRoundingDoublingHighMul."""
            return min((a * b + (int64(1) << int64(30))) >> int64(31), int64(2**31 - 1))

        @helper
        def twice(x: int, multiplier: int, exponent: int) -> int:
            """MultiplyByQuantizedMultiplier."""
            left = exponent if exponent > 0 else int64(0)
            right = int64(0) if exponent > 0 else -exponent
            return divide(high_mul(x << left, multiplier), right)

        @helper
        def once(x: int, multiplier: int, shift: int) -> int:
            """Rounded once, halves away from zero."""
            y = (abs(x) * multiplier + ((int64(1) << shift) >> int64(1))) >> shift
            return -y if x < 0 else y

        @helper
        def depthwise(step: Any, first: int, last: int, constants: Any, arena: Any) -> None:
            """Some places of a depthwise convolution, with any exponent."""
            n, taps = step[Field.N], step[Field.SEGMENT_COUNT]
            words, wide = constants.view(np.int32), constants.view(np.int64)
            weights = constants[step[Field.WEIGHTS] : step[Field.WEIGHTS] + n * taps].view(np.int8)
            starts, away = step[Field.STARTS] // 4, step[Field.SEGMENTS] // 4
            m, e = step[Field.MULTIPLIERS] // 8, step[Field.SHIFTS] // 8
            for place in range(first, last):
                at = step[Field.SOURCE] + words[step[Field.PLACES] // 4 + place]
                to = step[Field.OUT] + words[step[Field.OUT_PLACES] // 4 + place]
                for c in range(n):
                    total = int64(words[starts + c])
                    for tap in range(taps):
                        x = int64(arena[at + words[away + tap] + c]) - int64(128)
                        total += x * int64(weights[tap * n + c])
                    y = twice(total, wide[m + c], wide[e + c]) + step[Field.ZERO]
                    arena[to + c] = uint8(min(max(y, step[Field.LOW]), step[Field.HIGH]))

        @helper
        def one_over_one_plus(a: int) -> int:
            """one_over_one_plus_x_for_x_in_0_1, as rounding.py has it."""
            half = (a + int64(2**31)) >> int64(1)
            x = int64(1515870810) + high_mul(half, int64(-1010580540))
            for _ in range(3):
                rest = high_mul(x, (int64(1) << int64(29)) - high_mul(half, x))
                x += min(max(rest << int64(2), int64(-(2**31))), int64(2**31 - 1))
            return min(max(x << int64(1), int64(-(2**31))), int64(2**31 - 1))

        @helper
        def softmax(step: Any, constants: Any, arena: Any, row: int) -> None:
            """One row of WIDTH bytes; 256 exponentials at PARAMETERS, int32."""
            exps = constants[step[Field.PARAMETERS] : step[Field.PARAMETERS] + 1024].view(np.int32)
            n = step[Field.WIDTH]
            x = arena[step[Field.SOURCE] + row * n : step[Field.SOURCE] + (row + 1) * n]
            out = arena[step[Field.OUT] + row * n : step[Field.OUT] + (row + 1) * n]
            largest, total, headroom = int64(0), int64(0), int64(0)
            for c in range(n):
                largest = max(largest, int64(x[c]))
            for c in range(n):
                total += divide(int64(exps[largest - int64(x[c])]), int64(12))
            while (total << headroom) < int64(2**31):
                headroom += 1
            scale = one_over_one_plus((total << headroom) - int64(2**31))
            for c in range(n):
                power = int64(exps[largest - int64(x[c])])
                y = divide(high_mul(scale, power), 35 - headroom)
                out[c] = uint8(min(max(y, int64(0)), int64(255)))

        @helper
        def pool(step: Any, arena: Any, sums: Any, place: int, largest: bool) -> int:
            """Sums (or the largest) of what lies in the window and in the image; how many there are."""
            channels = step[Field.CHANNELS]
            i, j = place // step[Field.OUT_WIDTH], place % step[Field.OUT_WIDTH]
            top = i * step[Field.STRIDE_DOWN] - step[Field.TOP]
            left = j * step[Field.STRIDE_ACROSS] - step[Field.LEFT]
            bottom = min(top + step[Field.WINDOW_HEIGHT], step[Field.HEIGHT])
            right = min(left + step[Field.WINDOW_WIDTH], step[Field.WIDTH])
            top, left = max(top, 0), max(left, 0)
            sums[:channels] = int32(0)
            for y in range(top, bottom):
                for z in range(left, right):
                    at = step[Field.SOURCE] + y * step[Field.SOURCE_PITCH] + z * channels
                    seen = arena[at : at + channels]
                    if largest:
                        for c in range(channels):
                            sums[c] = max(sums[c], int32(seen[c]))
                    else:
                        for c in range(channels):
                            sums[c] += int32(seen[c])
            return (bottom - top) * (right - left)

        self.divide, self.twice, self.once = divide, twice, once
        self.softmax, self.pool, self.depthwise = softmax, pool, depthwise
