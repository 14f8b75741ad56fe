"""Several transactions on the way at once, to servers that break off, close, or mix answers up."""

import json
import re
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from node_client.ambiguity import sign_safely
from node_client.devnet import Chain, DevnetServer
from node_client.devnet.state import AccountState
from node_client.errors import AlreadyInPool, BadResponse, NodeUnreachable
from node_client.keys import PrivateKey
from node_client.pipeline import AHEAD, MOST_BREAKS
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType

KEY = PrivateKey(bytes(31) + b"\x2b")
OTHER = PrivateKey(bytes(31) + b"\x2c")
NONCE = 20
COUNT = 12
CUT, CLOSE = object(), object()


def transfers(count=COUNT):
    gas = BASE_GAS[TxType.TRANSFER]
    drafts = [
        Transaction(
            tx_type=TxType.TRANSFER,
            from_address=KEY.address,
            to_address=OTHER.address,
            amount=10**18,
            fee=gas * 1000,
            nonce=NONCE + number,
            gas_price=1000,
            gas_limit=gas,
        )
        for number in range(count)
    ]
    return [
        sign_safely(draft, KEY, first_unspent=NONCE, min_gas_price=1000, accept_burn=10**30)
        for draft in drafts
    ]


ACCOUNTS = {KEY.address: AccountState(10**24, NONCE)}


class Server:
    """Takes transactions as the devnet does, and answers as `rule(number, connection)` says.

    `number` counts requests over all connections, from 1. CUT: takes it, and breaks off; CLOSE:
    answers, and closes; anything else is put before the answer.
    """

    def __init__(self, rule):
        self.chain = Chain(ACCOUNTS)
        self.rule = rule
        self.requests = []  # the number of its connection, for each
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self):
        while True:
            try:
                line, _address = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError), line, line.makefile("rb") as reader:
                while self._exchange(line, reader):
                    pass

    def _exchange(self, line, reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (more := reader.readline()):
                return False
            head += more
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        tx = Transaction.model_validate(json.loads(reader.read(length)))
        self.requests.append(self.connections)
        refusal = self.chain.send(tx)
        answer = {"tx_hash": tx.hash(), "status": "rejected" if refusal else "received"}
        body = json.dumps(answer | ({"error": refusal} if refusal else {})).encode()
        what = self.rule(len(self.requests), self.connections)
        if what is CUT:
            return False
        end = b"Connection: close\r\n" if what is CLOSE else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), end)
        line.sendall((what if isinstance(what, bytes) else b"") + head + body)
        return what is not CLOSE

    @property
    def waiting(self):
        """Nonces that would get into the next block, in order."""
        return [waiting.tx.nonce for waiting in self.chain._mempool.candidates(100)]


@contextmanager
def serving(rule):
    server = Server(rule)
    server._thread.start()
    client = NodeClient([server.url])
    try:
        yield server, client
    finally:
        client.close()
        server._listening.shutdown(socket.SHUT_RDWR)
        server._listening.close()
        server._thread.join()


def test_a_group_goes_over_one_connection_in_order():
    with DevnetServer(block_time=1000.0, balances=ACCOUNTS) as devnet:
        client = NodeClient([devnet.url])
        txs = transfers()
        said, failure = client.send_all(txs)
        client.close()
        assert failure is None
        assert said == [tx.hash() for tx in txs]
        block = devnet.chain.produce()
        assert [tx.hash() for tx in block.txs] == said


def test_a_refusal_is_an_answer_as_any():
    with DevnetServer(block_time=1000.0, balances=ACCOUNTS) as devnet:
        client = NodeClient([devnet.url])
        txs = transfers()
        client.send(txs[0])
        said, failure = client.send_all(txs)
        client.close()
        assert failure is None
        assert isinstance(said[0], AlreadyInPool)
        assert said[1:] == [tx.hash() for tx in txs[1:]]


@pytest.mark.parametrize("answered", [0, 1, 5, COUNT - 2])
def test_a_connection_that_breaks_in_a_group(answered):
    """What has no answer is sent once more; nothing is lost, and the order stays."""
    with serving(lambda number, _line: CUT if number == answered + 1 else None) as (server, client):
        txs = transfers()
        said, failure = client.send_all(txs)
        assert failure is None
        assert len(said) == COUNT
        assert isinstance(said[answered], AlreadyInPool)
        assert all(isinstance(one, str | AlreadyInPool) for one in said)
        assert server.waiting == [tx.nonce for tx in txs]


@pytest.mark.parametrize("answered", [0, 1, 5, COUNT - 1])
def test_a_server_that_breaks_off_each_time(answered):
    """The rest may have arrived, and is left to the caller; it can be sent again."""
    with serving(lambda number, _line: CUT if number > answered else None) as (server, client):
        txs = transfers()
        said, failure = client.send_all(txs)
        assert len(said) <= answered  # with what it had not read, the system drops answers of its
        assert said == [tx.hash() for tx in txs[: len(said)]]
        assert isinstance(failure, NodeUnreachable)
        assert not failure.nothing_sent
        server.rule = lambda _number, _line: None
        again, failure = client.send_all(txs)
        assert failure is None
        assert all(isinstance(one, str | AlreadyInPool) for one in again)
        assert server.waiting == [tx.nonce for tx in txs]


def test_a_server_that_goes_for_good_may_have_taken_what_it_read():
    """That it cannot be reached again does not say that nothing was sent: no other node is asked."""

    def goes(_number, _line):
        server._listening.shutdown(socket.SHUT_RDWR)
        server._listening.close()
        return CUT

    server, txs = Server(goes), transfers()
    server._thread.start()
    with DevnetServer(block_time=1000.0, balances=ACCOUNTS) as other:
        client = NodeClient([server.url, other.url])
        said, failure = client.send_all(txs)
        client.close()
        server._thread.join()
        assert server.waiting == [NONCE]
        assert said == []
        assert isinstance(failure, NodeUnreachable)
        assert not failure.nothing_sent
        assert not other.chain.produce().txs


def test_a_server_that_closes_after_each_answer_is_asked_one_at_a_time_in_the_end():
    with serving(lambda _number, _line: CLOSE) as (server, client):
        txs = transfers()
        said, failure = client.send_all(txs)
        assert failure is None
        assert len(said) == COUNT
        assert all(isinstance(one, str | AlreadyInPool) for one in said)
        assert server.waiting == [tx.nonce for tx in txs]
        for _group in range(MOST_BREAKS):
            client.send_all(txs)
        before = len(server.requests)
        assert client.send_all(txs)[1] is None
        assert len(server.requests) == before + COUNT


def test_a_connection_that_was_closed_meanwhile_is_opened_again():
    with serving(lambda number, _line: CLOSE if number == COUNT else None) as (_server, client):
        assert client.send_all(transfers()[:1])[1] is None
        said, failure = client.send_all(transfers())
        assert failure is None
        assert len(said) == COUNT
        said, failure = client.send_all(transfers())
        assert failure is None
        assert all(isinstance(one, AlreadyInPool) for one in said)


def test_answers_in_another_order_are_believed_for_none():
    swapped = json.dumps({"tx_hash": transfers()[1].hash(), "status": "received"}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(swapped), swapped)
    with serving(lambda number, _line: answer if number == 1 else None) as (_server, client):
        said, failure = client.send_all(transfers())
        assert said == []
        assert isinstance(failure, BadResponse)


@pytest.mark.parametrize(
    "noise", [b"\x00garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_http_ends_the_group(noise):
    with serving(lambda number, _line: noise if number == 3 else None) as (_server, client):
        txs = transfers()
        said, failure = client.send_all(txs)
        assert said == [tx.hash() for tx in txs[:2]]
        assert isinstance(failure, BadResponse)


def test_no_more_than_a_few_are_open():
    """So many are in doubt at most where the node stops answering."""
    arrived, go_on = [], threading.Event()

    def rule(number, _line):
        arrived.append(number)
        if number > 1:
            go_on.wait(5.0)
        return CUT if number > 1 else None

    with serving(rule) as (server, client):
        threading.Timer(0.05, go_on.set).start()
        said, _failure = client.send_all(transfers())
        assert len(said) <= 1  # the end of the connection may overtake the first answer
        assert len(server.waiting) <= 1 + AHEAD
