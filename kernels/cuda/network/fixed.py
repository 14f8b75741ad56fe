"""Fixed-point arithmetic of gemmlowp and LiteRT for kernels, in int64: `kernels.network.graph.rounding`
has the same in numpy, with the sources.
"""

from typing import Any

from kernels.cuda.network.kernel import device

_MOST_INT32 = (1 << 31) - 1


@device
def divide(x: Any, exponent: Any) -> Any:
    """RoundingDivideByPOT: x / 2^exponent, halves away from zero."""
    mask = (1 << exponent) - 1
    threshold = mask >> 1
    if x < 0:
        threshold += 1
    quotient = x >> exponent
    if (x & mask) > threshold:
        quotient += 1
    return quotient


@device
def high_mul(a: Any, b: Any) -> Any:
    """SaturatingRoundingDoublingHighMul: a * b / 2^31, halves upwards."""
    return min((a * b + (1 << 30)) >> 31, _MOST_INT32)


@device
def scale(x: Any, multiplier: Any, exponent: Any) -> Any:
    """MultiplyByQuantizedMultiplier: about x * multiplier / 2^31 * 2^exponent."""
    left = max(exponent, 0)
    return divide(high_mul(x << left, multiplier), left - exponent)


@device
def scale_once(x: Any, multiplier: Any, shift: Any) -> Any:
    """X * multiplier / 2^shift, halves away from zero."""
    magnitude = (abs(x) * multiplier + ((1 << shift) >> 1)) >> shift
    if x < 0:
        return -magnitude
    return magnitude


@device
def clamp(x: Any, low: Any, high: Any) -> Any:
    """The nearest to x from low to high."""
    return min(max(x, low), high)


@device
def shift_left(x: Any, exponent: Any) -> Any:
    """SaturatingRoundingMultiplyByPOT for an exponent of 0 or more."""
    return clamp(x << exponent, -_MOST_INT32 - 1, _MOST_INT32)


@device
def one_over_one_plus(a: Any) -> Any:
    """one_over_one_plus_x_for_x_in_0_1 of gemmlowp: Q0.31 in and out, three Newton steps."""
    half = (a + _MOST_INT32 + 1) >> 1
    x = 1515870810 + high_mul(half, -1010580540)
    for _ in range(3):
        x = x + shift_left(high_mul(x, (1 << 29) - high_mul(half, x)), 2)
    return shift_left(x, 1)
