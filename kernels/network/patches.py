"""What a window sees, laid out as rows (im2col), in numpy."""

import numpy as np

from kernels.network import Activations, Window


def patches(x: Activations, window: Window, zero: int) -> Activations:
    """One row for each place of the window; what lies outside the image is `zero`."""
    top, left, bottom, right = window.padding
    around = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(x, around, constant_values=zero)
    views = np.lib.stride_tricks.sliding_window_view(padded, window.extent, axis=(1, 2))
    views = views[:, :: window.stride[0], :: window.stride[1]]
    views = views[..., :: window.dilation[0], :: window.dilation[1]]
    length = window.height * window.width * x.shape[3]
    return np.ascontiguousarray(views.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, length)
