"""Random networks that are valid."""

import numpy as np
from hypothesis import strategies as st

from kernels.network import Rescale, Window
from kernels.network.layers import ArgMax, Conv2D, Dense, Flatten, Pool
from kernels.network.model import Network


def rescale(random, outputs: int, terms: int) -> Rescale:
    """One whose outputs use the range of int8: sums are of the order 5,000 * sqrt(terms)."""
    wide = int(np.log2(5000 * terms**0.5 / 40))
    low = int(random.integers(-128, 0))
    return Rescale(
        bias=random.integers(-(2**16), 2**16, outputs).astype(np.int32),
        multiplier=random.integers(2**30, 2**31, outputs).astype(np.int32),
        shift=random.integers(max(0, wide - 1), wide + 1, outputs).astype(np.uint8),
        zero=int(random.integers(-128, 128)),
        low=low,
        high=int(random.integers(low, 128)) if random.random() < 0.3 else 127,
    )


@st.composite
def networks(draw) -> Network:
    """Up to two convolutions and a pool, flattened, up to two dense layers, argmax or not."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = draw(st.integers(1, 5))
    shape, layers = (height, width, channels), []
    for _ in range(draw(st.integers(0, 2))):
        kh, kw = draw(st.integers(1, min(4, shape[0]))), draw(st.integers(1, min(4, shape[1])))
        strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        if draw(st.booleans()):
            sides = [draw(st.integers(0, side - 1)) for side in (kh, kw, kh, kw)]
            outputs = draw(st.integers(1, 6))
            weights = random.integers(-128, 128, (outputs, kh, kw, shape[2])).astype(np.int8)
            window = Window(kh, kw, strides, tuple(sides))
            zero = int(random.integers(-128, 128))
            to = rescale(random, outputs, weights[0].size)
            layers.append(Conv2D(weights, zero, to, window))
        else:
            layers.append(Pool(Window(kh, kw, strides), draw(st.booleans())))
        shape = layers[-1].output(shape)
    layers.append(Flatten())
    shape = layers[-1].output(shape)
    for _ in range(draw(st.integers(0, 2))):
        outputs = draw(st.integers(1, 40))
        weights = random.integers(-128, 128, (outputs, shape[0])).astype(np.int8)
        zero = int(random.integers(-128, 128))
        layers.append(Dense(weights, zero, rescale(random, outputs, shape[0])))
        shape = (outputs,)
    if draw(st.booleans()):
        layers.append(ArgMax())
    return Network((height, width, channels), tuple(layers))
