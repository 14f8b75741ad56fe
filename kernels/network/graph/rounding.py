"""Fixed-point arithmetic of gemmlowp and LiteRT in numpy: int64 in and out, values of int32.

Sources: gemmlowp, fixedpoint/fixedpoint.h; LiteRT, kernels/internal/common.cc, with double rounding
(its default), which is what its reference kernels for int8 use.
"""

import numpy as np
import numpy.typing as npt

Wide = npt.NDArray[np.int64]
LEAST_INT32, MOST_INT32 = -(1 << 31), (1 << 31) - 1


def high_mul(a: Wide, b: Wide | int) -> Wide:
    """Return SaturatingRoundingDoublingHighMul: a * b / 2^31, halves upwards.

    gemmlowp adds 2^30, or 1 - 2^30 to a negative product, and divides towards zero: floor(x + 1/2).
    """
    return np.minimum((a * b + (1 << 30)) >> 31, MOST_INT32)


def divide_by_pot(x: Wide, exponent: Wide | int) -> Wide:
    """Return RoundingDivideByPOT: x / 2^exponent, halves away from zero."""
    mask = (np.int64(1) << exponent) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def scale(x: Wide, multiplier: Wide | int, exponent: Wide | int) -> Wide:
    """Return MultiplyByQuantizedMultiplier: about x * multiplier / 2^31 * 2^exponent."""
    left, right = np.maximum(exponent, 0), np.maximum(np.negative(exponent), 0)
    return divide_by_pot(high_mul(x << left, multiplier), right)


def shift_left(x: Wide, exponent: int) -> Wide:
    """Return SaturatingRoundingMultiplyByPOT for an exponent of 0 or more."""
    return np.clip(x << exponent, LEAST_INT32, MOST_INT32)


def one_over_one_plus(a: Wide) -> Wide:
    """Return one_over_one_plus_x_for_x_in_0_1 of gemmlowp: Q0.31 in and out, three Newton steps."""
    half = (a + MOST_INT32 + 1) >> 1  # RoundingHalfSum of two numbers that are not negative
    x = 1515870810 + high_mul(half, -1010580540)  # Q2.29: 48/17 - 32/17 * half
    for _ in range(3):
        x = x + shift_left(high_mul(x, (1 << 29) - high_mul(half, x)), 2)
    return shift_left(x, 1)


_EXP_STEPS = (
    (24, 1672461947),
    (25, 1302514674),
    (26, 790015084),
    (27, 290630308),
    (28, 39332535),
    (29, 720401),
    (30, 242),
)
"""Bit of a Q5.26 number, and exp(-its weight) in Q0.31."""


def exp_of_negative(a: Wide) -> Wide:
    """Return exp_on_negative_values of gemmlowp: exp(a), a <= 0 in Q5.26, in Q0.31."""
    quarter = 1 << 24
    modulo = (a & (quarter - 1)) - quarter
    x = (modulo << 5) + (1 << 28)
    squared = high_mul(x, x)
    cubed, fourth = high_mul(squared, x), high_mul(squared, squared)
    sixth = high_mul(divide_by_pot(fourth, 2) + cubed, 715827883)
    result = 1895147668 + high_mul(x + divide_by_pot(sixth + squared, 1), 1895147668)
    result = np.minimum(result, MOST_INT32)
    remainder = modulo - a
    for bit, multiplier in _EXP_STEPS:
        result = np.where(remainder & (1 << bit), high_mul(result, multiplier), result)
    return np.where(a == 0, MOST_INT32, result)
