"""Where a convolution's or a pool's window goes, from a node's attributes."""

from dataclasses import dataclass
from gettext import gettext as _

from kernels.errors import Unsupported
from kernels.network.onnx.evaluate.room import Attributes

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Windowed:
    """Sides, stride, dilation, and padding top, left, bottom, right."""

    sides: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[int, int, int, int]


def windowed(attributes: Attributes, shape: tuple[int, ...], sides: tuple[int, ...]) -> Windowed:
    """Return the window over an image of this shape, NCHW. Raise Unsupported."""
    stride, dilation = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    pads = attributes.get("pads", (0, 0, 0, 0))
    if not (len(shape) == len(pads) == 4 and len(sides) == len(stride) == len(dilation) == 2):
        raise Unsupported(_("a window needs an image of two dimensions"))
    if min(*sides, *stride, *dilation) < 1 or min(pads) < 0 or attributes.get("ceil_mode"):
        raise Unsupported(_("such a window is not possible"))
    auto = attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        ends = []
        for side, size, step, apart in zip(shape[2:], sides, stride, dilation, strict=True):
            total = max((-(-side // step) - 1) * step + (size - 1) * apart + 1 - side, 0)
            less, more = total // 2, total - total // 2
            ends.append((less, more) if auto == "SAME_UPPER" else (more, less))
        pads = (ends[0][0], ends[1][0], ends[0][1], ends[1][1])
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    elif auto not in ("NOTSET", ""):
        raise Unsupported(_("such a window is not possible"))
    return Windowed(
        (sides[0], sides[1]), (stride[0], stride[1]), (dilation[0], dilation[1]),
        (pads[0], pads[1], pads[2], pads[3]),
    )  # fmt: skip
