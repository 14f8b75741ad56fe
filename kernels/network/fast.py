"""Run a network on a device.

A graph that the device has made ready (`Device.prepare_graph`) is one compiled program. Any other
network goes layer by layer: each layer with weights is one `Device.multiply`. A convolution becomes a
product by laying out what its window sees, one place a row (im2col), and the zero point is taken into
the bias beforehand: sum((x - zero) * w) + bias = sum(x * w) + bias', so that the product has int8 on
both sides. Samples go through the whole network in groups that fit a fixed amount of memory.
"""

import numpy as np
import numpy.typing as npt

from kernels.device import Device
from kernels.network import Activations
from kernels.network.graph.backend import fast
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import layer_columns, run_layers
from kernels.network.graph.run import Rows, run_graph
from kernels.network.layers import ArgMax, Conv2D, Dense, Flatten, Pool
from kernels.network.model import Network
from kernels.network.pool import pool

GROUP_BYTES = 64 << 20
"""Memory that the samples of one group take together, or one sample where that needs more."""


def forward(
    network: Network | Graph, batch: Activations, device: Device
) -> npt.NDArray[np.signedinteger]:
    """The network's outputs, N x columns, int8 or (argmax) int32, for N samples."""
    if isinstance(network, Graph):
        prepared = device.prepare_graph(network)
        if prepared is not None:
            return prepared.run(batch.reshape(len(batch), -1))
        return run_graph(network, batch, fast(device), group_size(network))
    out = np.empty((len(batch), network.columns), f"i{network.entry_bytes}")
    step = group_size(network)
    for first in range(0, len(batch), step):
        out[first : first + step] = _forward(network, batch[first : first + step], device)
    return out


def forward_layers(graph: Graph, batch: Activations, device: Device) -> Rows:
    """Return what `run_layers` returns: a row of outputs and sums for each sample, int32."""
    prepared = device.prepare_graph(graph)
    if prepared is None:
        return run_layers(graph, batch, fast(device), group_size(graph))
    rows = np.empty((len(batch), graph.columns + layer_columns(graph)), np.int32)
    outputs = prepared.run(batch.reshape(len(batch), -1), rows[:, graph.columns :])
    rows[:, : graph.columns] = outputs
    return rows


def group_size(network: Network | Graph) -> int:
    """Samples that go through the network together."""
    return max(1, GROUP_BYTES // network.sample_bytes)


def _forward(network: Network, batch: Activations, device: Device) -> npt.NDArray[np.signedinteger]:
    do = device.network_operations()
    x: Activations = batch
    for layer in network.layers:
        match layer:
            case Dense():
                x = do.rescale(device.multiply(x, layer.weights), layer.zero_absorbed)
            case Conv2D():
                rows = do.patches(x, layer.window, layer.input_zero)
                weights = layer.weights.reshape(len(layer.weights), -1)
                sums = device.multiply(rows, weights)
                places = layer.window.positions(x.shape[1], x.shape[2])
                x = do.rescale(sums, layer.zero_absorbed).reshape(len(x), *places, len(weights))
            case Pool():
                x = pool(x, layer)
            case Flatten():
                x = x.reshape(len(x), -1)
            case ArgMax():
                return x.argmax(axis=1).astype(np.int32)[:, np.newaxis]
    return x.reshape(len(x), -1)
