"""What moves entries, and what computes shapes."""

import math
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.evaluate.room import (
    Array,
    Attributes,
    Function,
    Inputs,
    Room,
    axes_of,
    axis_of,
    given,
    integers,
    optional,
)

MOST_RANGE = 1 << 20


def reshaped(shape: tuple[int, ...], wanted: tuple[int, ...], allow_zero: bool) -> tuple[int, ...]:
    """Return the shape that Reshape gives: 0 copies a side, one -1 is what is left."""
    sides = [
        shape[i] if side == 0 and not allow_zero and i < len(shape) else side
        for i, side in enumerate(wanted)
    ]
    if sides.count(-1) > 1 or min(sides, default=0) < -1:
        raise Unsupported(_("a shape with more than one open side"))
    if -1 in sides:
        known, place = -math.prod(sides), sides.index(-1)
        if known == 0 or math.prod(shape) % known:
            raise Unsupported(_("its input cannot take that shape"))
        sides[place] = math.prod(shape) // known
    return tuple(sides)


def flattened(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Return the shape that Flatten gives."""
    cut = axis if axis >= 0 else axis + len(shape)
    return math.prod(shape[:cut]), math.prod(shape[cut:])


def squeezed(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape without these sides, or without every 1."""
    dropped = axes or tuple(i for i, side in enumerate(shape) if side == 1)
    if any(shape[i] != 1 for i in dropped):
        raise Unsupported(_("only a side of 1 can be left out"))
    return tuple(side for i, side in enumerate(shape) if i not in dropped)


def unsqueezed(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape with a 1 at these places of the new one."""
    rank = len(shape) + len(axes)
    places = sorted(axis_of(axis, rank) for axis in axes)
    longer = list(shape)
    for place in places:
        longer.insert(place, 1)
    return tuple(longer)


def cuts_of(attributes: Attributes, inputs: Inputs, shape: tuple[int, ...]) -> list[range]:
    """Return, for each side, the places that a Slice leaves."""
    if "starts" in attributes:
        starts, ends = attributes["starts"], attributes["ends"]
        axes = attributes.get("axes", tuple(range(len(starts))))
        steps: tuple[int, ...] = (1,) * len(starts)
    else:
        starts, ends = integers(inputs, 1), integers(inputs, 2)
        known = optional(inputs, 3)
        axes = tuple(range(len(starts))) if known is None else integers(inputs, 3)
        steps = (1,) * len(starts) if optional(inputs, 4) is None else integers(inputs, 4)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Unsupported(_("its bounds do not fit its input"))
    cuts = [range(side) for side in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis_of(axis, len(shape))
        last = None if step < 0 and end < -shape[place] else end
        cuts[place] = range(shape[place])[slice(start, last, step)]
    return cuts


def splits_of(attributes: Attributes, inputs: Inputs, side: int, outputs: int) -> tuple[int, ...]:
    """Return the lengths that a Split gives."""
    parts = attributes.get("split")
    if parts is None and optional(inputs, 1) is not None:
        parts = integers(inputs, 1)
    if parts is None:
        each = -(-side // outputs)
        parts = tuple(min(each, side - i * each) for i in range(outputs))
    if len(parts) != outputs or sum(parts) != side or min(parts) < 1:
        raise Unsupported(_("its outputs do not fit its input"))
    return tuple(parts)


def places_of(indices: Array, side: int) -> Array:
    """Return a Gather's places, counted from the front. Raise Unsupported."""
    if indices.dtype.kind not in "iu":
        raise Unsupported(_("its places must be whole numbers"))
    places = np.where(indices < 0, indices + side, indices)
    if places.size and (places.min() < 0 or places.max() >= side):
        raise Unsupported(_("a place lies outside its input"))
    return places


def reshape(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Reshape."""
    x = given(inputs, 0)
    zero = bool(attributes.get("allowzero", 0))
    return x.reshape(reshaped(x.shape, integers(inputs, 1), zero))


def transpose(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Transpose."""
    x = given(inputs, 0)
    room.take(x.shape)
    return x.transpose(attributes.get("perm"))


def flatten(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Flatten."""
    x = given(inputs, 0)
    return x.reshape(flattened(x.shape, attributes.get("axis", 1)))


def squeeze(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Squeeze."""
    x = given(inputs, 0)
    return x.reshape(squeezed(x.shape, axes_of(attributes, inputs, 1, x.ndim)))


def unsqueeze(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Unsqueeze."""
    x = given(inputs, 0)
    axes = attributes.get("axes") or integers(inputs, 1)
    return x.reshape(unsqueezed(x.shape, axes))


def slice_(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Slice."""
    x = given(inputs, 0)
    room.take(x.shape)
    return x[np.ix_(*cuts_of(attributes, inputs, x.shape))]


def split(attributes: Attributes, inputs: Inputs, room: Room) -> tuple[Array, ...]:
    """Split; the reader says how many outputs there are in `num_outputs`."""
    x = given(inputs, 0)
    room.take(x.shape)
    axis = axis_of(attributes.get("axis", 0), x.ndim)
    parts = splits_of(attributes, inputs, x.shape[axis], attributes["num_outputs"])
    return tuple(np.split(x, np.cumsum(parts)[:-1], axis=axis))


def gather(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Gather."""
    x, indices = given(inputs, 0), given(inputs, 1)
    axis = axis_of(attributes.get("axis", 0), x.ndim)
    room.take((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    return np.take(x, places_of(indices, x.shape[axis]), axis=axis)


def gather_nd(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """GatherND of single entries."""
    x, indices = given(inputs, 0), given(inputs, 1)
    room.take(indices.shape)
    return x.reshape(-1)[entries_of(attributes, x.shape, indices)]


def entries_of(attributes: Attributes, shape: tuple[int, ...], indices: Array) -> Array:
    """Return the places of a GatherND's entries in the flattened input."""
    if attributes.get("batch_dims") or indices.ndim < 1 or indices.shape[-1] != len(shape):
        raise Unsupported(_("only single entries can be gathered so"))
    places = [places_of(indices[..., i], side) for i, side in enumerate(shape)]
    return np.ravel_multi_index(tuple(places), shape)


def concat(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Concat."""
    values = [given(inputs, i) for i in range(len(inputs))]
    for one in values:
        room.take(one.shape)
    return np.concatenate(values, axis=axis_of(attributes.get("axis", 0), values[0].ndim))


def expand(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Expand."""
    x = given(inputs, 0)
    shape = np.broadcast_shapes(x.shape, integers(inputs, 1))
    room.take(shape)
    return np.broadcast_to(x, shape)


def tile(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Tile."""
    x, times = given(inputs, 0), integers(inputs, 1)
    if len(times) != x.ndim:
        raise Unsupported(_("its bounds do not fit its input"))
    room.take([a * b for a, b in zip(x.shape, times, strict=True)])
    return np.tile(x, times)


def pads_of(
    attributes: Attributes, inputs: Inputs, rank: int
) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Return what a Pad puts before and after each side, and the value."""
    pads = attributes.get("pads") or integers(inputs, 1)
    filler = optional(inputs, 2)
    value = float(attributes.get("value", 0.0)) if filler is None else float(filler.item())
    axes = range(rank) if optional(inputs, 3) is None else integers(inputs, 3)
    if attributes.get("mode", "constant") != "constant" or len(pads) != 2 * len(axes):
        raise Unsupported(_("its paddings do not fit its input"))
    if min(pads, default=0) < 0:
        raise Unsupported(_("a padding is negative"))
    around = {axis_of(axis, rank): (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    before, after = ([around.get(i, (0, 0))[end] for i in range(rank)] for end in (0, 1))
    return tuple(before), tuple(after), value


def pad(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Pad with a constant."""
    x = given(inputs, 0)
    before, after, value = pads_of(attributes, inputs, x.ndim)
    around = list(zip(before, after, strict=True))
    room.take([side + sum(more) for side, more in zip(x.shape, around, strict=True)])
    return np.pad(x, around, constant_values=x.dtype.type(value))


def shape(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Shape."""
    sides = given(inputs, 0).shape
    return np.array(sides[attributes.get("start", 0) : attributes.get("end")], np.int64)


def size(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Size."""
    return np.array(given(inputs, 0).size, np.int64)


def range_(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Range."""
    start, limit, delta = (given(inputs, i).item() for i in range(3))
    if not delta or abs(limit - start) / abs(delta) > MOST_RANGE:
        raise Unsupported(_("a range is too long"))
    room.take((int(abs(limit - start) / abs(delta)) + 1,))
    return np.arange(start, limit, delta, dtype=given(inputs, 0).dtype)


def constant_of_shape(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """ConstantOfShape."""
    sides = integers(inputs, 0)
    room.take(sides)
    value = attributes.get("value")
    filler = np.zeros(1, np.float32) if value is None else value.reshape(-1)
    return np.full(sides, filler[0], filler.dtype)


def constant(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """Constant."""
    for name, dtype in (
        ("value_float", np.float32), ("value_floats", np.float32),
        ("value_int", np.int64), ("value_ints", np.int64),
    ):  # fmt: skip
        if name in attributes:
            return np.array(attributes[name], dtype)
    value = attributes.get("value")
    if not isinstance(value, np.ndarray):
        raise Unsupported(_("a constant of a type that is not possible"))
    return value


FUNCTIONS: dict[str, Function] = {
    "Reshape": reshape,
    "Transpose": transpose,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "GatherND": gather_nd,
    "Concat": concat,
    "Expand": expand,
    "Tile": tile,
    "Pad": pad,
    "Shape": shape,
    "Size": size,
    "Range": range_,
    "ConstantOfShape": constant_of_shape,
    "Constant": constant,
}
