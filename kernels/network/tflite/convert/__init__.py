"""A function for each operator of TFLite, by the families of kernels.network.graph."""

from kernels.network.tflite.context import Converter
from kernels.network.tflite.convert import elementwise, moves, products, variables, windows

CONVERTERS: dict[str, Converter] = {
    **products.CONVERTERS,
    **elementwise.CONVERTERS,
    **moves.CONVERTERS,
    **windows.CONVERTERS,
    **variables.CONVERTERS,
}
"""By the operator's name in the schema."""
