"""Model files: what was written is read again, and whatever else comes in, only InvalidNetwork out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.errors import InvalidNetwork
from kernels.network.model import METADATA_KEY, decode_network, encode_network
from kernels.network.reference import forward
from kernels.network.safetensors import decode, encode
from tests.kernels.network.conftest import networks


def small() -> tuple[dict, dict]:
    """Tensors and description of a valid network with one layer of each kind."""

    def quantised(name, weights):
        outputs = len(weights)
        return {
            f"{name}.weights": weights,
            f"{name}.bias": np.zeros(outputs, np.int32),
            f"{name}.multiplier": np.full(outputs, 2**30, np.int32),
            f"{name}.shift": np.full(outputs, 4, np.uint8),
        }

    numbers = {"input_zero": 0, "output_zero": 0, "low": 0, "high": 127}
    tensors = quantised("c", np.ones((2, 3, 3, 1), np.int8)) | quantised(
        "d", np.ones((3, 8), np.int8)
    )
    described = {
        "version": 1,
        "input": [6, 6, 1],
        "layers": [
            {"op": "conv2d", "name": "c", "stride": [1, 1], "padding": [1, 1, 1, 1]} | numbers,
            {"op": "max_pool", "window": [2, 2], "stride": [1, 1]},
            {"op": "average_pool", "window": [2, 2], "stride": [2, 2]},
            {"op": "flatten"},
            {"op": "dense", "name": "d"} | numbers,
            {"op": "argmax"},
        ],
        "about": {},
    }
    return tensors, described


def file_of(tensors, described) -> bytes:
    return encode(tensors, {METADATA_KEY: json.dumps(described)})


@settings(deadline=None, max_examples=40)
@given(networks(), st.integers(0, 2**32))
def test_there_and_back(network, number):
    content = encode_network(network)
    again = decode_network(content)
    assert encode_network(again) == content
    batch = np.random.default_rng(number).integers(-128, 128, (2, *network.input_shape))
    assert np.array_equal(
        forward(again, batch.astype(np.int8)), forward(network, batch.astype(np.int8))
    )


def test_a_file_by_hand():
    tensors, described = small()
    network = decode_network(file_of(tensors, described))
    assert len(network.layers) == 6
    assert (network.columns, network.entry_bytes) == (1, 4)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_bytes_changed_anywhere(data):
    tensors, described = small()
    content = bytearray(file_of(tensors, described))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            del content[at : at + data.draw(st.integers(1, 20))]
        if not content:
            return
    try:
        network = decode_network(bytes(content))
    except InvalidNetwork as error:
        assert str(error)  # noqa: PT017
        return
    assert network.sample_cost >= 1


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes(content):
    with pytest.raises(InvalidNetwork):
        decode_network(content)
    with pytest.raises(InvalidNetwork):
        decode_network(len(content).to_bytes(8, "little") + content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_fields_of_any_kind(data):
    """One field of one layer, or of the description, replaced by anything, or taken out."""
    tensors, described = small()
    place = described
    if data.draw(st.booleans()):
        place = data.draw(st.sampled_from(described["layers"]))
    key = data.draw(st.sampled_from([*place, "more"]))
    if key in place and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(
            JSON | st.integers(-200, 200) | st.lists(st.integers(-2, 9), max_size=4)
        )
    try:
        decode_network(file_of(tensors, described))
    except InvalidNetwork:
        return


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_headers_of_any_kind(data):
    """One field of one tensor replaced by anything."""
    content = file_of(*small())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    entry = header[data.draw(st.sampled_from(list(header)))]
    key = data.draw(st.sampled_from([*entry, "more"]))
    entry[key] = data.draw(
        JSON
        | st.lists(st.integers(-1, 100), max_size=5)
        | st.sampled_from(["I8", "U8", "I32", "F32"])
    )
    text = json.dumps(header).encode()
    try:
        decode_network(len(text).to_bytes(8, "little") + text + content[8 + length :])
    except InvalidNetwork:
        return


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b'{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}', b"xyz", "follow the header"),
        (b'{"a":{"dtype":"I8","shape":[2],"data_offsets":[1,3]}}', b"xyz", "gap"),
        (
            b'{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},'
            b'"b":{"dtype":"I8","shape":[2],"data_offsets":[1,3]}}',
            b"xyz",
            "overlap",
        ),
        (b'{"a":{"dtype":"I8","shape":[1099511627776],"data_offsets":[0,3]}}', b"xyz", "shape"),
        (b'{"a":{"dtype":"I8","shape":[3,0],"data_offsets":[0,0]}}', b"", "shape"),
        (b'{"a":1,"a":2}', b"", "twice"),
        (b" {}", b"", "JSON"),
        (b"{" * 100_000, b"", "JSON"),
        (b'{"a":' * 100_000, b"", "JSON"),
        (b"[" * 100_000, b"", "JSON"),
        (b'{"a":"\xff"}', b"", "JSON"),
        (b'{"__metadata__":{"a":1}}', b"", "strings"),
        (b'{"__metadata__":' + b"[" * 100_000, b"", "JSON"),
    ],
)
def test_hostile_headers(header, data, message):
    with pytest.raises(InvalidNetwork, match=message):
        decode(len(header).to_bytes(8, "little") + header + data)


@pytest.mark.parametrize("length", [0, 1, 1 << 20, 1 << 63, (1 << 64) - 1])
def test_hostile_lengths(length):
    with pytest.raises(InvalidNetwork, match="length"):
        decode(length.to_bytes(8, "little") + b"{}")


def test_metadata_and_tensors_must_all_be_used():
    tensors, described = small()
    for wrong in ({}, {"other": "x"}, {METADATA_KEY: json.dumps(described), "other": "x"}):
        with pytest.raises(InvalidNetwork, match="metadata"):
            decode_network(encode(tensors, wrong))
    with pytest.raises(InvalidNetwork, match="no layer uses"):
        decode_network(file_of(tensors | {"more": np.ones(1, np.int8)}, described))
    described["layers"].append({"op": "flatten"})
    with pytest.raises(InvalidNetwork, match="last"):
        decode_network(file_of(tensors, described))
    described["layers"] = described["layers"][:1] * 2
    with pytest.raises(InvalidNetwork, match="missing"):
        decode_network(file_of(tensors, described))


def test_deep_json_in_the_metadata():
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"version":1e999}', "NaN", '"x"'):
        with pytest.raises(InvalidNetwork):
            decode_network(encode({}, {METADATA_KEY: text}))
