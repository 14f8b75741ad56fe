"""Functions of one entry, of two, and choices."""

import math
from collections.abc import Callable
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.evaluate.room import (
    Array,
    Attributes,
    Function,
    Inputs,
    Room,
    given,
    joined,
    optional,
)
from kernels.network.onnx.reader import DTYPES


def erf(x: Array) -> Array:
    """Return the error function, each different value computed once in float64."""
    values, places = np.unique(x, return_inverse=True)
    made = np.array([math.erf(one) for one in values.tolist()], x.dtype)
    return made[places].reshape(x.shape)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def gelu(attributes: Attributes, x: Array) -> Array:
    """Return GELU, exact or with tanh."""
    if attributes.get("approximate", "none") == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def _number(attributes: Attributes, name: str, otherwise: float) -> float:
    return float(attributes.get(name, otherwise))


def unary(function: Callable[[Attributes, Array], Any]) -> Function:
    """Return the evaluation of a function of one entry; the type stays unless it is bool."""

    def compute(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
        x = given(inputs, 0)
        room.take(x.shape)
        made = np.asarray(function(attributes, x))
        return made if made.dtype == bool else made.astype(x.dtype)

    return compute


def several(function: Callable[..., Any]) -> Function:
    """Return the evaluation of a function of two or more arrays, broadcast."""

    def compute(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
        values = [given(inputs, i) for i in range(len(inputs))]
        room.take(joined(*values), len(values))
        made = values[0]
        if len(values) == 1:
            return made
        for other in values[1:]:
            made = np.asarray(function(made, other))
        return made

    return compute


def divide(a: Array, b: Array) -> Array:
    """Return a / b; whole numbers are divided towards zero."""
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise Unsupported(_("it divides by zero"))
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype)


def power(a: Array, b: Array) -> Array:
    """Return a to the power b, in a's type."""
    return np.power(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)


def where(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Where."""
    values = [given(inputs, i) for i in range(3)]
    room.take(joined(*values))
    return np.where(*values)


def clip(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Clip, bounds as attributes or as inputs."""
    x = given(inputs, 0)
    room.take(x.shape)
    low, high = bounds_of(attributes, inputs)
    return np.clip(x, low, high).astype(x.dtype)


def bounds_of(attributes: Attributes, inputs: Inputs) -> tuple[float, float]:
    """Return the least and the largest value that a Clip lets through."""
    found = []
    for i, (name, otherwise) in enumerate((("min", -math.inf), ("max", math.inf))):
        bound = optional(inputs, i + 1)
        if bound is not None and bound.size != 1:
            raise Unsupported(_("its bounds must be numbers"))
        found.append(_number(attributes, name, otherwise) if bound is None else float(bound.item()))
    return found[0], found[1]


def cast(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Cast."""
    x = given(inputs, 0)
    to = DTYPES.get(attributes.get("to", 0))
    if to is None:
        raise Unsupported(_("a cast to a type that is not possible"))
    room.take(x.shape)
    return x.astype(to)


def identity(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Identity, Dropout."""
    return given(inputs, 0)


UNARY: dict[str, Callable[[Attributes, Array], Any]] = {
    "Relu": lambda _a, x: np.maximum(x, 0),
    "Sigmoid": lambda _a, x: sigmoid(x),
    "Tanh": lambda _a, x: np.tanh(x),
    "Erf": lambda _a, x: erf(x),
    "Gelu": gelu,
    "HardSwish": lambda _a, x: x * np.clip(x / 6 + 0.5, 0, 1),
    "HardSigmoid": lambda a, x: np.clip(
        x * _number(a, "alpha", 0.2) + _number(a, "beta", 0.5), 0, 1
    ),
    "LeakyRelu": lambda a, x: np.where(x < 0, x * _number(a, "alpha", 0.01), x),
    "Elu": lambda a, x: np.where(x < 0, _number(a, "alpha", 1) * np.expm1(x), x),
    "Softplus": lambda _a, x: np.logaddexp(x, 0),
    "Sqrt": lambda _a, x: np.sqrt(x),
    "Exp": lambda _a, x: np.exp(x),
    "Log": lambda _a, x: np.log(x),
    "Neg": lambda _a, x: np.negative(x),
    "Abs": lambda _a, x: np.abs(x),
    "Reciprocal": lambda _a, x: 1 / x,
    "Floor": lambda _a, x: np.floor(x),
    "Ceil": lambda _a, x: np.ceil(x),
    "Round": lambda _a, x: np.rint(x),
    "Not": lambda _a, x: np.logical_not(x),
    "IsNaN": lambda _a, x: np.isnan(x),
}
_SEVERAL: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": divide,
    "Pow": power,
    "Max": np.maximum,
    "Min": np.minimum,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Equal": np.equal,
    "Greater": np.greater,
    "Less": np.less,
    "GreaterOrEqual": np.greater_equal,
    "LessOrEqual": np.less_equal,
}
FUNCTIONS: dict[str, Function] = {
    **{kind: unary(function) for kind, function in UNARY.items()},
    **{kind: several(function) for kind, function in _SEVERAL.items()},
    "Where": where,
    "Clip": clip,
    "Cast": cast,
    "Identity": identity,
    "Dropout": identity,
}
