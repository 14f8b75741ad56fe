"""ONNX operators in numpy, float32: what folds constants, calibrates a float model and checks it.

    outputs = evaluate(operation, inputs, Room(bytes))

It is no oracle: the tests compare it with ONNX Runtime. Semantics: the ONNX operators' reference.
"""

from collections.abc import Sequence
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.evaluate import elementwise, layers, moves
from kernels.network.onnx.evaluate.room import Array, Function, Room
from kernels.network.onnx.reader import Operation

FOLDED: dict[str, Function] = {**elementwise.FUNCTIONS, **moves.FUNCTIONS}
"""What is computed of constants."""
FUNCTIONS: dict[str, Function] = {**FOLDED, **layers.FUNCTIONS}


def evaluate(operation: Operation, inputs: Sequence[Array | None], room: Room) -> tuple[Array, ...]:
    """Return the outputs. Raise Unsupported for an operator that is not known, InvalidNetwork."""
    function = FUNCTIONS.get(operation.kind)
    if function is None:
        raise Unsupported(_("there is no such operator here"))
    with np.errstate(all="ignore"):
        made = function(operation.attributes, inputs, room)
    return made if isinstance(made, tuple) else (np.asarray(made),)
