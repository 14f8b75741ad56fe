"""How the model `digits` was made: trained in floating point with numpy, then quantised.

    python -m tests.engine.jobs.train_digits OUTPUT_DIRECTORY

writes digits.safetensors, digits_test.npz and digits_float.npz (weights and ranges before they were
quantised: from these the same model file comes out on every machine, while training itself may
differ in last bits from one BLAS to another). Needs scikit-learn, for its images.

Two convolutions of 3 x 3, each with a ReLU and a 2 x 2 max pool, and two dense layers: 13,584 weights.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.jobs.models.digits import MODEL_FILE, NAME, TEST_FILE
from kernels.network import Window
from kernels.network.layers import Conv2D, Flatten, Pool
from kernels.network.model import Network, encode_network
from kernels.network.quantise import Scale, quantise_conv2d, quantise_dense

Floats = npt.NDArray[np.float64]
Parameters = dict[str, Floats]

SEED = 20_251_125
TEST_IMAGES = 360
EPOCHS, BATCH, RATE = 60, 64, 2e-3
MOST_PIXEL, TIMES, PLUS = 16, 15, -120
"""Pixels are 0 to 16; the network's int8 input is 15 * pixel - 120, exactly."""
FLOAT_FILE = "digits_float.npz"
SAME = Window(3, 3, padding=(1, 1, 1, 1))
HALVES = Window(2, 2, stride=(2, 2))


def split() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """All 1,797 images, 8 x 8, and their labels, shuffled: the last 360 are for testing."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.images))
    return digits.images[order].astype(np.uint8), digits.target[order].astype(np.uint8)


def real_input(images: npt.NDArray[np.uint8]) -> Floats:
    """Pixels as the float network takes them, N x 8 x 8 x 1 of 0 to 1."""
    return images.astype(np.float64).reshape(-1, 8, 8, 1) / MOST_PIXEL


def forward(p: Mapping[str, Floats], x: Floats) -> dict[str, Floats]:
    """Every activation of the float network by its name; "logits" are its output."""
    out = {"x": x}
    for stage, before in (("conv1", "x"), ("conv2", "pool1")):
        seen = _patches(out[before])
        out[f"{stage}_seen"] = seen
        weights = p[f"{stage}.w"]
        sums = seen @ weights.reshape(len(weights), -1).T + p[f"{stage}.b"]
        out[stage] = np.maximum(sums, 0)
        out[stage.replace("conv", "pool")] = _halve(out[stage])
    out["flat"] = out["pool2"].reshape(len(x), -1)
    out["dense1"] = np.maximum(out["flat"] @ p["dense1.w"].T + p["dense1.b"], 0)
    out["logits"] = out["dense1"] @ p["dense2.w"].T + p["dense2.b"]
    return out


def gradients(p: Parameters, out: dict[str, Floats], labels: npt.NDArray[np.uint8]) -> Parameters:
    """Of the mean cross-entropy, by hand, from the last layer to the first."""
    g: Parameters = {}
    exps = np.exp(out["logits"] - out["logits"].max(axis=1, keepdims=True))
    d = exps / exps.sum(axis=1, keepdims=True)
    d[np.arange(len(labels)), labels] -= 1
    d /= len(labels)
    g["dense2.w"], g["dense2.b"] = d.T @ out["dense1"], d.sum(axis=0)
    d = (d @ p["dense2.w"]) * (out["dense1"] > 0)
    g["dense1.w"], g["dense1.b"] = d.T @ out["flat"], d.sum(axis=0)
    d = (d @ p["dense1.w"]).reshape(out["pool2"].shape)
    for stage in ("conv2", "conv1"):
        pooled, full = out[stage.replace("conv", "pool")], out[stage]
        largest = (full == _double(pooled)).astype(np.float64)
        ties = 4 * _mean(largest)  # blank paper is full of them: they share the gradient
        d = _double(d / ties) * largest * (full > 0)
        seen, w = out[f"{stage}_seen"], p[f"{stage}.w"]
        flat = d.reshape(-1, len(w))
        g[f"{stage}.w"] = (flat.T @ seen.reshape(len(flat), -1)).reshape(w.shape)
        g[f"{stage}.b"] = flat.sum(axis=0)
        if stage == "conv2":
            d = _unpatch(d @ w.reshape(len(w), -1), w.shape[3])
    return g


def train(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Parameters:
    """Adam (Kingma and Ba 2015), the rate falling along a cosine."""
    random = np.random.default_rng(SEED)
    shapes = {
        "conv1": (16, 3, 3, 1),
        "conv2": (32, 3, 3, 16),
        "dense1": (64, 128),
        "dense2": (10, 64),
    }
    p: Parameters = {}
    for name, shape in shapes.items():
        fan_in = int(np.prod(shape[1:]))
        p[f"{name}.w"] = random.normal(0, np.sqrt(2 / fan_in), shape)  # He et al. 2015
        p[f"{name}.b"] = np.zeros(shape[0])
    first = {name: np.zeros_like(value) for name, value in p.items()}
    second = {name: np.zeros_like(value) for name, value in p.items()}
    step = 0
    for epoch in range(EPOCHS):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = random.permutation(len(images))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            step += 1
            g = gradients(p, forward(p, real_input(images[chosen])), labels[chosen])
            for name in p:
                first[name] = 0.9 * first[name] + 0.1 * g[name]
                second[name] = 0.999 * second[name] + 0.001 * g[name] ** 2
                mean = first[name] / (1 - 0.9**step)
                spread = np.sqrt(second[name] / (1 - 0.999**step))
                p[name] = p[name] - rate * mean / (spread + 1e-8)
    return p


def ranges(p: Parameters, images: npt.NDArray[np.uint8]) -> Parameters:
    """Least and largest value of what is quantised, over these images."""
    out = forward(p, real_input(images))
    names = ("conv1", "conv2", "dense1", "logits")
    return {f"{name}.range": np.array([out[name].min(), out[name].max()]) for name in names}


def quantise(kept: Mapping[str, npt.NDArray[np.floating]]) -> Network:
    """The integer network from float weights, biases and ranges."""
    x = Scale(1 / (MOST_PIXEL * TIMES), PLUS)
    scales = {
        name: Scale.of_range(*map(float, kept[f"{name}.range"]))
        for name in ("conv1", "conv2", "dense1", "logits")
    }

    def conv(name: str, before: Scale) -> Conv2D:
        return quantise_conv2d(
            kept[f"{name}.w"], kept[f"{name}.b"], SAME, before, scales[name], relu=True
        )

    layers = (
        conv("conv1", x),
        Pool(HALVES, mean=False),
        conv("conv2", scales["conv1"]),
        Pool(HALVES, mean=False),
        Flatten(),
        quantise_dense(
            kept["dense1.w"], kept["dense1.b"], scales["conv2"], scales["dense1"], relu=True
        ),
        quantise_dense(
            kept["dense2.w"], kept["dense2.b"], scales["dense1"], scales["logits"], relu=False
        ),
    )
    about = {
        "name": NAME,
        "labels": [str(digit) for digit in range(10)],
        "pixels": {"most": MOST_PIXEL, "times": TIMES, "plus": PLUS},
    }
    return Network((8, 8, 1), layers, about)


def main(directory: Path) -> None:
    """Train, quantise, and write the three files."""
    images, labels = split()
    seen, unseen = images[:-TEST_IMAGES], images[-TEST_IMAGES:]
    p = train(seen, labels[:-TEST_IMAGES])
    kept = {name: value.astype(np.float32) for name, value in (p | ranges(p, seen)).items()}
    np.savez(directory / FLOAT_FILE, allow_pickle=False, **kept)
    np.savez(directory / TEST_FILE, images=unseen, labels=labels[-TEST_IMAGES:])
    (directory / MODEL_FILE).write_bytes(encode_network(quantise(kept)))
    guesses = forward(p, real_input(unseen))["logits"].argmax(axis=1)
    right = int((guesses == labels[-TEST_IMAGES:]).sum())
    sys.stdout.write(f"float network: {right} of {TEST_IMAGES} test images right\n")


def _patches(x: Floats) -> Floats:
    """N x H x W x 9C: what a 3 x 3 window sees at each place, zeros around."""
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    views = [around[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3)]
    return np.concatenate(views, axis=3)


def _unpatch(d: Floats, channels: int) -> Floats:
    """The gradient of `_patches`."""
    n, height, width, _ = d.shape
    around = np.zeros((n, height + 2, width + 2, channels))
    for place in range(9):
        i, j = divmod(place, 3)
        part = d[..., place * channels : (place + 1) * channels]
        around[:, i : i + height, j : j + width] += part
    return around[:, 1:-1, 1:-1]


def _quarters(x: Floats) -> Floats:
    """The windows of 2 x 2, along axes 2 and 4."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels)


def _halve(x: Floats) -> Floats:
    return np.asarray(_quarters(x).max(axis=(2, 4)))


def _mean(x: Floats) -> Floats:
    return np.asarray(_quarters(x).mean(axis=(2, 4)))


def _double(x: Floats) -> Floats:
    return x.repeat(2, axis=1).repeat(2, axis=2)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
