"""A window's numbers, as the kernels of windows.py take them."""

from kernels.network import Window


def window_numbers(window: Window, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return them for a window over images, ... x height x width x channels."""
    height, width, channels = shape[-3:]
    return (
        height, width, channels, *window.positions(height, width), window.height, window.width,
        *window.stride, *window.padding[:2], *window.dilation,
    )  # fmt: skip
