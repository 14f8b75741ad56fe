"""The wire protocol: every message there and back, and whatever else a peer may send."""

import doctest
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.poc_protocol import constants as rules
from engine.poc_protocol import decoder as decode
from engine.poc_protocol import frames
from engine.poc_protocol.decoder import Decoder, Refusal

HASH = "ab" * 32
CAPABILITIES = frames.Capabilities(
    kinds=("synthetic",), devices=("cpu",), matrix_size=1024, iterations=4, product=2**40, jobs=2
)
SAMPLES = [
    frames.JobRequest(
        job_id="j", task_id="t", payload={"challenge_type": "synthetic", "x": [1, 2.5]}
    ),
    frames.JobRequest(job_id="j", task_id="t", payload={}, deadline=1.5e9),
    frames.Challenge(protocol=1, chain_id="cpc-devnet-1", nonce=HASH),
    frames.Open(job_id="j", leaves=(3, 1)),
    frames.Cancel(job_id="j"),
    frames.Verdict(job_id="j", accepted=True, reason="right"),
    frames.Hello(
        worker_address="cpc1x",
        pub_key="02" + HASH,
        signature=HASH * 2,
        capabilities=CAPABILITIES,
        version="0.1",
    ),
    frames.JobResult(job_id="j", worker_address="cpc1x", result_hash=HASH, proof=None),
    frames.JobResult(
        job_id="j", worker_address="cpc1x", result_hash=HASH, proof="00", signature=HASH * 2
    ),
    frames.JobError(job_id="j", worker_address="cpc1x", code="busy", message="later"),
    frames.ProtocolError(code="not_json"),
    frames.OpenedLeaves(job_id="j", leaves=(3, 1), siblings=HASH),
    frames.BlobRequest(job_id="j", sha256=HASH, offset=0, length=9),
    frames.BlobChunk(job_id="j", sha256=HASH, offset=0, data="AAAA"),
    frames.BlobChunk(job_id="j", sha256=HASH, offset=0, data=None),
    frames.JobResult(
        job_id="j",
        worker_address="cpc1x",
        result_hash=HASH,
        proof=None,
        data=frames.ResultData(sha256=HASH, size=3, inline="AAAA"),
    ),
]
EVERY_KIND = tuple(
    {frames.kind_of(kind): kind for kind in frames.FROM_VALIDATOR + frames.FROM_WORKER}.values()
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_module_tells_the_truth():
    assert doctest.testmod(decode).failed == doctest.testmod(frames).failed == 0


@pytest.mark.parametrize("frame", SAMPLES, ids=frames.kind_of)
def test_a_frame_comes_back_as_it_was(frame):
    decoder = Decoder(EVERY_KIND)
    assert decoder.decode(frames.encode(frame)) == frame
    assert (decoder.unknown_fields, decoder.unknown_types, decoder.refused) == (0, 0, 0)


@pytest.mark.parametrize("frame", SAMPLES, ids=frames.kind_of)
def test_a_frame_of_another_form_means_the_same(frame):
    other = json.dumps(frame.to_wire(), indent=1)
    decoder = Decoder(EVERY_KIND)
    assert decoder.decode(other) == decoder.decode(frames.encode(frame)) == frame


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_a_payload_is_read_as_json_is(value):
    text = json.dumps({"x": value}, separators=(",", ":"))
    message = f'{{"type":"job","job_id":"a","task_id":"b","payload":{text}}}'
    spaced = message.replace('"type":', '"type": ', 1)
    read, plainly = Decoder(EVERY_KIND).decode(message), Decoder(EVERY_KIND).decode(spaced)
    assert read == plainly
    if isinstance(read, frames.JobRequest):
        assert json.dumps(read.payload) == json.dumps(json.loads(text))


def test_the_two_messages_of_the_guide_are_the_guides():
    assert SAMPLES[7].to_wire() == {
        "type": "job_result",
        "job_id": "j",
        "worker_address": "cpc1x",
        "result_hash": HASH,
        "proof": None,
    }
    assert set(SAMPLES[0].to_wire()) == {"type", "job_id", "task_id", "payload"}


@given(
    st.text()
    | st.binary()
    | json_values.map(json.dumps)
    | st.builds(
        lambda frame, field, value: json.dumps(frame.to_wire() | {field: value}),
        st.sampled_from(SAMPLES),
        st.sampled_from(
            [name for kind in EVERY_KIND for name in ("type", *kind.__struct_fields__)]
        ),
        json_values,
    )
    | st.builds(
        lambda frame, cut: frames.encode(frame)[:cut], st.sampled_from(SAMPLES), st.integers(0, 80)
    )
)
@settings(max_examples=400, deadline=None)
def test_whatever_comes_is_a_value(message):
    decoder = Decoder(EVERY_KIND)
    read = decoder.decode(message)
    if read is None:
        assert decoder.unknown_types == 1
    elif isinstance(read, Refusal):
        assert decoder.refused == 1
        assert frames.one_line(read.detail) == read.detail
    else:
        assert Decoder(EVERY_KIND).decode(frames.encode(read)) == read


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "cancel", "job_id": "%s"}' % ("x" * rules.MAX_FRAME_BYTES), "too_large"),
        ('{"type": "cancel", "job_id": "%s"}' % ("é" * (rules.MAX_FRAME_BYTES // 2)), "too_large"),
        ("[" * 100_000, "not_json"),
        ("[" * 40 + "]" * 40, "not_json"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "not_json"),
        ("[" + "0," * rules.MAX_ITEMS + "0]", "not_json"),
        ('{"type": "cancel", "job_id": "a", "job_id": "b"}', "not_json"),
        ('{"type": "job", "job_id": "a", "task_id": "b", "payload": {"x": NaN}}', "not_json"),
        ('{"type": "job", "job_id": "a", "task_id": "b", "payload": {"x": 1e999}}', "not_json"),
        ("9" * 5000, "not_json"),
        ("7", "not_json"),
        (b'{"type": "cancel", "job_id": "a"}', "not_text"),
        ('{"type": ["cancel"], "job_id": "a"}', "invalid_field"),
        ('{"type": "cancel", "job_id": 7}', "invalid_field"),
        ('{"type": "cancel", "job_id": ""}', "invalid_field"),
        ('{"type": "cancel", "job_id": "\\u001b[2J"}', "invalid_field"),
        ('{"type": "cancel", "job_id": "\\ud800"}', "invalid_field"),
        ('{"type": "open", "job_id": "a", "leaves": [1, 1]}', "invalid_field"),
        ('{"type": "open", "job_id": "a", "leaves": []}', "invalid_field"),
        ('{"type": "open", "job_id": "a", "leaves": [true]}', "invalid_field"),
        (json.dumps({"type": "open", "job_id": "a", "leaves": list(range(1025))}), "invalid_field"),
        ('{"type": "verdict", "job_id": "a", "accepted": 1}', "invalid_field"),
        ('{"type":"cancel","job_id":"a","job_id":"a"}', "not_json"),
        ('{"type":"job","job_id":"a","task_id":"b","payload":{"x":1,"x":1}}', "not_json"),
        ('{"type":"job","job_id":"a","task_id":"b","payload":{"x":1e999}}', "not_json"),
        ('{"type":"opening","job_id":"a","leaves":[1],"siblings":"AB"}', "invalid_field"),
        ('{"type":"open","job_id":"a","leaves":[1,1]}', "invalid_field"),
        ('{"type":"cancel","job_id":"\\u001b"}', "invalid_field"),
    ],
    ids=range(28),
)
def test_what_is_refused(message, code):
    read = Decoder(EVERY_KIND).decode(message)
    assert isinstance(read, Refusal)
    assert read.code == code


def test_a_refusal_names_the_job_where_it_can_be_read():
    read = Decoder(frames.FROM_VALIDATOR).decode('{"type": "open", "job_id": "a", "leaves": 3}')
    assert isinstance(read, Refusal)
    assert read.job_id == "a"


def test_a_frame_of_the_other_direction_is_an_unknown_one():
    decoder = Decoder(frames.FROM_VALIDATOR)
    assert decoder.decode(frames.encode(SAMPLES[7])) is None
    assert decoder.unknown_types == 1


def test_a_result_hash_is_lower_case_hex():
    for wrong in ("0x" + HASH[2:], HASH.upper(), HASH + "\n", HASH[:-1]):
        frame = frames.JobResult(job_id="j", worker_address="a", result_hash=wrong, proof=None)
        assert isinstance(Decoder(EVERY_KIND).decode(frames.encode(frame)), Refusal)
