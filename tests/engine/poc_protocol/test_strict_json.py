"""JSON that is bounded before it is parsed, and what two readers would read as two things."""

import doctest
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.poc_protocol import strict_json
from engine.poc_protocol.strict_json import (
    FULL,
    Bounds,
    NotJson,
    NotTaken,
    canonical,
    count_values,
    is_canonical,
    parse,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.text('"\\[]{},'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\[{a'), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def number_of_values(value):
    """How many commas and brackets stand outside of strings, and one."""
    match value:
        case dict():
            return 1 + sum(map(number_of_values, value.values()))
        case list():
            return 1 + sum(map(number_of_values, value))
        case _:
            return 1


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth_of, inner), default=0) if isinstance(value, dict | list) else 0


def test_the_module_tells_the_truth():
    assert doctest.testmod(strict_json).failed == 0


@given(json_values)
def test_values_and_depth_are_counted_whatever_stands_in_strings(value):
    text = json.dumps(value).encode()
    counted = count_values(text, FULL)
    assert number_of_values(value) <= counted + 1
    assert counted <= 2 * number_of_values(value)
    depth = depth_of(value)
    assert parse(text, Bounds(depth=depth)) == value
    if depth:
        with pytest.raises(NotTaken, match="deep"):
            parse(text, Bounds(depth=depth - 1))


@given(json_values)
def test_what_is_canonical_stays_as_it_is(value):
    text = canonical(value)
    assert is_canonical(text)
    assert canonical(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ['{"b":1,"a":2}', '{"a": 1}', '{"a":1,"a":1}', "[NaN]", "[1e999]", '"é"', "[1.0e0]", "["],
)
def test_what_is_not_canonical(text):
    assert not is_canonical(text)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 2**20,
        b"[],".join([b"["] + [b""] * 2**19),
        b'"' * 2**22,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"\\"": [' + b'"\\\\",' * 2**18 + b'""]}',
    ],
    ids=["open", "lists", "quotes", "deep", "escapes"],
)
def test_too_much_is_refused_before_it_is_parsed(text):
    with pytest.raises(NotTaken):
        count_values(text, FULL)


@pytest.mark.parametrize("text", [b"", b"]", b"\xff", "[1]".encode("utf-16"), b"{]", b"9" * 5000])
def test_what_is_not_json(text):
    with pytest.raises(NotJson):
        parse(text)
