"""Inference jobs wholly on a card, beside two CPU threads of the same machine, and ONNX Runtime.

    cpc-engine models import MODEL.tflite -o models/MODEL.cpc
    python -m bench.card_networks models/*.cpc

A job is what a worker's child does: samples in memory, whose hash was checked, to a result with its
commitment, the data in host memory. Outcomes must be equal. The card's first two jobs of a batch
(compiling; recording) are not counted. ONNX Runtime (CPU, two threads) has the same integers as
QLinearConv, for models of convolutions, with float scales; the hash is not in its time.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from kernels.data import Data
from kernels.devices import open_device
from kernels.network.graph.convolutions import Conv2D, DepthwiseConv2D
from kernels.network.graph.graph import Graph
from kernels.network.graph.moves import Reshape
from kernels.network.graph.products import FullyConnected
from kernels.network.graph.softmax import Softmax
from kernels.network.graph.windows import AveragePool
from kernels.network.model import decode_network
from kernels.work.inference import InferenceWork


def milliseconds(work: Callable[[], object], warm: int, rounds: int) -> float:
    """The median of some rounds."""
    for _ in range(warm):
        work()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def onnx_model(graph: Graph) -> Any:
    """The same integers as an ONNX file, NCHW; None for operators that are not written here."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []

    def tensor(value: Any, dtype: Any) -> str:
        tensors.append(numpy_helper.from_array(np.asarray(value, dtype), f"t{len(tensors)}"))
        return tensors[-1].name

    def ends(zero: int, scale: float = 1.0) -> list[str]:
        return [tensor(scale, np.float32), tensor(zero, np.int8)]

    def put(kind: str, inputs: Sequence[str], output: str, domain: str = "", **fields: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **fields))

    for place, node in enumerate(graph.nodes):
        op, x, y = node.operator, f"v{node.inputs[0]}", f"v{place + 1}"
        match op:
            case Conv2D() | DepthwiseConv2D():
                depthwise = isinstance(op, DepthwiseConv2D)
                order = (2, 0, 1) if depthwise else (0, 3, 1, 2)
                weights = np.transpose(op.weights, order)
                weights = weights[:, np.newaxis] if depthwise else weights
                scales = np.maximum(op.multiplier, 1) * 2.0 ** (op.exponent.astype(float) - 31)
                count = len(weights)
                put(
                    "QLinearConv",
                    [x, *ends(op.input_zero), tensor(weights, np.int8),
                     tensor(scales, np.float32), tensor(np.zeros(count), np.int8),
                     *ends(op.output_zero), tensor(op.bias, np.int32)],
                    y, strides=list(op.stride), dilations=list(op.dilation),
                    pads=list(op.padding), group=count if depthwise else 1,
                )  # fmt: skip
                zero = op.output_zero
            case AveragePool() if graph.forms[place + 1].shape[1:3] == (1, 1):
                put("DequantizeLinear", [x, *ends(zero)], f"{y}f")
                put("GlobalAveragePool", [f"{y}f"], f"{y}m")
                put("QuantizeLinear", [f"{y}m", *ends(zero)], y)
            case Reshape():
                put("Flatten", [x], y)
            case FullyConnected():
                scales = op.multiplier / 2.0 ** op.shift.astype(float)
                put(
                    "QGemm",
                    [x, *ends(op.input_zero), tensor(op.weights, np.int8),
                     tensor(scales, np.float32), tensor(np.zeros(len(scales)), np.int8),
                     tensor(op.bias, np.int32), *ends(op.output_zero)],
                    y, domain="com.microsoft", transB=1,
                )  # fmt: skip
                zero = op.output_zero
            case Softmax():
                scale = -float(np.log(op.exps[1] / 2.0**31))
                put("DequantizeLinear", [x, *ends(zero, scale)], f"{y}f")
                put("Softmax", [f"{y}f"], y, axis=-1)
            case _:
                return None
    _, height, width, channels = graph.inputs[0].shape
    first = helper.make_tensor_value_info("v0", TensorProto.INT8, ["n", channels, height, width])
    kind = TensorProto.FLOAT if isinstance(graph.nodes[-1].operator, Softmax) else TensorProto.INT8
    last = helper.make_tensor_value_info(f"v{len(graph.nodes)}", kind, None)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_graph(nodes, "main", [first], [last], tensors)
    return helper.make_model(made, opset_imports=domains, ir_version=8)


def onnx_runtime(graph: Any, samples: np.ndarray) -> float | None:
    """Milliseconds of ONNX Runtime on two threads; None where it does not run the model."""
    try:
        import onnxruntime
    except ImportError:
        return None
    if not isinstance(graph, Graph) or (model := onnx_model(graph)) is None:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    shape = graph.inputs[0].shape
    images = np.moveaxis(samples.view(np.int8).reshape(-1, *shape[1:]), -1, 1)
    fed = {"v0": np.ascontiguousarray(images)}
    return milliseconds(lambda: session.run(None, fed), 1, 3)


def main() -> None:
    from kernels.cuda.device import CudaDevice

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 64, 512])
    parser.add_argument("--layers-up-to", type=int, default=64, help="samples with layers, too")
    parser.add_argument("--index", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    print("| model | samples | layers | card, ms | samples/s | two CPU threads, ms | times |"
          " ONNX Runtime, ms |")  # fmt: skip
    print("| --- |" + " --- |" * 7)
    with CudaDevice(arguments.index) as card, open_device("cpu", threads=2) as cpu:
        for path in arguments.models:
            content = path.read_bytes()
            network, model = decode_network(content), Data.of_bytes(content)
            for batch in arguments.batches:
                content = random.bytes(batch * network.sample_entries)
                samples = Data.of_bytes(content)
                onnx = onnx_runtime(network, np.frombuffer(content, np.uint8))
                for layers in (False, True):
                    if layers and (
                        not isinstance(network, Graph) or batch > arguments.layers_up_to
                    ):
                        continue
                    work = InferenceWork.of(model, samples, batch, layers=layers)
                    if work.run(card) != work.run(cpu):
                        raise SystemExit(f"{path.stem}, {batch}: the card's outcome is another one")
                    quick = milliseconds(lambda work=work: work.run(card), 2, 7)  # type: ignore[misc]
                    slow = milliseconds(lambda work=work: work.run(cpu), 0, 3)  # type: ignore[misc]
                    beside = f"{onnx:.1f}" if onnx and not layers else ""
                    print(f"| {path.stem} | {batch} | {'yes' if layers else ''} | {quick:.2f} |"
                          f" {1000 * batch / quick:,.0f} | {slow:.1f} | {slow / quick:.1f} |"
                          f" {beside} |", flush=True)  # fmt: skip
        jobs = card.whole_jobs()
        if jobs is None or jobs.problem:
            raise SystemExit(f"not wholly on the card: {jobs and jobs.problem}")


if __name__ == "__main__":
    main()
