"""Blocks that are too large to be kept: what is small in them is still read."""

import contextlib
import json
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_client.block_body import read_block
from node_client.condense import Condenser
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.rpc import NodeClient
from tests.blocks import ANY_JSON

CONTAINERS = (ANY_JSON | st.text(alphabet='\\"[]{}é', max_size=9)).filter(
    lambda value: isinstance(value, list | dict)
)


def condensed(text: bytes, pieces: int, most: int, **options: int) -> bytes:
    condenser = Condenser(most, **options)
    for at in range(0, len(text), pieces):
        condenser.feed(text[at : at + pieces])
    return condenser.body()


@given(st.lists(CONTAINERS, max_size=6), st.integers(1, 40), st.booleans(), st.integers(2, 60))
def test_large_elements_are_null_and_all_else_is_as_it_was(
    txs: list[Any], pieces: int, ascii_: bool, largest: int
) -> None:
    header = {"a": 'x"\\]}', "b": 1}
    ascii_ = ascii_ or "\\ud800" in json.dumps(txs)
    try:
        text = json.dumps({"header": header, "txs": txs, "c": "{["}, ensure_ascii=ascii_).encode()
    except UnicodeEncodeError:
        text = json.dumps({"header": header, "txs": txs, "c": "{["}).encode()
        ascii_ = True
    found = json.loads(condensed(text, pieces, 10**6, largest=largest))
    sizes = [len(json.dumps(tx, ensure_ascii=ascii_).encode()) for tx in txs]
    kept = [tx if size <= largest else None for tx, size in zip(txs, sizes, strict=True)]
    assert json.dumps(found) == json.dumps({"header": header, "txs": kept, "c": "{["})


@given(
    st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b"a"]), max_size=60),
    st.integers(2, 30),
)
def test_the_pieces_do_not_matter(marks: list[bytes], pieces: int) -> None:
    text = b'{"txs": [{' + b"".join(marks)
    assert condensed(text, pieces, 10**6) == condensed(text, 1, 10**6)


@pytest.mark.parametrize("mark", [b"[],", b'"",', b'{"a":[{}]},', b'"\\"[",'])
def test_a_large_element_costs_steps_by_the_piece_and_not_by_the_mark(mark: bytes) -> None:
    """Millions of empty lists are one stranger's payload; mark by mark they take half a minute."""
    calls = 0

    def count(*_event: object) -> None:
        nonlocal calls
        calls += 1

    condenser = Condenser(10**6, largest=1000)
    condenser.feed(b'{"header": {}, "txs": [{"payload": [')
    piece = mark * 10_000
    sys.setprofile(count)
    try:
        for _piece in range(3):
            condenser.feed(piece)
    finally:
        sys.setprofile(None)
    condenser.feed(b'1]}, {"n": 1}]}')
    assert condenser.body() == b'{"header": {}, "txs": [null, {"n": 1}]}'
    assert calls < 300


@given(st.binary(max_size=200), st.integers(1, 9))
def test_no_bytes_break_it(junk: bytes, pieces: int) -> None:
    for text in (junk, b'{"header": {}, "txs": [' + junk):
        condensed(text, pieces, 100)
        assert len(condensed(text, pieces, 10, largest=5)) <= 30


def test_what_is_too_much_ends_after_the_last_whole_element() -> None:
    text = json.dumps({"header": {}, "txs": [{"n": n} for n in range(1000)]}).encode()
    found = json.loads(condensed(text, 7, 500))
    assert 10 < len(found["txs"]) < 100
    assert found["txs"] == [{"n": n} for n in range(len(found["txs"]))]
    condenser = Condenser(10**6)
    condenser.feed(b'{"txs": ' + b"[" * 10**6)
    assert condenser.full


def test_our_transaction_among_large_ones_is_found_in_bounded_memory(
    key: PrivateKey, draft: Any
) -> None:
    mine = draft(nonce=0, fee=80_000_000).signed_by(key)
    large = {"tx_type": "TRANSFER", "payload": {"x": "ab" * 4_500_000}}
    with DevnetServer(block_time=3600.0) as devnet:
        for raw in (large, large, mine.to_json(), large, large):
            devnet.faults.include(raw)
        made = devnet.chain.produce()
        client = NodeClient([devnet.url], max_block_body=5 * 2**20)
        block = client.block(1)
        assert block.hash() == made.hash()
        assert block.signature_fits()
        assert block.fault == f"block 1: it has more than {5 * 2**20} bytes"
        assert [tx.own(key.address) for tx in block.txs] == [None, None, mine, None, None]


def test_our_transaction_among_ones_of_many_values_is_found(key: PrivateKey, draft: Any) -> None:
    """A million empty lists are 3 MB: one stranger's payload must not hide what is ours."""
    mine = draft(nonce=0, fee=80_000_000).signed_by(key)
    many = {"tx_type": "TRANSFER", "payload": {"x": [[]] * 600_000}}
    with DevnetServer(block_time=3600.0) as devnet:
        for raw in (many, mine.to_json(), many):
            devnet.faults.include(raw)
        made = devnet.chain.produce()
        block = NodeClient([devnet.url]).block(1)
        assert block.hash() == made.hash()
        assert block.fault == "block 1: it holds more than 1000000 values"
        assert [tx.own(key.address) for tx in block.txs] == [None, mine, None]


def test_a_hostile_body_costs_bounded_memory() -> None:
    header = json.dumps({"height": 1}).encode()
    for junk in (b"[]," * 5_000_000, b"1," * 5_000_000, b'{"a":1},' * 2_000_000):
        body = b'{"header": ' + header + b', "txs": [' + junk + b"1]}"
        tracemalloc.start()
        with contextlib.suppress(ValueError):
            read_block(body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 2**20
