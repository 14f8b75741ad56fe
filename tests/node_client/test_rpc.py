"""The client against a real server in a thread that misbehaves in every way we could think of."""

import contextlib
import json
import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from node_client import errors
from node_client.block import Block
from node_client.block_body import MAX_BLOCK_BODY
from node_client.errors import (
    AlreadyInPool,
    BadResponse,
    InvalidData,
    Malformed,
    NodeClientError,
    NodeNotReady,
    NodeUnreachable,
    NotFound,
    Refused,
)
from node_client.keys import PrivateKey
from node_client.queries import get
from node_client.rpc import NodeClient, Retries
from node_client.transaction import Transaction
from node_client.transport import HttpNode
from tests.blocks import header

ONCE = Retries(rounds=1)
STATUS = {
    "height": 36,
    "last_hash": "f003284a15db91bfaa353981300e217e6bddd1c608e9f749323af49720697a3c",
    "network": "devnet",
    "mempool_size": 0,
    "epoch": 0,
}
HEAD = b"HTTP/1.1 200 OK\r\n"
ACCOUNT = "cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj"

type Http = Callable[..., bytes]


@pytest.fixture(scope="module")
def blocks(vectors: Any) -> dict[int, Any]:
    return {entry["block"]["header"]["height"]: entry["block"] for entry in vectors("blocks")}


@pytest.fixture
def signed(vectors: Any) -> Transaction:
    return Transaction.model_validate(vectors("transactions")[2]["transaction"])


def client_of(*urls: str, **settings: Any) -> NodeClient:
    usual: dict[str, Any] = {"retries": ONCE, "timeout": (5.0, 10.0), "total": 20.0}
    return NodeClient(list(urls), **usual | settings)


def hasty(*urls: str, **settings: Any) -> NodeClient:
    return client_of(*urls, **{"timeout": (1.0, 0.3), "total": 0.6} | settings)


def close_after(data: bytes) -> Callable[[socket.socket, str], None]:
    return lambda connection, _: connection.sendall(data)


def trickle(head: bytes, every: float = 0.05) -> Callable[[socket.socket, str], None]:
    """One byte after another, each in time for a timeout that is for each read."""

    def act(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b" ")
                time.sleep(every)

    return act


def stall(connection: socket.socket, _: str) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1)


class TestRecordedAnswers:
    """Every request of rpc.json, through a server that gives the recorded answer."""

    def test_all(self, villain: Any, as_http: Http, vectors: Any) -> None:
        client = client_of(villain.url)
        kinds = set()
        for entry in vectors("rpc"):
            asked, answered = entry["request"], entry["response"]
            villain.answer = as_http(answered["json"], f"{answered['status']} OK")
            kinds.add(self._check(client, asked, answered))
            assert villain.requests[-1] == f"{asked['method']} {asked['path']}"
        assert len(kinds) >= 9

    def _check(self, client: NodeClient, asked: Any, answered: Any) -> str:
        path, value = asked["path"], answered["json"]
        if path == "/status":
            assert client.status().model_dump() == value
        elif path == "/balance/garbage":
            with pytest.raises(errors.InvalidAddress):
                client.balance("garbage")
            node = HttpNode(client.urls[0], timeout=(3.05, 10.0), total=30.0)
            assert get(node, path, dict) == value
        elif path.startswith("/balance/"):
            account = client.balance(path.removeprefix("/balance/"))
            assert (str(account.balance), account.nonce) == (value["balance"], value["nonce"])
        elif path.startswith("/nonce/"):
            address, _, query = path.removeprefix("/nonce/").partition("?")
            assert client.nonce(address, pending=not query) == value["nonce"]
        elif path.startswith("/block/"):
            with pytest.raises(NotFound, match="Block not found"):
                client.block(int(path.removeprefix("/block/")))
        elif path.endswith("/receipt"):
            tx_hash = path.split("/")[2]
            if answered["status"] == 404:
                with pytest.raises(NotFound):
                    client.receipt(tx_hash)
            else:
                assert client.receipt(tx_hash).status == "pending"
        else:
            return self._check_send(client, asked["json"], answered)
        return path.split("/")[1]

    def _check_send(self, client: NodeClient, body: Any, answered: Any) -> str:
        value = answered["json"]
        if answered["status"] == 422:
            body = {"from_address": "x", "amount": 0, "nonce": 0} | body
        tx = Transaction.model_validate(body)
        if value.get("status") == "received":
            assert client.send(tx) == value["tx_hash"]
            return "received"
        with pytest.raises(Refused) as caught:
            client.send(tx)
        assert caught.value.advice
        if answered["status"] == 422:
            assert isinstance(caught.value, Malformed)
            assert "body.from_address: Field required" in caught.value.reason
        else:
            assert caught.value.reason == value["error"]
        return type(caught.value).__name__


class TestBlocks:
    def test_recorded_ones_pass(
        self, villain: Any, as_http: Http, blocks: dict[int, Any], vectors: Any
    ) -> None:
        client = client_of(villain.url)
        for entry in vectors("blocks"):
            villain.answer = as_http(entry["block"])
            height = entry["block"]["header"]["height"]
            block = client.block(height, expected_hash=entry["hash"])
            assert block.hash() == entry["hash"]

    @pytest.mark.parametrize(
        ("lie", "words"),
        [
            ({"state_root": "00"}, "signature"),
            ({"chain_id": "cpc-mainnet-1"}, "signature"),
            ({"height": 37}, "block 37"),
            ({"compute_root": ""}, "signature"),
            ({"tx_root": "0" * 64}, "signature"),
            ({"round": 2**63}, "round"),
            ({"chain_id": "x" * 1000}, "chain_id"),
            ({"height": "36"}, "height"),
            ({"timestamp": 1.5}, "timestamp"),
            ({"tx_root": "g" * 64}, "tx_root"),
            ({"prev_hash": "\ud800"}, "prev_hash"),
        ],
    )
    def test_altered_headers(
        self, lie: dict[str, Any], words: str, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        block = blocks[36]
        villain.answer = as_http(block | {"header": block["header"] | lie})
        with pytest.raises(BadResponse, match=words):
            client_of(villain.url).block(36)

    def test_altered_contents(self, villain: Any, as_http: Http, blocks: dict[int, Any]) -> None:
        block = blocks[36]
        swapped = block | {"txs": block["txs"][::-1]}
        short = block | {"txs": block["txs"][:-1]}
        unsigned = block | {"pq_signature": ""}
        first = block["txs"][0]
        altered = block | {
            "txs": [first | {"payload": first["payload"] | {"proof": "\ud800"}}, *block["txs"][1:]]
        }
        nested: Any = 1
        for _ in range(900):
            nested = [nested]
        deep = block | {"txs": [first | {"payload": {"x": nested}}]}
        many = block | {"txs": [{}] * 100_000}
        for lie in (swapped, short, altered, deep, many, block | {"txs": None}):
            villain.answer = as_http(lie)
            found = client_of(villain.url).block(36)
            assert found.fault.startswith("block 36: ")
            assert found.header.model_dump().items() <= block["header"].items()
        nameless = {name: value for name, value in block.items() if name != "pq_signature"}
        for lie in (unsigned, nameless, {}, [], None, "", 5):
            villain.answer = as_http(lie)
            with pytest.raises(BadResponse) as caught:
                client_of(villain.url).block(36)
            assert len(str(caught.value)) < 500

    def test_a_body_that_is_no_json_behind_its_header(
        self, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        good = json.dumps(blocks[36])
        mine = good.index('"txs": [') + len('"txs": [')
        for junk in ("[" * 10**6, "9" * 5000 + ",", "\0", "{", "\x85", "[]," * 10**6):
            villain.answer = as_http(good[:mine] + junk + good[mine:])
            block = client_of(villain.url).block(36)
            assert (block.height, [tx for tx in block.txs if tx.raw]) == (36, [])
            assert len(block.txs) <= 5000
            assert block.fault.startswith("block 36: ")
            assert len(block.fault) < 300
        for text in (good.replace('"header"', '"head"'), "{" + "[" * 10**5, "[" * 10**5, good[1:]):
            villain.answer = as_http(text[:-1])
            with pytest.raises(BadResponse):
                client_of(villain.url).block(36)

    def test_a_fault_of_one_node_is_not_one_of_the_next(
        self, villain: Any, villains: Any, dead_url: str, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        honest = villains()
        honest.answer = as_http(blocks[36])
        villain.answer = as_http(blocks[36] | {"txs": []})
        assert not client_of(villain.url, dead_url, honest.url).block(36).fault
        honest.answer = as_http(blocks[37])  # another block is no answer
        assert client_of(villain.url, honest.url).block(36).fault

    def test_an_unsigned_genesis_passes(self, villain: Any, as_http: Http) -> None:
        empty = header(0)
        villain.answer = as_http({"header": empty, "txs": [], "pq_signature": ""})
        assert client_of(villain.url).block(0).height == 0
        villain.answer = as_http({"header": empty, "txs": [], "pq_signature": "00"})
        with pytest.raises(BadResponse, match="signature"):
            client_of(villain.url).block(0)

    def test_another_hash_than_expected(
        self, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        villain.answer = as_http(blocks[36])
        with pytest.raises(BadResponse, match="has hash") as caught:
            client_of(villain.url).block(36, expected_hash="0" * 64)
        assert "rolled back" in caught.value.advice
        assert len(villain.requests) == 1

    def test_a_full_block_fits_the_bound(self, key: PrivateKey, draft: Any) -> None:
        proof = "0" * (2 * (13 + 16 * 12 * 32))
        unsigned = draft(nonce=10**6, gas_price=10**12, fee=10**18)
        tx = unsigned.model_copy(
            update={"payload": unsigned.payload | {"proof": proof, "signature": "0" * 128}}
        ).signed_by(key)
        full = 500 * (len(json.dumps(tx.to_json())) + 2) + 2000
        assert full + 2 * 9_000_000 < MAX_BLOCK_BODY < full + 4 * 9_000_000


class TestLatestBlock:
    def test_the_tip_moves_once(
        self, villain: Any, as_http: Http, blocks: dict[int, Any], vectors: Any
    ) -> None:
        hashes = {e["block"]["header"]["height"]: e["hash"] for e in vectors("blocks")}
        villain.answer = [
            as_http(STATUS | {"height": 36, "last_hash": "0" * 64}),
            as_http(blocks[36]),
            as_http(STATUS | {"height": 37, "last_hash": hashes[37]}),
            as_http(blocks[37]),
        ]
        status, block = client_of(villain.url).latest_block()
        assert (status.height, block.hash()) == (37, hashes[37])

    def test_a_tip_that_never_fits(
        self, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        lie = as_http(STATUS | {"last_hash": "0" * 64})
        villain.answer = [lie, as_http(blocks[36]), lie, as_http(blocks[36])]
        with pytest.raises(BadResponse, match="has hash"):
            client_of(villain.url).latest_block()
        assert len(villain.requests) == 4


BAD_BODIES: dict[str, bytes | str] = {
    "html": "<html>502 Bad Gateway</html>",
    "empty": "",
    "half of it": json.dumps(STATUS)[:-5],
    "not utf-8": b'"\xff"',
    "deep": "[" * 60_000,
    "huge number": '{"height": ' + "9" * 5000 + "}",
    "nan": json.dumps(STATUS).replace("36", "NaN"),
    "infinity": json.dumps(STATUS).replace("36", "Infinity"),
    "float": json.dumps(STATUS).replace("36", "36.0"),
    "exponent": json.dumps(STATUS).replace("36", "1e999"),
    "bool": json.dumps(STATUS).replace("36", "true"),
    "negative": json.dumps(STATUS).replace("36", "-2"),
    "beyond 64 bits": json.dumps(STATUS).replace("36", str(2**63)),
    "upper-case hash": json.dumps(STATUS | {"last_hash": "A" * 64}),
    "hash and line end": json.dumps(STATUS | {"last_hash": "a" * 64 + "\n"}),
    "list": "[]",
    "null": "null",
    "missing field": json.dumps({k: v for k, v in STATUS.items() if k != "epoch"}),
}


def raw(status: str, *headers: str, body: bytes = b"{}") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


BAD_ANSWERS: dict[str, Any] = {
    "redirect": raw("307 Temporary Redirect", "Location: /status", "Content-Length: 0", body=b""),
    "moved": raw("301 Moved", "Location: http://127.0.0.1:1/", "Content-Length: 2"),
    "500": raw("500 Oops", "Content-Length: 2"),
    "401": raw("401 No", "Content-Length: 2"),
    "204": raw("204 No Content", body=b""),
    "gzip": raw("200 OK", "Content-Encoding: gzip", "Content-Length: 2"),
    "ten megabytes": raw("200 OK", f"Content-Length: {10 * 2**20}", body=b" " * 10 * 2**20),
    "said to be small": raw("200 OK", "Connection: close", body=b" " * 10 * 2**20),
    "half a body": close_after(raw("200 OK", "Content-Length: 100")),
    "half a chunk": close_after(raw("200 OK", "Transfer-Encoding: chunked", body=b"40\r\n{}")),
    "bad chunk": close_after(raw("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n")),
    "no http": close_after(b"220 smtp.example.org ESMTP\r\n\r\n"),
    "long header": close_after(HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n"),
    "many headers": close_after(HEAD + b"".join(b"X%d: 1\r\n" % i for i in range(200)) + b"\r\n"),
    "two lengths": close_after(raw("200 OK", "Content-Length: 2", "Content-Length: 3")),
}


class TestMisbehaviour:
    """Whatever a node does, it is one clear error that names it, with advice."""

    def refused(self, client: NodeClient, kind: type[NodeClientError]) -> NodeClientError:
        started = time.monotonic()
        with pytest.raises(kind) as caught:
            client.status()
        error = caught.value
        assert time.monotonic() - started < 8
        assert type(error) is kind
        assert client.urls[0] in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 400
        assert error.advice
        assert not isinstance(error.__cause__, OSError)
        assert not isinstance(error.__context__, OSError)
        return error

    @pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
    def test_bodies(self, body: bytes | str, villain: Any, as_http: Http) -> None:
        villain.answer = as_http(body)
        self.refused(client_of(villain.url), BadResponse)

    @pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
    def test_answers(self, answer: Any, villain: Any) -> None:
        villain.answer = answer
        self.refused(client_of(villain.url), BadResponse)
        assert len(villain.requests) == 1  # also where there was a redirect

    def test_ten_megabytes_of_block(
        self, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        villain.answer = as_http(json.dumps(blocks[36]) + " " * 10 * 2**20)
        assert not client_of(villain.url).block(36).fault
        block = client_of(villain.url, max_block_body=5 * 2**20).block(36)
        assert block.fault == f"block 36: it has more than {5 * 2**20} bytes"
        assert block.hash() == Block.read(blocks[36]).hash()
        villain.answer = as_http(" " * 2 * 2**20 + json.dumps(blocks[36]))
        with pytest.raises(BadResponse, match="more than 1048576 bytes"):
            client_of(villain.url, max_block_body=2**20).block(36)

    def test_a_block_that_trickles_behind_its_header(
        self, villain: Any, blocks: dict[int, Any]
    ) -> None:
        head = json.dumps(blocks[36]).encode()[:-1] + b" " * 70_000
        villain.answer = trickle(raw("200 OK", "Content-Length: 9000000", body=head))
        block = hasty(villain.url).block(36)
        assert block.fault == "block 36: it did not come within 0.6 s"
        assert block.header.height == 36

    @pytest.mark.parametrize("code", ["503 Not Ready", "404 Not Found"])
    def test_codes_with_a_meaning(self, code: str, villain: Any, as_http: Http) -> None:
        villain.answer = as_http({"detail": "so it is"}, code)
        kind = NodeNotReady if code.startswith("503") else BadResponse
        self.refused(client_of(villain.url), kind)

    def test_a_long_detail_is_cut(self, villain: Any, as_http: Http) -> None:
        for length, shown in ((10**4, "xxx..."), (10**6, "500")):
            villain.answer = as_http({"detail": "x" * length}, "500 Oops")
            assert shown in str(self.refused(client_of(villain.url), BadResponse))
            villain.answer = as_http({"detail": "x" * length}, "404 Not Found")
            with pytest.raises(NotFound) as caught:
                client_of(villain.url).block(1)
            assert len(str(caught.value)) < 400

    def test_nobody_listens(self, dead_url: str) -> None:
        error = self.refused(client_of(dead_url), NodeUnreachable)
        assert isinstance(error, NodeUnreachable)
        assert error.nothing_sent
        assert "refused" in str(error)

    def test_an_unknown_name(self) -> None:
        error = self.refused(client_of("http://node.invalid:8000"), NodeUnreachable)
        assert isinstance(error, NodeUnreachable)
        assert error.nothing_sent

    def test_no_answer(self, villain: Any) -> None:
        villain.answer = stall
        error = self.refused(hasty(villain.url), NodeUnreachable)
        assert "within 0.3 s" in str(error)

    def test_a_connection_that_is_broken_off(self, villain: Any) -> None:
        villain.answer = close_after(b"")
        error = self.refused(client_of(villain.url), NodeUnreachable)
        assert isinstance(error, NodeUnreachable)
        assert not error.nothing_sent

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nX: ",
            HEAD + b"Content-Length: 60000\r\n\r\n",
            HEAD + b"Connection: close\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n60000\r\n",
        ],
        ids=["first line", "header", "length", "until closed", "chunk"],
    )
    def test_a_trickle_does_not_hold_us(self, head: bytes, villain: Any) -> None:
        villain.answer = trickle(head)
        error = self.refused(hasty(villain.url), NodeUnreachable)
        assert "no whole answer within 0.6 s" in str(error)

    def test_a_trickle_is_waited_for_once(self, villain: Any) -> None:
        villain.answer = trickle(HEAD + b"Content-Length: 60000\r\n\r\n")
        self.refused(
            hasty(villain.url, retries=Retries(first_pause=0, within=0.3)), NodeUnreachable
        )
        assert len(villain.requests) == 1

    def test_a_tip_that_is_named_and_not_shown(self, villain: Any, as_http: Http) -> None:
        missing = b'{"detail": "Block not found"}'
        length = f"Content-Length: {len(missing)}"
        status = as_http(STATUS | {"height": 2**63 - 1})
        villain.answer = [status, raw("404 Not Found", length, body=missing)] * 2
        with pytest.raises(BadResponse, match="does not have"):
            client_of(villain.url).latest_block()

    def test_continues_for_ever(self, villain: Any) -> None:
        def act(connection: socket.socket, _: str) -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    time.sleep(0.01)

        villain.answer = act
        self.refused(hasty(villain.url), NodeUnreachable)

    def test_a_trickle_on_a_connection_kept_alive(self, villain: Any, as_http: Http) -> None:
        client = hasty(villain.url, timeout=(30.0, 30.0), total=2.0)
        villain.answer = as_http(STATUS)
        client.status()
        villain.answer = trickle(HEAD + b"Content-Length: 60000\r\n\r\n")
        self.refused(client, NodeUnreachable)
        villain.answer = as_http(STATUS)
        assert client.status().height == 36

    def test_no_thread_and_no_descriptor_is_left(self, villain: Any, as_http: Http) -> None:
        from pathlib import Path

        client = client_of(villain.url)
        villain.answer = as_http(STATUS)
        client.status()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            client.status()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
        deadline = time.monotonic() + 2
        while any(isinstance(t, threading.Timer) for t in threading.enumerate()):
            assert time.monotonic() < deadline

    def test_the_echo_must_be_ours(self, villain: Any, as_http: Http, key: PrivateKey) -> None:
        client = client_of(villain.url)
        other = {"address": "cpc1x", "balance": "5", "nonce": 0, "pending": True}
        for change in (
            {},
            {"address": ACCOUNT, "balance": 5},
            {"address": ACCOUNT, "balance": "-5"},
            {"address": ACCOUNT, "balance": "5\n"},
            {"address": ACCOUNT, "balance": "٥"},
            {"address": ACCOUNT, "balance": "9" * 100},
            {"address": ACCOUNT, "nonce": None},
        ):
            villain.answer = as_http(other | change)
            with pytest.raises(BadResponse):
                client.balance(ACCOUNT)
        for change in ({}, {"address": ACCOUNT, "pending": False}):
            villain.answer = as_http(other | change)
            with pytest.raises(BadResponse):
                client.nonce(ACCOUNT)
        villain.answer = as_http({"tx_hash": "a" * 64, "status": "pending"})
        with pytest.raises(BadResponse):
            client.receipt("b" * 64)

    @pytest.mark.parametrize("number", [2**63, 10**30, -2])
    def test_numbers_are_bounded(
        self,
        number: int,
        villain: Any,
        as_http: Http,
        vectors: Any,
        blocks: dict[int, Any],
    ) -> None:
        client = client_of(villain.url)
        for field in ("height", "mempool_size", "epoch"):
            villain.answer = as_http(STATUS | {field: number})
            with pytest.raises(BadResponse):
                client.status()
        account = {"address": ACCOUNT, "balance": "5", "nonce": number, "pending": True}
        villain.answer = as_http(account)
        with pytest.raises(BadResponse):
            client.balance(ACCOUNT)
        with pytest.raises(BadResponse):
            client.nonce(ACCOUNT)
        receipt = {"tx_hash": "a" * 64, "status": "confirmed", "block_height": number}
        villain.answer = as_http(receipt)
        with pytest.raises(BadResponse):
            client.receipt("a" * 64)
        height, block = next(iter(blocks.items()))
        for field in ("height", "timestamp", "round", "gas_used", "gas_limit"):
            villain.answer = as_http(block | {"header": block["header"] | {field: number}})
            with pytest.raises(BadResponse, match=f"header.{field}"):
                client.block(height)

    @pytest.mark.parametrize("name", ["\x1b[31mdevnet", "dev net", "\u202edevnet", "d" * 201])
    def test_names_cannot_control_a_terminal(
        self, name: str, villain: Any, as_http: Http, blocks: dict[int, Any]
    ) -> None:
        client = client_of(villain.url)
        villain.answer = as_http(STATUS | {"network": name})
        with pytest.raises(BadResponse, match="network: it is text of another form"):
            client.status()
        height, block = next(iter(blocks.items()))
        for field in ("chain_id", "prev_hash", "proposer_address", "state_root"):
            villain.answer = as_http(block | {"header": block["header"] | {field: name}})
            with pytest.raises(BadResponse, match=f"header.{field}: it is text of another form"):
                client.block(height)

    def test_a_wrong_answer_is_described_in_words_of_the_protocol(
        self, villain: Any, as_http: Http
    ) -> None:
        client = client_of(villain.url)
        for answer, words in (
            (None, "gave a wrong answer: it is not a JSON object"),
            ({"header": []}, "header: it is not a JSON object"),
            ({"header": {}}, "header.height: it is not there"),
            ({"header": {"height": "7"}}, "header.height: it is not a whole number"),
            ("\x1b", r"it is not valid JSON \(Invalid control character at character 1\)"),
        ):
            villain.answer = as_http('"\x1b"' if answer == "\x1b" else json.dumps(answer))
            with pytest.raises(BadResponse, match=words):
                client.block(7)

    def test_cookies_are_not_kept(self, villain: Any, as_http: Http) -> None:
        villain.answer = as_http(STATUS, "200 OK", "Set-Cookie: a=b; Path=/")
        client = client_of(villain.url)
        client.status()
        assert not client._nodes.current._session.cookies


class TestRetries:
    def test_questions_are_asked_again_with_growing_pauses(
        self, villain: Any, as_http: Http
    ) -> None:
        pauses: list[float] = []
        villain.answer = as_http("", "503 Not Ready")
        client = client_of(villain.url, retries=Retries(5, 1.0, 3.0), sleep=pauses.append)
        with pytest.raises(NodeNotReady):
            client.status()
        assert len(villain.requests) == 5
        for pause, longest in zip(pauses, [1, 2, 3, 3], strict=True):
            assert longest / 2 <= pause <= longest

    def test_a_node_that_recovers(self, villain: Any, as_http: Http) -> None:
        villain.answer = [as_http("{", "200 OK"), as_http(STATUS)]
        client = client_of(villain.url, retries=Retries(), sleep=lambda _: None)
        assert client.status().height == 36

    def test_not_found_is_an_answer(self, villain: Any, as_http: Http) -> None:
        villain.answer = as_http({"detail": "Block not found"}, "404 Not Found")
        with pytest.raises(NotFound):
            client_of(villain.url, retries=Retries()).block(5)
        assert len(villain.requests) == 1

    def test_a_node_that_knows_nothing_of_the_routes_does_not_hold_up_the_others(
        self, villains: Callable[[], Any], as_http: Http
    ) -> None:
        first, second = villains(), villains()
        first.answer = as_http({"detail": "Not Found"}, "404 Not Found")
        second.answer = as_http(STATUS)
        assert client_of(first.url, second.url).status().height == 36
        second.answer = first.answer
        with pytest.raises(BadResponse, match=r"has no /status \(404\)"):
            client_of(first.url, second.url).status()
        for ask in (NodeClient.balance, NodeClient.nonce):
            with pytest.raises(BadResponse, match=rf"has no /.*{ACCOUNT} \(404\)"):
                ask(client_of(first.url), ACCOUNT)

    def test_the_next_node_answers_and_is_kept(
        self, villains: Callable[[], Any], as_http: Http, dead_url: str
    ) -> None:
        wrong, right = villains(), villains()
        wrong.answer = as_http("<html>")
        right.answer = as_http(STATUS)
        client = client_of(dead_url, wrong.url, right.url)
        for _ in range(3):
            assert client.status().height == 36
        assert (len(wrong.requests), len(right.requests)) == (1, 3)
        right.answer = as_http("", "503 Not Ready")
        wrong.answer = as_http(STATUS)
        assert client.status().height == 36
        assert len(wrong.requests) == 2


class TestSend:
    def test_received(self, villain: Any, as_http: Http, signed: Transaction) -> None:
        villain.answer = as_http({"tx_hash": signed.hash(), "status": "received"})
        assert client_of(villain.url).send(signed) == signed.hash()
        assert json.loads(villain.bodies[0]) == signed.to_json()

    @pytest.mark.parametrize(
        "answer",
        [
            {"tx_hash": "0" * 64, "status": "received"},
            {"tx_hash": "0" * 64, "status": "rejected", "error": "nonce_too_low"},
            {"status": "received"},
            {"tx_hash": None, "status": "maybe"},
            [],
        ],
    )
    def test_answers_that_are_none(
        self, answer: Any, villain: Any, as_http: Http, signed: Transaction
    ) -> None:
        villain.answer = as_http(answer)
        with pytest.raises(BadResponse):
            client_of(villain.url).send(signed)

    def test_an_unknown_status(self, villain: Any, as_http: Http, signed: Transaction) -> None:
        villain.answer = as_http({"tx_hash": signed.hash(), "status": "perhaps"})
        with pytest.raises(BadResponse):
            client_of(villain.url).send(signed)

    def test_refused_without_a_reason(
        self, villain: Any, as_http: Http, signed: Transaction
    ) -> None:
        villain.answer = as_http({"tx_hash": signed.hash(), "status": "rejected"})
        with pytest.raises(errors.UnknownRefusal):
            client_of(villain.url).send(signed)

    def test_codes(self, villain: Any, as_http: Http, signed: Transaction) -> None:
        client = client_of(villain.url)
        for code, body, kind, words in [
            ("400 Bad", {"detail": "boom \x1b[31m" + "x" * 999}, Malformed, "boom"),
            (
                "422 No",
                {"detail": [{"loc": ["body", "fee"], "msg": "wrong"}]},
                Malformed,
                "body.fee",
            ),
            ("422 No", "<html>", Malformed, "HTTP 422"),
            ("422 No", {"detail": [5, None, {"loc": 3, "msg": 4}]}, Malformed, "refused"),
            ("422 No", {"detail": [{"input": "x" * 10**6, "msg": "long"}]}, Malformed, "422"),
            ("503 No", "", NodeNotReady, "503"),
            ("404 No", "", NotFound, "404"),
            ("502 No", "", BadResponse, "502"),
            ("302 No", "", BadResponse, "redirect"),
        ]:
            villain.answer = as_http(body, code)
            with pytest.raises(kind, match=words) as caught:
                client.send(signed)
            assert caught.value.advice
            assert len(str(caught.value)) < 400
            assert str(caught.value).isprintable()
        assert len(villain.requests) == 9

    @pytest.mark.parametrize("act", [stall, close_after(b""), close_after(HEAD + b"Conte")])
    def test_it_is_sent_once(
        self, act: Any, villains: Callable[[], Any], as_http: Http, signed: Transaction
    ) -> None:
        first, second = villains(), villains()
        first.answer = act
        second.answer = as_http({"tx_hash": signed.hash(), "status": "received"})
        client = hasty(first.url, second.url, retries=Retries(5), sleep=lambda _: None)
        with pytest.raises(errors.NodeError) as caught:
            client.send(signed)
        assert "may have arrived" in caught.value.advice
        assert (len(first.requests), len(second.requests)) == (1, 0)

    def test_a_node_that_never_takes_it_is_not_the_one_asked_again(
        self, villains: Callable[[], Any], as_http: Http, signed: Transaction
    ) -> None:
        first, second = villains(), villains()
        second.answer = as_http({"tx_hash": signed.hash(), "status": "received"})
        for answer in (as_http("<html>"), as_http("", "502 No")):
            first.answer = answer
            client = client_of(first.url, second.url)
            with pytest.raises(BadResponse):
                client.send(signed)
            assert client.send(signed) == signed.hash()
        for status in ("503 No", "404 No"):
            first.answer = as_http("", status)
            assert client_of(first.url, second.url).send(signed) == signed.hash()

    def test_the_next_node_takes_it_where_nobody_listens(
        self, villain: Any, as_http: Http, signed: Transaction, dead_url: str
    ) -> None:
        villain.answer = as_http({"tx_hash": signed.hash(), "status": "received"})
        assert client_of(dead_url, villain.url).send(signed) == signed.hash()
        with pytest.raises(NodeUnreachable) as caught:
            client_of(dead_url, dead_url).send(signed)
        assert caught.value.nothing_sent
        assert "may have arrived" not in caught.value.advice

    def test_already_in_pool(self, villain: Any, as_http: Http, signed: Transaction) -> None:
        answer = {"tx_hash": signed.hash(), "status": "rejected", "error": "already_in_pool"}
        villain.answer = as_http(answer)
        with pytest.raises(AlreadyInPool):
            client_of(villain.url).send(signed)


class TestArguments:
    @pytest.mark.parametrize(
        ("url", "exposed"),
        [
            ("http://localhost:8000", False),
            ("http://127.9.9.9:8000", False),
            ("http://[::1]:8000", False),
            ("https://node.example.org", False),
            ("http://me:hunter2@node.example.org", True),
            ("http://10.0.0.7:8000", True),
            ("http://localhost.example.org", True),
            ("http://127.0.0.1.example.org", True),
            ("http://node.localhost", True),
            ("http://[2001:db8::1]:8000", True),
        ],
    )
    def test_plain_http_to_another_machine_is_exposed(self, url: str, exposed: bool) -> None:
        found = client_of(url).exposed
        assert bool(found) is exposed
        assert "hunter2" not in str(found)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:8000",
            "ftp://localhost",
            "file:///etc/passwd",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a:99999",
            "http://a/?q=1",
            "http://a/#f",
            "http://a b/",
            "http://a\r\nX: 1/",
            "http://[::1",
        ],
    )
    def test_urls(self, url: str) -> None:
        with pytest.raises(InvalidData) as caught:
            NodeClient([url])
        assert caught.value.advice

    def test_no_urls(self) -> None:
        for urls in ([], "http://localhost:8000"):
            with pytest.raises(InvalidData):
                NodeClient(urls)

    def test_credentials_are_used_and_not_shown(self, villain: Any, as_http: Http) -> None:
        url = villain.url.replace("http://", "http://me:hunter2@")
        client = client_of(url)
        villain.answer = as_http("oops", "500 Oops")
        with pytest.raises(BadResponse) as caught:
            client.status()
        assert client.urls == [villain.url.replace("http://", "http://***@")]
        assert "hunter2" not in str(caught.value) + caught.value.advice
        with pytest.raises(InvalidData) as refused:
            NodeClient(["ftp://me:hunter2@host"])
        assert "hunter2" not in str(refused.value)

    def test_questions_that_are_none(self, dead_url: str) -> None:
        client = client_of(dead_url)
        calls: list[Callable[[], object]] = [
            lambda: client.block(-1),
            lambda: client.block(2**63),
            lambda: client.balance("../status"),
            lambda: client.nonce(""),
            lambda: client.receipt("x"),
            lambda: client.receipt("A" * 64),
        ]
        for call in calls:
            with pytest.raises(InvalidData):
                call()

    def test_a_proxy_is_not_asked_for_loopback(
        self, villain: Any, as_http: Http, dead_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, dead_url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        villain.answer = as_http(STATUS)
        assert client_of(villain.url).status().height == 36
        with pytest.raises(NodeUnreachable):
            client_of("http://node.invalid").status()

    def test_a_path_in_front(self, villain: Any, as_http: Http) -> None:
        villain.answer = as_http(STATUS)
        client_of(f"{villain.url}/l1/").status()
        assert villain.requests == ["GET /l1/status"]


def test_the_errors_can_be_pickled_or_shown() -> None:
    error = NodeUnreachable("no", nothing_sent=True)
    assert str(pickle.loads(pickle.dumps(error))) == "no"


def test_blocks_of_the_devnet_pass() -> None:
    from node_client.devnet import DevnetServer

    with DevnetServer(block_time=0.2) as devnet:
        client = NodeClient([devnet.url])
        status, block = client.latest_block()
        assert isinstance(block, Block)
        assert status.height == block.height
        assert client.block(0).height == 0
