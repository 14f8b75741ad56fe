"""Layers in numpy and on devices: against plain Python, bit for bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidNetwork
from kernels.network import Rescale, Window, cpu, fast, reference
from kernels.network.layers import ArgMax, Conv2D, Dense, Flatten, Pool
from kernels.network.model import Network
from kernels.network.quantise import Scale, as_multiplier
from tests.kernels.network import oracle
from tests.kernels.network.conftest import networks

OPERATIONS = pytest.mark.parametrize("operations", [reference.OPERATIONS, cpu.OPERATIONS])
SHARED = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
INT32 = st.integers(-(2**31), 2**31 - 1)


def samples(network: Network, count: int, number: int):
    shape = (count, *network.input_shape)
    return np.random.default_rng(number).integers(-128, 128, shape).astype(np.int8)


@SHARED
@given(networks(), st.integers(1, 3), st.integers(0, 2**32))
def test_networks_like_plain_python_on_every_device(cpu, reference, network, count, number):
    batch = samples(network, count, number)
    expected = [oracle.infer(network, sample) for sample in batch]
    from kernels.network.reference import forward

    plain = forward(network, batch)
    assert plain.tolist() == expected
    assert plain.dtype.itemsize == network.entry_bytes
    assert plain.shape == (count, network.columns)
    for device in (cpu, reference):
        outputs = fast.forward(network, batch, device)
        assert outputs.dtype == plain.dtype
        assert outputs.tolist() == expected


@OPERATIONS
@settings(deadline=None, max_examples=150)
@given(
    total=INT32,
    multiplier=st.integers(2**30, 2**31 - 1),
    shift=st.integers(0, 31),
    zero=st.integers(-128, 127),
)
@example(total=-(2**31), multiplier=2**31 - 1, shift=0, zero=0)
@example(total=1, multiplier=2**30, shift=0, zero=0)  # exactly one half
@example(total=-1, multiplier=2**30, shift=0, zero=0)
@example(total=-5, multiplier=2**30, shift=1, zero=3)
@example(total=3, multiplier=2**30, shift=1, zero=3)
def test_rounding_is_gemmlowps(operations, total, multiplier, shift, zero):
    """The sums wrap nowhere: bias 0, so that the sum is the whole range of int32."""
    to = Rescale(
        np.zeros(1, np.int32),
        np.array([multiplier], np.int32),
        np.array([shift], np.uint8),
        zero,
        -128,
        127,
    )
    out = operations.rescale(np.array([[total]], np.int32), to)
    assert out.dtype == np.int8
    assert out[0, 0] == oracle.requantise(total, multiplier, shift, zero, -128, 127)


@OPERATIONS
@SHARED
@given(networks(), st.integers(0, 2**32), st.integers(-128, 127))
def test_patches(operations, network, number, zero):
    batch = samples(network, 2, number)
    for layer in network.layers[:1]:
        if not isinstance(layer, Conv2D):
            return
        rows = operations.patches(batch, layer.window, zero)
        expected = []
        for image in batch:
            height, width, channels = image.shape
            for y, x in oracle.places(layer.window, height, width):
                row = []
                for i in range(y, y + layer.window.height):
                    for j in range(x, x + layer.window.width):
                        inside = 0 <= i < height and 0 <= j < width
                        row += image[i, j].tolist() if inside else [zero] * channels
                expected.append(row)
        assert rows.tolist() == expected


def test_groups_of_samples_give_what_one_gives(cpu, monkeypatch):
    weights = np.arange(-60, 60, dtype=np.int8).reshape(10, 12)
    to = Rescale(
        np.zeros(10, np.int32), np.full(10, 2**30, np.int32), np.full(10, 7, np.uint8), 0, -128, 127
    )
    network = Network((2, 2, 3), (Flatten(), Dense(weights, 3, to)))
    batch = samples(network, 25, 1)
    whole = fast.forward(network, batch, cpu)
    monkeypatch.setattr(fast, "GROUP_BYTES", 3 * network.sample_bytes)
    assert fast.group_size(network) == 3
    assert np.array_equal(fast.forward(network, batch, cpu), whole)


def some_rescale(outputs=1, **changes) -> Rescale:
    fields = {
        "bias": np.zeros(outputs, np.int32),
        "multiplier": np.full(outputs, 2**30, np.int32),
        "shift": np.zeros(outputs, np.uint8),
        "zero": 0,
        "low": -128,
        "high": 127,
    }
    return Rescale(**fields | changes)


def test_sums_that_could_overflow_are_refused():
    weights = np.full((1, 65_536), -128, np.int8)
    most = 2**31 - 1 - 2**30  # of what is left beside the products
    Dense(weights, 0, some_rescale(bias=np.array([most], np.int32)))
    for bias, zero in ((most + 1, 0), (-most - 1, 0), (most, 1), (0, -128)):
        with pytest.raises(InvalidNetwork, match="overflow"):
            Dense(weights, zero, some_rescale(bias=np.array([bias], np.int32)))
    with pytest.raises(InvalidNetwork, match="too long"):
        Dense(np.zeros((1, 65_537), np.int8), 0, some_rescale())


def test_extreme_sums(cpu, reference):
    """The largest sums that are allowed, of either sign, on every path."""
    weights = np.stack([np.full(65_536, w, np.int8) for w in (-128, 127, -128)])
    bias = np.array([2**30 - 1, -(2**30) + 1, -(2**30) + 1], np.int32)
    to = some_rescale(3, bias=bias, shift=np.full(3, 24, np.uint8))
    network = Network((65_536,), (Dense(weights, 0, to),))
    batch = np.stack([np.full(65_536, x, np.int8) for x in (-128, 127)])
    expected = [oracle.infer(network, sample) for sample in batch]
    for device in (cpu, reference):
        assert fast.forward(network, batch, device).tolist() == expected


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((4,), (Dense(np.ones((2, 3), np.int8), 0, some_rescale(2)),)),
        ((2, 2, 1), (Dense(np.ones((2, 4), np.int8), 0, some_rescale(2)),)),
        ((4,), (Pool(Window(1, 1), mean=False),)),
        ((2, 2, 1), (Pool(Window(3, 1), mean=True),)),
        ((2, 2, 2), (Conv2D(np.ones((1, 1, 1, 3), np.int8), 0, some_rescale(), Window(1, 1)),)),
        ((2, 2, 2), (ArgMax(),)),
        ((4,), (ArgMax(), Flatten())),
        ((4,), ()),
        ((4,), (Flatten(),) * 257),
        ((65_536, 65_536, 1), (Flatten(),)),
    ],
)
def test_layers_that_do_not_fit(shape, layers):
    with pytest.raises(InvalidNetwork):
        Network(shape, layers)


@pytest.mark.parametrize(
    "changes",
    [
        {"multiplier": np.array([2**30 - 1], np.int32)},
        {"shift": np.array([32], np.uint8)},
        {"low": 5, "high": 4},
    ],
)
def test_rescaling_that_is_none(changes):
    with pytest.raises(InvalidNetwork):
        Dense(np.ones((1, 1), np.int8), 0, some_rescale(**changes))


def test_what_a_network_costs():
    conv = Conv2D(np.ones((4, 3, 3, 2), np.int8), 0, some_rescale(4), Window(3, 3))
    network = Network((6, 6, 2), (conv, Pool(Window(2, 2, (2, 2)), mean=True), Flatten(), ArgMax()))
    assert network.sample_cost == 16 * 4 * 18 + 4 * 4 * 4 + 16
    assert network.sample_bytes == 6 * 6 * 2 + 16 * (18 + 4 * 4) + 4 * 64
    assert (network.columns, network.entry_bytes) == (1, 4)


@settings(max_examples=100)
@given(st.floats(2.0**-31, 1, exclude_max=True))
def test_multipliers_are_as_near_as_31_bits_allow(real):
    try:
        multiplier, shift = as_multiplier(np.array([real]))
    except InvalidNetwork:
        assert real > 1 - 2**-31 or real < 2**-31
        return
    assert 2**30 <= multiplier[0] < 2**31
    assert abs(int(multiplier[0]) / 2**31 / 2 ** int(shift[0]) - real) <= real * 2**-31


def test_multipliers_out_of_range():
    for real in (1.0, 1.5, 2.0**-40):
        with pytest.raises(InvalidNetwork):
            as_multiplier(np.array([real]))
    assert as_multiplier(np.array([0.5 - 2**-40]))[0][0] == 2**30  # rounds up to the next power


@given(st.floats(-100, 100), st.floats(0, 100))
def test_scales_hold_zero_exactly(low, width):
    scale = Scale.of_range(low, low + width)
    assert -128 <= scale.zero <= 127
    for bound in (min(low, 0.0), max(low + width, 0.0)):
        assert (
            abs(
                scale.scale
                * (np.clip(round(bound / scale.scale) + scale.zero, -128, 127) - scale.zero)
                - bound
            )
            <= 1.01 * scale.scale
        )
