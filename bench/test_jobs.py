"""What a job costs who does it, and who checks it; and a network beside its numpy reference.

    make bench

Read as ratios: within a group the same work is done in each way on the same machine.
"""

import numpy as np
import pytest

from engine.jobs.inference import quantise_pixels
from engine.jobs.models import digits
from kernels.data import Data
from kernels.devices import open_device, usable_cores
from kernels.network import Rescale, Window, fast, reference
from kernels.network.layers import Conv2D, Dense, Flatten, Pool
from kernels.network.model import Network, decode_network
from kernels.work.matmul import MatrixWork

N = 2048
TIMES = {"rounds": 7, "warmup_rounds": 1}
RANDOM = np.random.default_rng(0)


def int8(*shape):
    return RANDOM.integers(-128, 128, shape).astype(np.int8)


@pytest.fixture(scope="module")
def device():
    with open_device("cpu", threads=usable_cores()) as cpu:
        yield cpu


@pytest.mark.benchmark(group=f"matmul {N}: run on all cores, checks in numpy on one")
@pytest.mark.parametrize("part", ["run", "check: hash and Freivalds", "check: 32 leaves opened"])
def test_matmul(benchmark, device, part):
    a, b = (Data.of_bytes(int8(N, N).tobytes()) for _ in range(2))
    work = MatrixWork(N, N, N, a, b)
    outcome, tree = work.compute(device)
    leaves = list(range(0, work.leaf_count, work.leaf_count // 32))[:32]
    siblings = tree.siblings(leaves)
    parts = {
        "run": lambda: work.run(device),
        "check: hash and Freivalds": lambda: work.check(outcome),
        "check: 32 leaves opened": lambda: work.check_leaves(outcome.result_hash, leaves, siblings),
    }
    benchmark.pedantic(parts[part], **TIMES)


def conv(outputs, channels):
    to = Rescale(
        np.zeros(outputs, np.int32),
        np.full(outputs, 2**30, np.int32),
        np.full(outputs, 9, np.uint8),
        0,
        0,
        127,
    )
    return Conv2D(int8(outputs, 3, 3, channels), 0, to, Window(3, 3, padding=(1, 1, 1, 1)))


def vgg() -> Network:
    """Two blocks in the style of VGG on 32 x 32 x 3: 41 million multiply-adds a sample."""
    halve = Pool(Window(2, 2, (2, 2)), mean=False)
    to = conv(10, 1).rescale
    layers = (
        conv(64, 3), conv(64, 64), halve,
        conv(128, 64), halve,
        Flatten(), Dense(int8(10, 8 * 8 * 128), 0, to),
    )  # fmt: skip
    return Network((32, 32, 3), layers)


@pytest.mark.benchmark(group="inference: 2,160 digits; 8 samples of a small VGG")
@pytest.mark.parametrize("model", ["digits", "vgg"])
@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_inference(benchmark, device, name, model):
    if model == "digits":
        network = decode_network(digits.model_bytes())
        batch = np.tile(quantise_pixels(network, digits.test_set()[0]), (6, 1, 1, 1))
    else:
        network, batch = vgg(), int8(8, 32, 32, 3)
    forward = (
        (lambda: reference.forward(network, batch))
        if name == "reference"
        else (lambda: fast.forward(network, batch, device))
    )
    benchmark.pedantic(forward, **TIMES)
    if benchmark.stats:
        operations = 2 * network.sample_cost * len(batch)
        benchmark.extra_info["GOP/s"] = round(operations / benchmark.stats.stats.median / 1e9, 1)
