"""Samples of one stream through a graph with states: each meets the states that the one before left.

    rows = run_stream(graph, samples, start_of(graph), run)     # N x columns: outputs, then the states
    met = samples_with_states(graph, samples, start, rows)      # what each sample meets by these rows

A row has the states after its sample, so that whoever has the rows can compute any sample again by
itself, and all of them as one batch.
"""

from collections.abc import Callable

import numpy as np

from kernels.network import Activations
from kernels.network.graph.graph import Graph
from kernels.network.graph.run import Rows


def first_states(graph: Graph) -> list[Activations]:
    """Return each state as the first sample of a stream meets it, 1 x its shape."""
    forms = graph.inputs[len(graph.inputs) - len(graph.states) :]
    return [
        np.full((1, *form.shape), start, np.int8)
        for form, start in zip(forms, graph.states, strict=True)
    ]


def start_of(graph: Graph) -> Activations:
    """Return the bytes of all states as the first sample of a stream meets them."""
    return np.concatenate([state.reshape(-1) for state in first_states(graph)])


def states_of(graph: Graph, rows: Rows) -> Activations:
    """Return the states after each sample, N x entries, from rows, whatever else these have."""
    return rows[:, graph.columns - graph.state_entries : graph.columns].astype(np.int8)


def run_stream(
    graph: Graph, samples: Activations, start: Activations, run: Callable[[Activations], Rows]
) -> Rows:
    """Return a row for each of N samples; `run` computes one, 1 x (sample and states)."""
    states, rows = start.reshape(1, -1), []
    for one in samples.reshape(len(samples), -1):
        rows.append(run(np.concatenate([one[np.newaxis], states], axis=1)))
        states = states_of(graph, rows[-1])
    return np.concatenate(rows)


def samples_with_states(
    graph: Graph, samples: Activations, start: Activations, rows: Rows
) -> Activations:
    """Return each sample with the states that it meets, N x bytes, as these rows have them."""
    before = np.concatenate([start.reshape(1, -1), states_of(graph, rows[:-1])])
    return np.concatenate([samples.reshape(len(samples), -1), before], axis=1)
