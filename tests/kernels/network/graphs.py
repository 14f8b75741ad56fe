"""Random graphs of one operator each, and some more around it: what a program has steps for."""

import numpy as np

from kernels.network.graph.convolutions import Conv2D, DepthwiseConv2D
from kernels.network.graph.elementwise import Add, Table
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.moves import Pad, Reshape
from kernels.network.graph.operator import Form
from kernels.network.graph.products import FullyConnected
from kernels.network.graph.softmax import Softmax
from kernels.network.graph.windows import AveragePool, MaxPool, Sum

KINDS = (
    "conv2d", "depthwise_conv2d", "fully_connected", "add", "max_pool", "average_pool", "sum",
    "softmax", "table", "pad", "reshape", "branches",
)  # fmt: skip


class Graphs:
    """Makes graphs from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def make(self, kind: str) -> Graph:
        """Return a graph with this operator."""
        return getattr(self, kind)()

    def number(self, least: int, most: int) -> int:
        return int(self.random.integers(least, most + 1))

    def image(self, channels: int | None = None) -> Form:
        channels = channels or self.number(1, 70)
        batch = 1 if self.random.random() < 0.9 else 2
        return Form((batch, self.number(1, 12), self.number(1, 12), channels))

    def range(self, zero: int) -> dict[str, int]:
        low = zero if self.random.random() < 0.5 else self.number(-128, 0)
        return {"output_zero": zero, "low": low, "high": self.number(low, 127)}

    def weighted(self, shape: tuple[int, ...], outputs: int, terms: int) -> dict[str, object]:
        """Sums are of the order 5,000 sqrt(terms); some scalings are far from what fits them."""
        wide = int(np.log2(5000 * terms**0.5 / 40))
        exponent = -self.random.integers(max(0, wide - 2), wide + 3, outputs)
        if self.random.random() < 0.1:
            exponent = self.random.integers(-31, 2, outputs)
        bias = self.random.integers(-(2**16), 2**16, outputs)
        if self.random.random() < 0.3:  # channels that always give the same
            still = self.random.random(outputs) < 0.3
            exponent = np.where(still, -self.random.integers(24, 32, outputs), exponent)
            bias = np.where(still, self.random.choice([-1, 1]) * 2**30, bias)
        return {
            "weights": self.random.integers(-128, 128, shape).astype(np.int8),
            "bias": bias.astype(np.int32),
            "input_zero": self.number(-128, 127),
            "multiplier": self.random.integers(2**30, 2**31, outputs).astype(np.int32),
            "exponent": exponent.astype(np.int8),
            **self.range(self.number(-128, 127)),
        }

    def window(self, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """A dilation, and padding with which the window fits an image of this size."""
        sides = [self.number(1, 4) for _ in range(2)]
        dilation = [self.number(1, 2) for _ in range(2)]
        padding = [0, 0, 0, 0]
        for i, side in enumerate((height, width)):
            extent = (sides[i] - 1) * dilation[i] + 1
            if extent > 1 and self.random.random() < 0.7:
                padding[i], padding[i + 2] = (self.number(0, extent - 1) for _ in range(2))
            while (sides[i] - 1) * dilation[i] + 1 > side + padding[i] + padding[i + 2]:
                sides[i] -= 1
            extent = (sides[i] - 1) * dilation[i] + 1
            for j in (i, i + 2):
                padding[j] = min(padding[j], extent - 1)
        stride = tuple(self.number(1, 3) for _ in range(2))
        return {
            "sides": tuple(sides), "stride": stride, "dilation": tuple(dilation),
            "padding": tuple(padding),
        }  # fmt: skip

    def one(self, operator, *forms: Form) -> Graph:
        return Graph(forms, (Node(operator, tuple(range(len(forms)))),), (len(forms),))

    def convolution(self, form: Form) -> Conv2D:
        while True:
            window = self.window(*form.shape[1:3])
            sides, outputs = window.pop("sides"), self.number(1, 140)
            extents = [(a - 1) * b + 1 for a, b in zip(sides, window["dilation"], strict=True)]
            if all(e <= s for e, s in zip(extents, (14, 14), strict=True)):
                break
        shape = (outputs, *sides, form.shape[3])
        numbers = self.weighted(shape, outputs, int(np.prod(shape[1:])))
        return Conv2D(**numbers, **window)

    def conv2d(self) -> Graph:
        form = self.image()
        return self.one(self.convolution(form), form)

    def depthwise(self, form: Form) -> DepthwiseConv2D:
        window = self.window(*form.shape[1:3])
        sides, channels = window.pop("sides"), form.shape[3]
        numbers = self.weighted((*sides, channels), channels, int(np.prod(sides)))
        return DepthwiseConv2D(**numbers, **window)

    def depthwise_conv2d(self) -> Graph:
        form = self.image(self.number(71, 300) if self.random.random() < 0.3 else None)
        return self.one(self.depthwise(form), form)

    def fully_connected(self) -> Graph:
        features, outputs = self.number(1, 300), self.number(1, 200)
        numbers = self.weighted((outputs, features), outputs, features)
        shift = 31 - numbers.pop("exponent").astype(np.int64)
        numbers["multiplier"] = numbers["multiplier"].astype(np.int64)
        operator = FullyConnected(
            **numbers, shift=np.clip(shift, 0, 62).astype(np.uint8), keep_dims=self.number(0, 1)
        )
        return self.one(operator, Form((self.number(1, 12), features)))

    def addition(self) -> Add:
        alike = self.random.random() < 0.3
        exponents = [0, 0] if alike else [0, -self.number(0, 6)]
        multipliers = [1 << 30, (1 << 30) + (0 if alike else self.number(0, 2**30 - 1))]
        self.random.shuffle(exponents)
        return Add(
            left_zero=self.number(-128, 127), right_zero=self.number(-128, 127),
            left_multiplier=multipliers[0], right_multiplier=multipliers[1],
            left_exponent=exponents[0], right_exponent=exponents[1],
            multiplier=self.number(2**30, 2**31 - 1), exponent=-self.number(16, 20),
            sign=1 if self.random.random() < 0.7 else -1, **self.range(self.number(-128, 127)),
        )  # fmt: skip

    def add(self) -> Graph:
        form = self.image()
        return self.one(self.addition(), form, form)

    def pooled(self, kind) -> Graph:
        form = self.image()
        window = self.window(*form.shape[1:3])
        sides, padding = window["sides"], window["padding"]
        padding = tuple(min(p, sides[i % 2] - 1) for i, p in enumerate(padding))
        low = self.number(-128, 0)
        size = tuple(
            min(s, n + padding[i] + padding[i + 2])
            for i, (s, n) in enumerate(zip(sides, form.shape[1:3], strict=True))
        )
        pool = kind(
            size=size, stride=window["stride"], low=low, high=self.number(low, 127),
            padding=tuple(min(p, size[i % 2] - 1) for i, p in enumerate(padding)),
        )  # fmt: skip
        return self.one(pool, form)

    def max_pool(self) -> Graph:
        return self.pooled(MaxPool)

    def average_pool(self) -> Graph:
        return self.pooled(AveragePool)

    def sum(self) -> Graph:
        form = self.image()
        operator = Sum(
            axes=(1, 2), keep_dims=self.number(0, 1), input_zero=self.number(-128, 127),
            multiplier=self.number(2**30, 2**31 - 1), exponent=-self.number(0, 9),
            **self.range(self.number(-128, 127)),
        )  # fmt: skip
        return self.one(operator, form)

    def softmax(self) -> Graph:
        scale = self.random.uniform(0.001, 0.5)
        exps = np.minimum(np.round(np.exp(-scale * np.arange(256)) * 2**31), 2**31 - 1)
        exps = exps.astype(np.int32)
        return self.one(Softmax(exps=exps), Form((self.number(1, 9), self.number(1, 99))))

    def table(self) -> Graph:
        table = self.random.integers(-128, 128, 256).astype(np.int8)
        return self.one(Table(table=table), self.image())

    def pad(self) -> Graph:
        before, after = ((0, self.number(0, 3), self.number(0, 3), 0) for _ in range(2))
        return self.one(Pad(before=before, after=after, value=self.number(-128, 127)), self.image())

    def reshape(self) -> Graph:
        form = self.image()
        return self.one(Reshape(shape=(form.entries,)), form)

    def branches(self) -> Graph:
        """A block with a residual addition: values live side by side, and windows look outside."""
        form = self.image()
        first, channels = self.depthwise(form), form.shape[3]
        middle = first.output(form)
        ones = {"stride": (1, 1), "dilation": (1, 1)}
        outputs = self.number(1, 90)
        a = Conv2D(
            **self.weighted((outputs, 3, 3, channels), outputs, 9 * channels), **ones,
            padding=(1, 1, 1, 1),
        )  # fmt: skip
        b = Conv2D(
            **self.weighted((outputs, 1, 1, channels), outputs, channels), **ones,
            padding=(0, 0, 0, 0),
        )  # fmt: skip
        nodes = (Node(first, (0,)), Node(a, (1,)), Node(b, (1,)), Node(self.addition(), (2, 3)))
        flat = Reshape(shape=(a.output(middle).entries,))
        return Graph((form,), (*nodes, Node(flat, (4,))), (5, 1))
