"""A scale for each channel of an activation, where all that take it can do with that.

A transformer has a few channels whose entries are a hundred times larger than the others' (its "massive
activations"); with one scale for all, int8 has no bits left for the rest. A channel's own scale costs
nothing where the value goes

* into a product with constant weights: row c of the weights is multiplied by it, beforehand,
* into a layer normalisation, with or without a sum before it: its multipliers are by channel,
* into a function of one entry: its table has a row for each channel.

For products the difficulty is shared between activation and weights after Xiao et al., "SmoothQuant"
(ICML 2023), with the alpha that gives the least error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.network.onnx.evaluate.elementwise import UNARY
from kernels.network.onnx.reader import Operation

Factors = npt.NDArray[np.float64]
Spans = tuple[Factors, Factors]
ALPHAS = np.linspace(0, 1, 9)
TINY = 1e-9
FUNCTIONS = {*UNARY, "Add", "Sub", "Mul", "Div", "Pow"}
LEAST_FACTOR = 2.0**-12
MARGIN = 1.2
"""A channel is given as much more than calibration saw: few samples do not show how far it goes."""
MOST_STEPS = 12
"""How far the consumers of a function are followed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Least and largest entry of each channel, and the mean of its squares, over samples."""

    low: Factors
    high: Factors
    squares: Factors


@dataclass(frozen=True, slots=True)
class Channels:
    """Who takes each tensor, and the least and largest entry of each channel (the last side)."""

    spans: Mapping[str, "Seen"] = field(default_factory=dict)
    consumers: Mapping[str, list[tuple[Operation, int]]] = field(default_factory=dict)
    constant: Callable[[str], npt.NDArray[np.floating] | None] = lambda _name: None
    """A tensor that is constant."""

    def scale(self, name: str, spans: Spans | None = None) -> tuple[float, float, Factors] | None:
        """Return a range for entries divided by these factors; None where one scale must do.

        `spans` are those of each channel, where they are known better than by calibration.
        """
        if name not in self.spans or not self._all_take(name, MOST_STEPS):
            return None
        seen = self.spans[name]
        low, high = spans or (MARGIN * seen.low, MARGIN * seen.high)
        largest = np.maximum(np.abs(low), np.abs(high))
        sides = [
            weights.astype(np.float64)
            for operation, _at in self.consumers[name]
            if operation.kind == "MatMul"
            and (weights := self.constant(operation.inputs[1])) is not None
        ]
        factors = shared(low, high, seen.squares, np.hstack(sides)) if sides else largest
        if not np.isfinite(factors).all() or factors.max() <= 0:
            return None
        factors = np.maximum(factors / factors.max(), LEAST_FACTOR)
        return float((low / factors).min()), float((high / factors).max()), factors

    def _all_take(self, name: str, steps: int) -> bool:
        found = self.consumers.get(name, [])
        return bool(found) and all(self._takes(operation, at, steps) for operation, at in found)

    def _takes(self, operation: Operation, at: int, steps: int) -> bool:
        if operation.kind == "MatMul":
            weights = self.constant(operation.inputs[1])
            return at == 0 and weights is not None and weights.ndim == 2
        if operation.kind == "LayerNormalization":
            return at == 0
        return (
            operation.kind in FUNCTIONS
            and steps > 0
            and self._all_take(operation.outputs[0], steps - 1)
        )


def shared(low: Factors, high: Factors, squares: Factors, weights: Factors) -> Factors:
    """Return largest^alpha / row^(1 - alpha) with the alpha of the least error.

    Dividing channel c by f_c multiplies row c of the weights. With a step s of the activations and t_o
    of the weights of output o, and errors spread evenly over a step, the sums' squared error is

        sum over c, o of (s f_c)^2 / 12 w_co^2 + t_o^2 / 12 E[x_c^2] / f_c^2
    """
    largest = np.maximum(np.maximum(np.abs(low), np.abs(high)), TINY)
    rows = np.maximum(np.abs(weights).max(axis=1), TINY)
    energy = np.square(weights).sum(axis=1)
    best, least = largest, np.inf
    for alpha in ALPHAS:
        factors = largest**alpha * rows ** (alpha - 1)
        factors = np.maximum(factors / factors.max(), LEAST_FACTOR)
        step = (max((high / factors).max(), 0) - min((low / factors).min(), 0)) / 255
        by_output = np.abs(weights * factors[:, np.newaxis]).max(axis=0) / 127
        error = (np.square(step * factors) * energy).sum()
        error += np.square(by_output).sum() * (squares / np.square(factors)).sum()
        if error < least:
            best, least = factors, error
    return best
