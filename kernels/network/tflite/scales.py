"""Real scales become integers, exactly as LiteRT prepares a model.

Sources: LiteRT, kernels/internal/quantization_util.cc and kernels/kernel_util.cc. float32 where LiteRT
has float, float64 where it has double: one bit of a multiplier can change an output.
"""

import math
from collections.abc import Callable
from gettext import gettext as _

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph import rounding
from kernels.network.graph.rounding import MOST_INT32

NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
BYTES = np.arange(-128, 128)
"""Every int8, in the order of a table."""
_NUDGE = 1 << 15


def rounded(x: float) -> int:
    """Return TfLiteRound: halves away from zero."""
    if not math.isfinite(x):
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def multiplier_of(real: float) -> tuple[int, int]:
    """Return QuantizeMultiplier: multiplier and exponent, real = multiplier / 2^31 * 2^exponent."""
    if not math.isfinite(real) or real < 0:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    if real == 0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    multiplier = rounded(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, exponent = multiplier // 2, exponent + 1
    if exponent < -31:
        return 0, 0
    if exponent > 30:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    return multiplier, exponent


def once_rounded(real: float, most: int) -> tuple[int, int]:
    """Return multiplier and shift: rounding |sum| * multiplier / 2^shift gives LiteRT's int8.

    Its reference kernel for FULLY_CONNECTED gives round(double(sum) * real). For m = 1 to 256 let b be
    the least sum that gives m there, as far as sums reach (`most`): the integers must say m at b, and
    less at b - 1. That is an interval for the multiplier, which has up to 40 bits.
    """
    if not math.isfinite(real) or not 2.0**-40 < real <= 1 << 20 or real * most >= 1 << 31:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    bits = min(40, 61 - most.bit_length())
    shift = min(62, bits - math.frexp(real)[1])
    least, above = 0, 1 << 62
    for m in range(1, 257):
        b = max(1, math.floor((m - 0.5) / real) - 1)
        while abs(_round_double(b * real)) < m:
            b += 1
        if b > most:
            above = min(above, -(-((2 * m - 1) << shift) // (2 * most)))
            break
        least = max(least, -(-((2 * m - 1) << shift) // (2 * b)))
        if b > 1:
            above = min(above, -(-((2 * m - 1) << shift) // (2 * (b - 1))))
    if least >= above:
        raise InvalidNetwork(_("a scale of the file has no equal in integers"))
    wanted = round(math.ldexp(real, shift))
    return min(max(wanted, least), above - 1), shift


def _round_double(x: float) -> int:
    """Return C's round: halves away from zero, exactly."""
    whole = math.trunc(x)
    return whole + (int(math.copysign(1, x)) if abs(x - whole) >= 0.5 else 0)


def divided(a: np.float32, b: np.float32) -> float:
    """Return the quotient in float32."""
    with np.errstate(all="ignore"):
        return float(np.float32(a) / np.float32(b))


def activation_range(activation: int, scale: np.float32, zero: int) -> tuple[int, int]:
    """Return where a fused activation clamps: CalculateActivationRangeQuantized for int8."""

    def quantised(real: float) -> int:
        return zero + rounded(divided(np.float32(real), scale))

    match activation:
        case 0:
            return -128, 127
        case 1:
            return max(-128, min(127, quantised(0))), 127
        case 2:
            return max(-128, quantised(-1)), min(127, quantised(1))
        case 3:
            return max(-128, quantised(0)), min(127, quantised(6))
    raise InvalidNetwork(_("the fused activation {number} is not known").format(number=activation))


def requantised(multiplier: tuple[int, int], input_zero: int, zero: int) -> npt.NDArray[np.int8]:
    """Return the table of Requantize: another scale and zero point."""
    return clipped(_scaled(BYTES - input_zero, *multiplier) + zero)


def relu_table(
    multiplier: tuple[int, int], input_zero: int, zero: int, low: int, high: int
) -> npt.NDArray[np.int8]:
    """Return the table of a RELU that stands alone."""
    table = _scaled(BYTES - input_zero, *multiplier) + zero
    return np.clip(table, low, high).astype(np.int8)


def leaky_table(
    identity: tuple[int, int], alpha: tuple[int, int], input_zero: int, zero: int
) -> npt.NDArray[np.int8]:
    """Return the table of QuantizeLeakyRelu."""
    real = BYTES - input_zero
    scaled = np.where(real >= 0, _scaled(real, *identity), _scaled(real, *alpha))
    return clipped(scaled + zero)


def function_table(
    function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    x: tuple[np.float32, int],
    y: tuple[np.float32, int],
) -> npt.NDArray[np.int8]:
    """Return LUTPopulateInt8: a real function of each entry, in float32.

    The function itself is computed in float64 and rounded once; the C library's float32 function may
    differ in its last bit, which decides an entry only where the result lies on the edge of rounding.
    """
    with np.errstate(all="ignore"):
        real = np.float32(x[0]) * (BYTES - x[1]).astype(np.float32)
        made = function(real.astype(np.float64)).astype(np.float32)
        scaled = made * (np.float32(1) / np.float32(y[0]))
    if not np.isfinite(scaled).all():
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    whole = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
    return clipped(np.clip(whole, -(2.0**30), 2.0**30).astype(np.int64) + y[1])


def hard_swish_table(x: tuple[np.float32, int], y: tuple[np.float32, int]) -> npt.NDArray[np.int8]:
    """Return the table of reference_ops::HardSwish, in 16 bits of fixed point."""
    fine = np.float32(1 / 128) * np.float32(x[0])
    output = multiplier_of(divided(fine, np.float32(y[0])))
    reluish = multiplier_of(divided(fine, np.float32(3 / 32768)))
    if output[1] > 0:
        raise InvalidNetwork(_("a hard swish whose output is finer than its input"))
    value = (BYTES - x[1]).astype(np.int64) << 7
    on_output = _high_mul_16(value, _down_16(output[0]))
    if reluish[1] > 0:
        value = _clip_16(value << (reluish[1] - 1))
    value = _high_mul_16(value, _down_16(reluish[0]))
    if reluish[1] > 0:
        value = _clip_16(value << 1)
    if reluish[1] < 0:
        value = rounding.divide_by_pot(value, -reluish[1])
    value = (value + (1 << 15)) >> 1
    product = value * on_output
    made = np.sign(product) * (np.abs(product) >> 15)
    return clipped(rounding.divide_by_pot(made, -output[1]) + y[1])


def softmax_exps(beta: float, scale: np.float32) -> npt.NDArray[np.int32]:
    """Return exp of minus each difference, 0 to 255, in Q0.31; 0 below LiteRT's `diff_min`."""
    real = min(float(np.float32(beta)) * float(scale) * (1 << 26), (1 << 31) - 1.0)
    if not real > 1:
        raise InvalidNetwork(_("a softmax whose scale is too small"))
    multiplier, shift = multiplier_of(real)
    radius = math.floor(31 * (1 << 26) / (1 << shift))
    differences = np.arange(256, dtype=np.int64)
    used = differences <= radius
    scaled = rounding.high_mul(-(differences * used) << shift, multiplier)
    return np.where(used, rounding.exp_of_negative(scaled), 0).astype(np.int32)


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Return the multiplier of a mean: 1 / count is taken into it, as QuantizedMeanOrSum does."""
    multiplier, exponent = multiplier_of(real)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


def clipped(values: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
    """Return these as int8."""
    return np.clip(values, -128, 127).astype(np.int8)


def _scaled(x: npt.NDArray[np.integer], multiplier: int, exponent: int) -> npt.NDArray[np.int64]:
    if int(np.abs(x).max()) << max(exponent, 0) > MOST_INT32:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    return rounding.scale(x.astype(np.int64), multiplier, exponent)


def _down_16(multiplier: int) -> int:
    """Return DownScaleInt32ToInt16Multiplier."""
    return (1 << 15) - 1 if multiplier >= MOST_INT32 - _NUDGE else (multiplier + _NUDGE) >> 16


def _high_mul_16(a: npt.NDArray[np.int64], b: int) -> npt.NDArray[np.int64]:
    """Return SaturatingRoundingDoublingHighMul of 16 bits."""
    ab = a * b
    nudged = ab + np.where(ab >= 0, 1 << 14, 1 - (1 << 14))
    return np.sign(nudged) * (np.abs(nudged) >> 15)


def _clip_16(a: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.clip(a, -(1 << 15), (1 << 15) - 1)
