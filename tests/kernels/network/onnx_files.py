"""ONNX files for the tests: a float graph built node by node, and the same as QDQ or QLinear."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
INTEGER = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8}


class Writer:
    """A graph that grows: constants get names of their own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def constant(self, value: Any) -> str:
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def input(self, name: str, shape: tuple[Any, ...], dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def node(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name() for _ in range(outputs)]
        domain, _, plain = kind.rpartition(".")
        self.nodes.append(helper.make_node(plain, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def file(self, *outputs: str, dtype: int = TensorProto.FLOAT) -> bytes:
        ends = [helper.make_tensor_value_info(one, dtype, None) for one in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, ends, self.constants)
        model = helper.make_model(graph, opset_imports=OPSET, ir_version=10)
        return model.SerializeToString()

    def quantised(self, x: str, scale: float, zero: int, dtype: Any = np.int8) -> str:
        """x through QuantizeLinear and DequantizeLinear."""
        ends = self.constant(np.float32(scale)), self.constant(dtype(zero))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", x, *ends), *ends)

    def weights(self, codes: np.ndarray, scales: np.ndarray, axis: int = 0) -> str:
        """int8 weights through DequantizeLinear, a scale for each output."""
        zeros = np.zeros(len(scales), codes.dtype)
        return self.node(
            "DequantizeLinear",
            self.constant(codes), self.constant(scales.astype(np.float32)), self.constant(zeros),
            axis=axis,
        )  # fmt: skip
