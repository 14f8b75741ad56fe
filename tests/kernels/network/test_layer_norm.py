"""Layer normalisation in integers: the formula of docs/jobs.md in Python's integers, and float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidNetwork
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.normal import ChannelNorm, LayerNorm, Norm, make_norm
from kernels.network.graph.operator import Form


def plain(rows: list[list[int]], layer: Norm) -> list[int]:
    """One normalisation, as docs/jobs.md says it."""
    n = len(rows[0])
    by = [np.broadcast_to(row, n).tolist() for row in layer.rows()]
    terms = list(zip(by, rows, layer.zeros, strict=True))
    t = [sum(m[c] * (row[c] - zero) for m, row, zero in terms) for c in range(n)]
    mean = (2 * sum(t) + n) // (2 * n)
    d = [one - mean for one in t]
    r = math.isqrt(sum(one * one for one in d) + layer.epsilon)
    out = []
    for c in range(n):
        u = (d[c] * (1 << 25) + r) // max(2 * r, 1)
        y = (u * int(layer.factor[c]) + int(layer.offset[c]) + (1 << 39)) // (1 << 40)
        out.append(min(max(y + layer.output_zero, layer.low), layer.high))
    return out


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_formula(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, count = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    extreme = data.draw(st.booleans())
    shared = {
        "zeros": tuple(random.integers(-128, 128, count).tolist()),
        "epsilon": data.draw(st.sampled_from([0, 1, 1000, 1 << 61])),
        "factor": random.integers(-(2**31), 2**31, n).astype(np.int32) >> (0 if extreme else 8),
        "offset": random.integers(-(2**60) + 1, 2**60, n) >> (0 if extreme else 16),
        "output_zero": int(random.integers(-128, 128)), "low": -128, "high": 127,
    }  # fmt: skip
    layer: Norm
    if data.draw(st.booleans()):
        rows = random.integers(0, 1 << (15 if extreme else 9), (count, n)).astype(np.int32)
        layer = ChannelNorm(multipliers=rows, **shared)
    else:
        numbers = [4096] * count if extreme else random.integers(1, 4097, count).tolist()
        layer = LayerNorm(multipliers=tuple(numbers), **shared)
    inputs = [random.integers(-128, 128, (3, 2, n)).astype(np.int8) for _ in range(count)]
    if extreme:
        inputs = [np.where(one > 0, 127, -128).astype(np.int8) for one in inputs]
    made = layer.run(REFERENCE, *inputs)
    for at in np.ndindex(3, 2):
        assert made[at].tolist() == plain([one[at].tolist() for one in inputs], layer)


@pytest.mark.parametrize("n", [8, 384, 1024])
@pytest.mark.parametrize("by_channel", [False, True])
def test_the_error_against_float(n, by_channel):
    """Below a hundredth of a step before rounding."""
    random = np.random.default_rng(n)
    scales, step = [np.array([0.11]), np.array([0.007])], 0.03
    if by_channel:  # one channel a thousand times as large as another
        scales[1] = np.geomspace(0.001, 1, n)
    gamma, beta = random.normal(1, 0.5, n), random.normal(0, 0.5, n)
    ends, narrow = (-128, 127), (False, False)
    layer = make_norm(scales, (3, -20), (gamma, beta, 1e-5), np.array([step]), 0, ends, narrow)
    assert isinstance(layer, ChannelNorm) == by_channel
    a, b = (random.integers(-128, 128, (50, n)).astype(np.int8) for _ in range(2))
    real = scales[0] * (a.astype(np.float64) - 3) + scales[1] * (b.astype(np.float64) + 20)
    centred = real - real.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-5)
    wanted = np.clip((normal * gamma + beta) / step, -128, 127)
    made = layer.run(REFERENCE, a, b)
    assert np.abs(made - wanted).max() < 0.51
    assert np.mean(made != np.rint(wanted)) < 0.01


def test_what_does_not_fit():
    layer = LayerNorm(
        zeros=(0,), multipliers=(1,), epsilon=0, factor=np.ones(4, np.int32),
        offset=np.zeros(4, np.int64), output_zero=0, low=-128, high=127,
    )  # fmt: skip
    assert layer.output(Form((2, 4))) == Form((2, 4))
    rows = np.full((1, 4), 1 << 20, np.int32)
    wide = ChannelNorm(
        zeros=(0,), multipliers=rows, epsilon=0, factor=np.ones(4, np.int32),
        offset=np.zeros(4, np.int64), output_zero=0, low=-128, high=127,
    )  # fmt: skip
    with pytest.raises(InvalidNetwork, match="overflow"):
        replace(wide, multipliers=rows * 4)
    with pytest.raises(InvalidNetwork, match="multipliers"):
        replace(wide, multipliers=-rows)
    for inputs in ((Form((2, 5)),), (Form((2, 4)), Form((2, 4)))):
        with pytest.raises(InvalidNetwork):
            layer.output(*inputs)
    assert not layer.run(REFERENCE, np.zeros((1, 4), np.int8)).any()  # a root of 0 divides nothing
