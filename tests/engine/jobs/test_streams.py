"""A stream in two jobs: the second goes on from the first one's result."""

import numpy as np
import pytest

from engine.jobs.blobs import NoBlobs
from engine.jobs.fields import carry
from engine.jobs.inference import build_payload, outputs_of, state_after
from engine.jobs.kind import InvalidPayload, JobLimits
from engine.jobs.registry import load_kinds, parse_job
from engine.runtime.errors import BadInput
from kernels.network.graph.elementwise import Table
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.operator import Form
from kernels.network.model import encode_network
from tests.kernels.network.test_streams import GRAPH, MODEL, SAMPLES


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "stream.safetensors"
    file.write_bytes(MODEL)
    return file


def computed(payload, cpu):
    job = parse_job(load_kinds(), payload, JobLimits(), NoBlobs())
    outcome = job.run(cpu)
    job.check(outcome)
    return outcome.data


@pytest.mark.parametrize("layers", [False, True])
def test_a_stream_goes_on(model, cpu, layers):
    frames = SAMPLES.reshape(-1, *GRAPH.input_shape)
    whole = computed(build_payload(model, frames, layers=layers), cpu)
    first = build_payload(model, frames[:5], layers=layers)
    begun = computed(first, cpu)
    state = state_after(model, begun, layers=layers)
    rest = build_payload(model, frames[5:], layers=layers, state=state)
    assert begun + computed(rest, cpu) == whole
    shown = outputs_of(first, begun, NoBlobs())
    assert shown.shape == (5, GRAPH.columns - GRAPH.state_entries)


def test_a_state_that_is_none(model):
    with pytest.raises(BadInput, match="not from a result of this model"):
        state_after(model, b"1234567")
    with pytest.raises(BadInput, match="keeps no state"):
        state_after("digits", b"1234567")
    other = build_payload("digits", "digits:1", state=b"x")
    with pytest.raises(InvalidPayload, match="1 byte, and the model's is 0"):
        parse_job(load_kinds(), other, JobLimits(), NoBlobs())


def test_a_model_with_one_score_says_it():

    table = Table(table=np.arange(-128, 128).astype(np.int8))
    content = encode_network(Graph((Form((1, 1)),), (Node(table, (0,)),), (1,)))
    payload = {"challenge_type": "inference", "model": carry(content), "input": carry(b"\5\6")}
    said = load_kinds()["inference"].explain(payload | {"batch": 2}, b"\5\xff", NoBlobs())
    assert said == "the output is 5\nthe output is -1"
