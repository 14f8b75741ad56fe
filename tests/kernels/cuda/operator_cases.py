"""Random graphs of one operator each, made by its own class: what is not possible is drawn again."""

import numpy as np

from kernels.errors import InvalidNetwork
from kernels.network.graph.file import OPERATORS
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.operator import Form


class Cases:
    """`make(op)`: a graph, and samples for it; each operator's fields are in a method of its name."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def make(self, op):
        for _ in range(1000):
            try:
                forms, fields = getattr(self, op)()
                graph = self._graph(OPERATORS[op](**fields), forms)
                break
            except InvalidNetwork:
                continue
        else:
            raise AssertionError(op)
        samples = self.ints(-128, 127, self.number(1, 3), graph.sample_entries).astype(np.int8)
        if op == "embed":
            samples = self.ints(-2, 9, len(samples), graph.sample_entries // 4)
            samples = samples.astype("<i4").view(np.int8)
        return graph, samples

    def _graph(self, operator, forms):
        """The last input may be a constant, the same for all samples."""
        inputs = [Form(*form) for form in forms]
        if not inputs:  # a constant: the sample is not looked at
            return Graph((Form((1,)),), (Node(operator, ()),), (1,))
        if len(inputs) > 1 and self.number(0, 2) == 0:
            value = self.ints(-128, 127, *inputs[-1].shape).astype(np.int8)
            constant = Node(OPERATORS["constant"](value), ())
            last = (*range(len(inputs) - 1), len(inputs) - 1)
            return Graph(tuple(inputs[:-1]), (constant, Node(operator, last)), (len(inputs),))
        return Graph(tuple(inputs), (Node(operator, tuple(range(len(inputs)))),), (len(inputs),))

    def number(self, least, most):
        return int(self.random.integers(least, most + 1))

    def numbers(self, least, most, count):
        return tuple(self.number(least, most) for _ in range(count))

    def ints(self, least, most, *shape):
        return self.random.integers(least, most + 1, shape)

    def shape(self, least=1, most=4, side=4):
        return self.numbers(1, side, self.number(least, most))

    def bounds(self):
        low = self.number(-128, 0)
        high = self.number(low, 127) if self.number(0, 2) == 0 else 127
        return {"output_zero": self.number(-128, 127), "low": low, "high": high}

    def scale(self, least, most):
        return {"multiplier": self.number(2**30, 2**31 - 1), "exponent": self.number(least, most)}

    def sides(self):
        return {"left_zero": self.number(-128, 127), "right_zero": self.number(-128, 127)}

    def image(self):
        return (self.number(1, 2), *self.numbers(1, 7, 2), self.number(1, 4))

    def slide(self, sides):
        extents = [(side - 1) * 2 for side in sides]
        return {
            "stride": self.numbers(1, 3, 2),
            "dilation": self.numbers(1, 2, 2),
            "padding": tuple(self.number(0, most) for most in extents * 2),
        }

    def weighted(self, shape, axis):
        outputs = shape[axis]
        return {
            "weights": self.ints(-128, 127, *shape).astype(np.int8),
            "bias": self.ints(-4000, 4000, outputs).astype(np.int32),
            "input_zero": self.number(-128, 127),
            **self.bounds(),
        }

    def conv2d(self):
        image, sides = self.image(), self.numbers(1, 3, 2)
        outputs = self.number(1, 5)
        fields = self.weighted((outputs, *sides, image[3]), 0) | self.slide(sides)
        return [(image,)], fields | self.each(outputs, -12, -4)

    def depthwise_conv2d(self):
        image, sides = self.image(), self.numbers(1, 3, 2)
        multiple = self.number(1, 3)
        if self.number(0, 1):  # the kernels of 4 and of 16 channels at a time
            image, multiple = (*image[:3], (4, 12, 16, 32)[image[3] - 1]), 1
        outputs = image[3] * multiple
        fields = self.weighted((*sides, outputs), 2) | self.slide(sides)
        return [(image,)], fields | self.each(outputs, -10, -2)

    def each(self, outputs, least, most):
        return {
            "multiplier": self.ints(2**30, 2**31 - 1, outputs).astype(np.int32),
            "exponent": self.ints(least, most, outputs).astype(np.int8),
        }

    def fully_connected(self):
        features, outputs, rows = self.number(1, 40), self.number(1, 6), self.shape(0, 2)
        fields = self.weighted((outputs, features), 0) | {
            "multiplier": self.ints(2**29, 2**31, outputs),
            "shift": self.ints(36, 41, outputs).astype(np.uint8),
            "keep_dims": self.number(0, 1),
        }
        return [((*rows, features),)], fields

    def batch_matmul(self):
        m, k, n = self.numbers(1, 5, 3)
        left, right = self.lead()
        fields = self.scale(-12, -4) | self.bounds() | self.sides()
        return [((*left, m, k),), ((*right, k, n),)], fields

    def lead(self):
        whole = self.shape(0, 2, 3)
        other = tuple(side if self.number(0, 2) else 1 for side in whole)
        pair = [whole, other[self.number(0, len(other)) :]]
        return pair if self.number(0, 1) else pair[::-1]

    def pair(self):
        whole = self.shape()
        other = tuple(side if self.number(0, 2) else 1 for side in whole)
        pair = [(whole,), (other[self.number(0, len(other)) :],)]
        return pair if self.number(0, 1) else pair[::-1]

    def add(self):
        fields = {
            "sign": self.number(0, 1) * 2 - 1,
            "left_multiplier": self.number(2**30, 2**31 - 1),
            "left_exponent": self.number(-3, 0),
            "right_multiplier": self.number(2**30, 2**31 - 1),
            "right_exponent": self.number(-3, 0),
        }
        return self.pair(), fields | self.scale(-20, -18) | self.bounds() | self.sides()

    def multiply(self):
        return self.pair(), self.scale(-10, -3) | self.bounds() | self.sides()

    def larger(self):
        return self.pair(), {"sign": self.number(0, 1) * 2 - 1}

    def table(self):
        return [(self.shape(),)], {"table": self.ints(-128, 127, 256).astype(np.int8)}

    def constant(self):
        return [], {"value": self.ints(-128, 127, *self.shape()).astype(np.int8)}

    def any_entries(self, shape):
        return [(shape, self.random.choice([1, 4]).item())]

    def reshape(self):
        a, b, c = self.numbers(1, 4, 3)
        return self.any_entries((a, b, c)), {"shape": (a * c, b)}

    def transpose(self):
        shape = self.shape(1, 5)
        return self.any_entries(shape), {
            "order": tuple(self.random.permutation(len(shape)).tolist())
        }

    def slice(self):
        shape = self.numbers(1, 6, self.number(1, 4))
        step = tuple(int(self.random.choice([-2, -1, 1, 2])) for _ in shape)
        begin = tuple(self.number(0, side - 1) for side in shape)
        room = [
            b // -s + 1 if s < 0 else (side - 1 - b) // s + 1
            for side, b, s in zip(shape, begin, step, strict=True)
        ]
        size = tuple(self.number(1, most) for most in room)
        return self.any_entries(shape), {"begin": begin, "size": size, "step": step}

    def pad(self):
        shape = self.shape()
        return self.any_entries(shape), {
            "before": self.numbers(0, 2, len(shape)),
            "after": self.numbers(0, 2, len(shape)),
            "value": self.number(-128, 127),
        }

    def spread(self):
        return [(self.image(),)], {"step": self.numbers(1, 3, 2), "value": self.number(-128, 127)}

    def concatenate(self):
        shape = self.shape()
        axis = self.number(0, len(shape) - 1)
        return [
            ((*shape[:axis], self.number(1, 4), *shape[axis + 1 :]),)
            for _ in range(self.number(1, 3))
        ], {"axis": axis}

    def take(self):
        shape = self.shape()
        axis = self.number(0, len(shape) - 1)
        places = self.ints(0, shape[axis] - 1, self.number(1, 5)).astype(np.int32)
        return self.any_entries(shape), {"axis": axis, "places": places}

    def embed(self):
        rows = self.ints(-128, 127, self.number(1, 8), self.number(1, 5)).astype(np.int8)
        return [(self.shape(1, 2), 4)], {"rows": rows}

    def pool(self):
        size = self.numbers(1, 3, 2)
        return [(self.image(),)], {
            "size": size,
            "stride": self.numbers(1, 3, 2),
            "padding": tuple(self.number(0, side - 1) for side in size * 2),
            "low": self.number(-128, -60),
            "high": self.number(60, 127),
        }

    max_pool = average_pool = pool

    def sum(self):
        shape = self.shape()
        axes = self.random.permutation(len(shape))[: self.number(0, len(shape))]
        return [(shape,)], {
            "axes": tuple(axes.tolist()),
            "keep_dims": self.number(0, 1),
            "input_zero": self.number(-128, 127),
            **self.scale(-4, 0),
            **self.bounds(),
        }

    def resize_bilinear(self):
        corners = self.number(0, 1)
        return [(self.image(),)], {
            "size": self.numbers(1, 8, 2),
            "align_corners": corners,
            "half_pixel": self.number(0, 1 - corners),
        }

    def argmax(self):
        return [((*self.shape(0, 2), self.number(1, 9)),)], {}

    def softmax(self):
        exps = np.exp(-self.number(1, 30) / 100 * np.arange(256)) * (2**31 - 1)
        exps[0] = 2**31 - 1
        last = self.number(1, 12) if self.number(0, 3) else self.number(60, 140)
        return [((*self.shape(0, 2), last),)], {"exps": exps.astype(np.int32)}

    def layer_norm(self):
        count, shape = self.number(1, 3), (*self.shape(0, 2), self.number(1, 12))
        return [(shape,)] * count, {
            "zeros": self.numbers(-128, 127, count),
            "multipliers": self.numbers(1, 4096, count),
            "epsilon": self.number(0, 1) * self.number(0, 1 << 30),
            "factor": self.ints(-(1 << 23), 1 << 23, shape[-1]).astype(np.int32),
            "offset": self.ints(-(1 << 44), 1 << 44, shape[-1]),
            **self.bounds(),
        }

    def channel_norm(self):
        (shape, *more), fields = self.layer_norm()
        count, depth = len(more) + 1, shape[0][-1]
        multipliers = self.ints(0, 4096, count, depth).astype(np.int32)
        return [shape, *more], fields | {"multipliers": multipliers}

    def channel_table(self):
        shape = self.shape()
        return [(shape,)], {"table": self.ints(-128, 127, shape[-1], 256).astype(np.int8)}
