"""A function for each operator of ONNX, by the families of kernels.network.graph."""

from kernels.network.onnx.context import Converter
from kernels.network.onnx.convert import (
    elementwise,
    moves,
    normal,
    products,
    quantised,
    tables,
    windows,
)

CONVERTERS: dict[str, Converter] = {
    **products.CONVERTERS,
    **elementwise.CONVERTERS,
    **moves.CONVERTERS,
    **tables.CONVERTERS,
    **windows.CONVERTERS,
    **normal.CONVERTERS,
    **quantised.CONVERTERS,
}
"""By the operator's name, with its domain where that is not ONNX's."""
