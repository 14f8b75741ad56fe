"""A customer's client: the way to the market, and a market that gets too many requests."""

import hashlib
import http.server
import json
import random
import threading
import tracemalloc

import pytest

from engine.client import upload
from engine.jobs.blobs import BlobCache
from engine.runtime.errors import BadInput
from engine.validator.http.client import LONGEST_WAIT, MarketClient, MarketError, MarketRefused
from node_client.errors import InvalidData
from node_client.route import CERTIFICATES
from tests.tls import own_authority


class Market(http.server.BaseHTTPRequestHandler):
    """Says `answers` in turn, the last of them for ever: a status, and headers."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            piece = self.rfile.read(min(left, 2**16))
            digest.update(piece)
            left -= len(piece)
        self.server.uploads.append(digest.hexdigest())
        self.do_GET()

    def do_GET(self):
        answers = self.server.answers
        status, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.requests.append(self.command)
        body = json.dumps({"detail": "too many requests"} if status != 200 else {}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        return


@pytest.fixture
def market():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Market) as server:
        server.answers, server.requests, server.uploads = [(200, {})], [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(market, sleeps, scheme="http"):
    return MarketClient(f"{scheme}://localhost:{market.server_port}", sleep=sleeps.append)


def test_it_waits_as_told_and_sends_again_once(market):
    market.answers = [(429, {"Retry-After": "3"}), (429, {"Retry-After": "4"}), (200, {})]
    sleeps = []
    assert client(market, sleeps).post("synthetic", {}, reward="1", deadline=1.0) == {}
    assert (sleeps, market.requests) == ([3.0, 4.0], ["POST"] * 3)


def test_a_blob_is_sent_from_its_file_and_all_of_it_again(market, tmp_path):
    market.answers = [(429, {"Retry-After": "1"}), (200, {})]
    blobs = BlobCache(tmp_path / "blobs", max_bytes=2**25)
    ref = blobs.put(random.Random(1).randbytes(2**24))
    tracemalloc.start()
    try:
        field = {"sha256": ref.sha256, "size": ref.size}
        upload(client(market, []), {"a": field, "n": 4}, blobs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert market.uploads == [ref.sha256] * 2
    assert peak < ref.size / 4


def test_it_does_not_wait_for_ever(market):
    market.answers = [(429, {"Retry-After": "20"})]
    sleeps = []
    with pytest.raises(MarketRefused) as caught:
        client(market, sleeps).account()
    assert caught.value.status == 429
    assert sum(sleeps) <= LONGEST_WAIT
    assert len(market.requests) == len(sleeps) + 1 == 2


def test_no_proxy_is_asked_for_this_machine(market, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert client(market, []).account() == {}


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.delenv("all_proxy", raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(InvalidData, match="ALL_PROXY"):
        MarketClient("https://market.example")


def test_an_authority_of_ones_own(market, tmp_path, monkeypatch):
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    own = own_authority(tmp_path)
    market.socket = own.server.wrap_socket(market.socket, server_side=True)
    with pytest.raises(MarketError):
        client(market, [], "https").account()
    monkeypatch.setenv("SSL_CERT_FILE", str(own.authority))
    assert client(market, [], "https").account() == {}


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://me:hunter2@host:x", "ftp://me:hunter2@h"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(BadInput) as caught:
        MarketClient(url)
    assert "hunter2" not in str(caught.value)


def test_a_password_in_the_address_is_not_shown(market):
    market.shutdown()
    market.server_close()
    asked = MarketClient(f"http://me:hunter2@localhost:{market.server_port}")
    with pytest.raises(MarketError) as caught:
        asked.account()
    assert "hunter2" not in str(caught.value)
