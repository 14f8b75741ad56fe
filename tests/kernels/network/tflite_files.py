"""TFLite files with one operator, at random: what the tests compare with LiteRT itself."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.kernels.network.tflite_writer import Draw, Value, file_of, options_of

CUT = slice  # `Cases.slice` hides it


class Cases(Draw):
    """Random files of each operator."""

    def make(self, kind: str) -> bytes:
        return getattr(self, kind.lower())()

    def conv_2d(self) -> bytes:
        image, sides, stride, apart, padding, out = self.window({})
        channels, outputs, batch = self.number(1, 5), self.number(1, 5), self.number(1, 2)
        x = self.value((batch, *image, channels))
        weights, bias, scale = self.weighted(
            (outputs, *sides, channels), 0, sides[0] * sides[1] * channels, x
        )
        y = Value((batch, *out, outputs), scale, self.zero())
        options = options_of(
            "Conv2D", padding=padding, strideH=stride[0], strideW=stride[1],
            dilationHFactor=apart[0], dilationWFactor=apart[1],
            fusedActivationFunction=self.number(0, 3),
        )  # fmt: skip
        return file_of("CONV_2D", [x, weights, bias], [y], options)

    def depthwise_conv_2d(self) -> bytes:
        image, sides, stride, apart, padding, _out = self.window({})
        channels, multiple = self.number(1, 5), self.number(1, 3)
        stride = (stride[0], stride[0])
        outs = []
        for side, size, distance in zip(image, sides, apart, strict=True):
            extent = (size - 1) * distance + 1
            outs.append(
                -(-side // stride[0]) if padding == 0 else -(-(side - extent + 1) // stride[0])
            )
        x = self.value((1, *image, channels))
        weights, bias, scale = self.weighted(
            (1, *sides, channels * multiple), 3, sides[0] * sides[1], x
        )
        y = Value((1, *outs, channels * multiple), scale, self.zero())
        options = options_of(
            "DepthwiseConv2D", padding=padding, strideH=stride[0], strideW=stride[1],
            dilationHFactor=apart[0], dilationWFactor=apart[1], depthMultiplier=multiple,
            fusedActivationFunction=self.number(0, 3),
        )  # fmt: skip
        return file_of("DEPTHWISE_CONV_2D", [x, weights, bias], [y], options)

    def fully_connected(self) -> bytes:
        features, outputs, rows = self.number(1, 40), self.number(1, 8), self.number(1, 3)
        x = self.value((rows, features))
        weights, bias, scale = self.weighted((outputs, features), 0, features, x)
        y = Value((rows, outputs), scale, self.zero())
        options = options_of("FullyConnected", fusedActivationFunction=self.number(0, 3))
        return file_of("FULLY_CONNECTED", [x, weights, bias], [y], options)

    def batch_matmul(self) -> bytes:
        lead = self.shape(self.number(0, 2), 3)
        m, k, n = (self.number(1, 6) for _ in range(3))
        turned = self.number(0, 1), self.number(0, 1)
        a = self.value((*lead, *((k, m) if turned[0] else (m, k))))
        b = self.value((*lead, *((n, k) if turned[1] else (k, n))))
        y = Value((*lead, m, n), self.scale(a.scale * b.scale * 60 * k**0.5), self.zero())
        options = options_of("BatchMatMul", adjX=bool(turned[0]), adjY=bool(turned[1]))
        return file_of("BATCH_MATMUL", [a, b], [y], options)

    def _pair(self) -> tuple[Value, Value, tuple[int, ...]]:
        shape = self.shape()
        other = tuple(1 if not self.number(0, 3) else side for side in shape)
        other = other[self.number(0, len(other) - 1) :]
        a, b = self.value(shape), self.value(other)
        if not self.number(0, 4):
            b.data = self.random.integers(-128, 128, b.shape).astype(np.int8)
        return a, b, tuple(np.broadcast_shapes(shape, other))

    def _arithmetic(self, kind: str, options: str, about: float) -> bytes:
        a, b, shape = self._pair()
        y = self.value(shape, about)
        return file_of(
            kind, [a, b], [y], options_of(options, fusedActivationFunction=self.number(0, 3))
        )

    def add(self) -> bytes:
        return self._arithmetic("ADD", "Add", 0.1)

    def sub(self) -> bytes:
        return self._arithmetic("SUB", "Sub", 0.1)

    def mul(self) -> bytes:
        return self._arithmetic("MUL", "Mul", 0.1)

    def _larger(self, kind: str) -> bytes:
        a, b, shape = self._pair()
        b.scale, b.zero = a.scale, a.zero
        y = Value(shape, a.scale, a.zero)
        return file_of(kind, [a, b], [y], options_of("MaximumMinimum"))

    def maximum(self) -> bytes:
        return self._larger("MAXIMUM")

    def minimum(self) -> bytes:
        return self._larger("MINIMUM")

    def _alone(self, kind: str, options: Any = None, y: tuple[float, int] | None = None) -> bytes:
        x = self.value((4, 64))
        scale, zero = y or (self.scale(), self.zero())
        return file_of(kind, [x], [Value(x.shape, scale, zero)], options)

    def quantize(self) -> bytes:
        return self._alone("QUANTIZE", options_of("Quantize"))

    def relu(self) -> bytes:
        return self._alone("RELU")

    def relu6(self) -> bytes:
        return self._alone("RELU6")

    def relu_n1_to_1(self) -> bytes:
        return self._alone("RELU_N1_TO_1")

    def leaky_relu(self) -> bytes:
        return self._alone("LEAKY_RELU", options_of("LeakyRelu", alpha=self.scale(0.2)))

    def logistic(self) -> bytes:
        return self._alone("LOGISTIC", y=(1 / 256, -128))

    def tanh(self) -> bytes:
        return self._alone("TANH", y=(1 / 128, 0))

    def gelu(self) -> bytes:
        return self._alone("GELU", options_of("Gelu", approximate=bool(self.number(0, 1))))

    def transpose_conv(self) -> bytes:
        sides, stride = (
            (self.number(1, 4), self.number(1, 4)),
            (self.number(1, 3), self.number(1, 3)),
        )
        image, padding = self.shape(2, 4), self.number(0, 1)
        channels, outputs = self.number(1, 4), self.number(1, 4)
        x = self.value((1, *image, channels))
        terms = sides[0] * sides[1] * channels
        weights, bias, scale = self.weighted((outputs, *sides, channels), 0, terms, x)
        out = [
            side * step if padding == 0 else (side - 1) * step + max(size, step)
            for side, step, size in zip(image, stride, sides, strict=True)
        ]
        y = Value((1, *out, outputs), scale, self.zero())
        options = options_of(
            "TransposeConv", padding=padding, strideH=stride[0], strideW=stride[1],
            fusedActivationFunction=0,
        )  # fmt: skip
        given = [self.ints(y.shape), weights, x, *([bias] if self.number(0, 1) else [])]
        return file_of("TRANSPOSE_CONV", given, [y], options)

    def hard_swish(self) -> bytes:
        return self._alone("HARD_SWISH", options_of("HardSwish"))

    def softmax(self) -> bytes:
        x = self.value((*self.shape(self.number(1, 2)), self.number(1, 40)), 0.2)
        beta = self.pick(1.0, 1.0, 0.5)
        options = options_of("Softmax", beta=beta)
        return file_of("SOFTMAX", [x], [Value(x.shape, 1 / 256, -128)], options)

    def reshape(self) -> bytes:
        a, b, c = self.shape(3)
        x = self.value((a, b, c))
        y = Value((a * c, b), x.scale, x.zero)
        return file_of("RESHAPE", [x, self.ints([a * c, b])], [y], options_of("Reshape"))

    def transpose(self) -> bytes:
        x = self.value(self.shape())
        order = self.random.permutation(len(x.shape))
        y = Value(tuple(x.shape[i] for i in order), x.scale, x.zero)
        return file_of("TRANSPOSE", [x, self.ints(order)], [y], options_of("Transpose"))

    def slice(self) -> bytes:
        x = self.value(self.shape())
        begin = [self.number(0, side - 1) for side in x.shape]
        size = [self.number(1, side - b) for side, b in zip(x.shape, begin, strict=True)]
        said = [-1 if s == side - b and self.number(0, 1) else s
                for s, side, b in zip(size, x.shape, begin, strict=True)]  # fmt: skip
        y = Value(tuple(size), x.scale, x.zero)
        return file_of("SLICE", [x, self.ints(begin), self.ints(said)], [y], options_of("Slice"))

    def strided_slice(self) -> bytes:
        while True:
            x = self.value(self.shape())
            rank = len(x.shape)
            step = [self.pick(1, 1, 2, -1) for _ in range(rank)]
            begin = [self.number(-side, side - 1) for side in x.shape]
            end = [self.number(-side, side) for side in x.shape]
            masks = [self.number(0, 2**rank - 1) & self.number(0, 2**rank - 1) for _ in range(3)]
            shape = []
            for i, side in enumerate(x.shape):
                first = None if masks[0] >> i & 1 else begin[i]
                last = None if masks[1] >> i & 1 else end[i]
                if masks[2] >> i & 1:
                    begin[i] = first = self.number(0, side - 1)
                    masks[0] &= ~(1 << i)
                    step[i] = 1
                    continue
                shape.append(len(range(side)[CUT(first, last, step[i])]))
            if all(shape) and shape:
                break
        options = options_of(
            "StridedSlice", beginMask=masks[0], endMask=masks[1], shrinkAxisMask=masks[2]
        )
        y = Value(tuple(shape), x.scale, x.zero)
        bounds = [self.ints(part) for part in (begin, end, step)]
        return file_of("STRIDED_SLICE", [x, *bounds], [y], options)

    def split(self) -> bytes:
        parts, rank = self.number(1, 3), self.number(1, 4)
        axis = self.number(0, rank - 1)
        part = self.shape(rank)
        whole = tuple(side * parts if i == axis else side for i, side in enumerate(part))
        x = self.value(whole)
        outs = [Value(part, x.scale, x.zero) for _ in range(parts)]
        options = options_of("Split", numSplits=parts)
        return file_of("SPLIT", [self.ints(axis), x], outs, options)

    def split_v(self) -> bytes:
        x = self.value(self.shape(3, 6))
        axis = self.number(0, 2)
        first = self.number(1, x.shape[axis])
        sizes = [s for s in (first, x.shape[axis] - first) if s]
        outs = [
            Value(tuple(s if i == axis else d for i, d in enumerate(x.shape)), x.scale, x.zero)
            for s in sizes
        ]
        inputs = [x, self.ints(sizes), self.ints(axis)]
        return file_of("SPLIT_V", inputs, outs, options_of("SplitV", numSplits=len(sizes)))

    def concatenation(self) -> bytes:
        x = self.value(self.shape())
        axis = self.number(0, len(x.shape) - 1)
        sizes = [self.number(1, 4) for _ in range(self.number(1, 4))]
        parts = [
            Value(tuple(s if i == axis else d for i, d in enumerate(x.shape)), x.scale, x.zero)
            for s in sizes
        ]
        y = Value(
            tuple(sum(sizes) if i == axis else d for i, d in enumerate(x.shape)), x.scale, x.zero
        )
        return file_of("CONCATENATION", parts, [y], options_of("Concatenation", axis=axis))

    def pack(self) -> bytes:
        x = self.value(self.shape(self.number(1, 3)))
        count, axis = self.number(1, 3), self.number(0, len(x.shape))
        y = Value((*x.shape[:axis], count, *x.shape[axis:]), x.scale, x.zero)
        return file_of("PACK", [x] * count, [y], options_of("Pack", axis=axis, valuesCount=count))

    def pad(self) -> bytes:
        x = self.value(self.shape())
        around = self.random.integers(0, 3, (len(x.shape), 2)).astype(np.int32)
        y = Value(tuple(np.array(x.shape) + around.sum(axis=1)), x.scale, x.zero)
        return file_of("PAD", [x, self.ints(around)], [y], options_of("Pad"))

    def _pool(self, kind: str) -> bytes:
        image, sides, stride, _apart, padding, out = self.window()
        x = self.value((self.number(1, 2), *image, self.number(1, 4)))
        y = Value((x.shape[0], *out, x.shape[3]), x.scale, x.zero)
        options = options_of(
            "Pool2D", padding=padding, strideH=stride[0], strideW=stride[1],
            filterHeight=sides[0], filterWidth=sides[1], fusedActivationFunction=self.number(0, 3),
        )  # fmt: skip
        return file_of(kind, [x], [y], options)

    def max_pool_2d(self) -> bytes:
        return self._pool("MAX_POOL_2D")

    def average_pool_2d(self) -> bytes:
        return self._pool("AVERAGE_POOL_2D")

    def _reduce(self, kind: str, about: float) -> bytes:
        x = self.value(self.shape())
        rank = len(x.shape)
        axes = self.random.permutation(rank)[: self.number(1, rank)]
        keep = bool(self.number(0, 1))
        shape = tuple(
            1 if i in axes else side for i, side in enumerate(x.shape) if keep or i not in axes
        )
        y = Value(shape, self.scale(about), self.zero())
        return file_of(kind, [x, self.ints(axes)], [y], options_of("Reducer", keepDims=keep))

    def mean(self) -> bytes:
        return self._reduce("MEAN", 0.05)

    def _resize(self, kind: str, name: str) -> bytes:
        x = self.value(self.shape(4, 6))
        size = self.number(1, 9), self.number(1, 9)
        corners, half = self.pick((False, False), (True, False), (False, True))
        y = Value((x.shape[0], *size, x.shape[3]), x.scale, x.zero)
        options = options_of(name, alignCorners=corners, halfPixelCenters=half)
        return file_of(kind, [x, self.ints(size)], [y], options)

    def resize_bilinear(self) -> bytes:
        return self._resize("RESIZE_BILINEAR", "ResizeBilinear")

    def resize_nearest_neighbor(self) -> bytes:
        return self._resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor")

    def gather(self) -> bytes:
        if self.number(0, 1):  # rows of a table, by the input
            rows = self.shape(2, 9)
            data = self.random.integers(-128, 128, rows).astype(np.int8)
            table = Value(rows, self.scale(), self.zero(), data)
            ids = Value(self.shape(2), dtype="int32")
            y = Value((*ids.shape, rows[1]), table.scale, table.zero)
            return file_of("GATHER", [table, ids], [y], options_of("Gather", axis=0))
        x = self.value(self.shape())
        axis = self.number(0, len(x.shape) - 1)
        places = self.random.integers(0, x.shape[axis], self.shape(self.number(1, 2)))
        y = Value((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]), x.scale, x.zero)
        return file_of("GATHER", [x, self.ints(places)], [y], options_of("Gather", axis=axis))

    def arg_max(self) -> bytes:
        x = self.value(self.shape())
        y = Value(x.shape[:-1], dtype="int32")
        options = options_of("ArgMax", outputType=schema.TensorType.INT32)
        return file_of("ARG_MAX", [x, self.ints(len(x.shape) - 1)], [y], options)


KINDS = tuple(
    name.upper()
    for name, member in vars(Cases).items()
    if callable(member) and name[0] != "_" and name != "make"
)
