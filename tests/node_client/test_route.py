"""Proxies, certificates and Retry-After: what stands between the client and a node."""

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from node_client.errors import InvalidData, NodeBusy, NodeUnreachable
from node_client.queries import get_status
from node_client.retry_after import LONGEST, UNSAID, Rests, seconds_of
from node_client.route import CERTIFICATES, route_to
from node_client.rpc import NodeClient, Retries
from node_client.transport import HttpNode
from tests.processes import wait_until
from tests.tls import Certificates, own_authority

ONCE = Retries(rounds=1)
STATUS = {"height": 36, "last_hash": "f" * 64, "network": "devnet", "mempool_size": 0, "epoch": 0}
SECRET = "hunter2"
type Http = Callable[..., bytes]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's own."""
    for name in ("http_proxy", "https_proxy", "wss_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return own_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(own: Certificates) -> Iterator[str]:
    """A node with TLS on this machine."""

    class Node(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(STATUS).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
    server.socket = own.server.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def status(url: str) -> Any:
    node = HttpNode(url, timeout=(5.0, 10.0), total=20.0)
    try:
        return get_status(node)
    finally:
        node.close()


def forward(to: str, seen: list[str]) -> Callable[[socket.socket, str], None]:
    """A proxy whose every host is `to`: it notes what it is asked for, and tunnels CONNECT."""

    def act(client: socket.socket, line: str) -> None:
        seen.append(line)
        method, target = line.split()
        at = urlsplit(to)
        with socket.create_connection((at.hostname or "", at.port or 0)) as node:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(node, client))
                back.start()
                pump(client, node)
                back.join()
            else:
                path = urlsplit(target).path
                node.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
                )
                pump(node, client)

    return act


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class TestProxies:
    @pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
    @pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks"])
    def test_socks_is_named(
        self, variable: str, scheme: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, f"{scheme}://me:{SECRET}@127.0.0.1:1080")
        with pytest.raises(InvalidData, match=variable) as caught:
            NodeClient(["http://node.example"])
        assert "NO_PROXY" in caught.value.advice
        assert SECRET not in f"{caught.value} {caught.value.advice}"

    @pytest.mark.parametrize(
        "value",
        [
            "http://",
            "http://[::1",
            "http://host:99999",
            "http://host:port",
            "http://a b",
            "htp://host:1",
            "http://\x1b[31mhost",
            f"me:{SECRET}@:3128",
        ],
    )
    def test_a_broken_variable_is_named(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        with pytest.raises(InvalidData, match=r"^HTTPS_PROXY is not") as caught:
            NodeClient(["https://node.example"])
        assert SECRET not in str(caught.value)
        assert "\x1b" not in str(caught.value)
        with pytest.raises(InvalidData, match=r"^HTTPS_PROXY is not"):
            route_to("wss://validator.example/worker")

    def test_a_dead_one_is_named_and_nothing_was_sent(
        self, dead_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = dead_url.removeprefix("http://")
        monkeypatch.setenv("ALL_PROXY", f"http://me:{SECRET}@{at}")
        for url in ("http://node.example", "https://node.example"):
            with pytest.raises(NodeUnreachable, match="ALL_PROXY") as caught:
                status(url)
            assert caught.value.nothing_sent
            assert SECRET not in f"{caught.value} {caught.value.advice}"

    @pytest.mark.parametrize("code", [403, 407, 502])
    def test_one_that_refuses(
        self, code: int, villain: Any, as_http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        villain.answer = as_http("no", f"{code} No\x1b[31m")
        monkeypatch.setenv("https_proxy", villain.url)
        with pytest.raises(NodeUnreachable, match=rf"https_proxy.*{code}") as caught:
            status("https://node.example")
        assert caught.value.nothing_sent
        assert str(caught.value).isprintable()

    def test_one_that_wants_a_password_for_plain_http(
        self, villain: Any, as_http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        villain.answer = as_http("no", "407 Proxy Authentication Required")
        monkeypatch.setenv("HTTP_PROXY", villain.url)
        with pytest.raises(NodeUnreachable, match=r"HTTP_PROXY.*407"):
            status("http://node.example")

    def test_one_that_works_is_used_unless_the_host_is_left_out(
        self,
        villains: Any,
        as_http: Http,
        secure: str,
        own: Certificates,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        node, proxy, tunnel = villains(), villains(), villains()
        node.answer = as_http(STATUS)
        plain: list[str] = []
        secured: list[str] = []
        proxy.answer = forward(node.url, plain)
        tunnel.answer = forward(secure, secured)
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))  # curl takes it so
        monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(own.authority))
        assert status("http://node.example").height == 36
        assert plain == ["GET http://node.example/status"]
        # The tunnel ends at a certificate for localhost: another name is refused.
        with pytest.raises(NodeUnreachable, match="TLS"):
            status("https://node.example")
        assert secured == ["CONNECT node.example:443"]
        assert status(secure).height == 36
        assert len(secured) == 1
        monkeypatch.setenv("NO_PROXY", "node.example")
        assert route_to("http://node.example").proxy is None
        assert route_to("wss://node.example").proxy is None

    def test_an_empty_variable_in_lower_case_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "socks5://x")
        monkeypatch.setenv("http_proxy", "")
        assert route_to("http://node.example").proxy is None


class TestCertificates:
    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_an_authority_of_ones_own_for_this_machine(
        self, variable: str, secure: str, own: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(NodeUnreachable, match="TLS") as caught:
            status(secure)
        assert "REQUESTS_CA_BUNDLE" in caught.value.advice
        monkeypatch.setenv(variable, str(own.authority))
        assert status(secure).height == 36

    def test_and_for_a_validator(
        self, secure: str, own: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own.authority))
        context = route_to(secure.replace("https", "wss")).tls()
        assert context is not None
        at = urlsplit(secure)
        with (
            socket.create_connection(("127.0.0.1", at.port or 0)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as checked,
        ):
            assert checked.getpeercert()
        assert route_to("ws://localhost:1").tls() is None

    @pytest.mark.parametrize("variable", CERTIFICATES)
    def test_what_cannot_be_used_is_named(
        self, variable: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "ca.pem"
        for says in ("No such file", "no certificates"):
            monkeypatch.setenv(variable, str(broken))
            with pytest.raises(InvalidData, match=rf"{variable}.*{says}"):
                NodeClient(["https://localhost:1"])
            NodeClient(["http://localhost:1"])  # which needs none
            broken.write_text("nothing\n")


class TestRetryAfter:
    def test_a_node_that_says_429_is_left_alone(self, villain: Any, as_http: Http) -> None:
        villain.answer = as_http("", "429 Too Many Requests", "Retry-After: 30")
        client = NodeClient([villain.url], retries=Retries(rounds=3), sleep=lambda _: None)
        other = NodeClient([villain.url], retries=ONCE)
        for asked in [client.status, client.latest_block, other.status] * 4:
            with pytest.raises(NodeBusy, match=r"30 s|29 s"):
                asked()
        assert villain.requests == ["GET /status"]

    def test_a_short_time_is_waited_for(self, villain: Any, as_http: Http) -> None:
        busy = as_http("", "503 Service Unavailable", "Retry-After: 1")
        villain.answer = [busy, as_http(STATUS)]
        client = NodeClient([villain.url])
        assert client.status().height == 36
        assert villain.requests == ["GET /status"] * 2

    def test_another_node_is_asked_meanwhile(self, villains: Any, as_http: Http) -> None:
        busy, free = villains(), villains()
        busy.answer = as_http("", "429 Too Many Requests")
        free.answer = as_http(STATUS)
        client = NodeClient([busy.url, free.url], retries=ONCE)
        for _ in range(5):
            assert client.status().height == 36
        assert len(busy.requests) == 1

    def test_a_transaction_waits_too(self, villain: Any, as_http: Http) -> None:
        """Nothing is sent while it rests, so the caller knows that nothing can have arrived."""
        villain.answer = as_http("", "429 Too Many Requests", "Retry-After: 60")
        node = HttpNode(villain.url, timeout=(5.0, 10.0), total=20.0)
        for _ in range(3):
            with pytest.raises(NodeBusy):
                node.exchange("POST", "/tx/send", limit=1000, body=b"{}")
        wait_until(lambda: villain.bodies)
        assert villain.bodies == [b"{}"]

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("7", 7.0),
            (" 7 ", 7.0),
            ("0", 1.0),
            ("99999999999999999999999", LONGEST),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0),
            ("Fri, 31 Dec 9999 23:59:59", LONGEST),
            ("soon", UNSAID),
            ("-5", UNSAID),
            ("1e9", UNSAID),
            ("\u0667", UNSAID),
            ("", UNSAID),
            (None, UNSAID),
        ],
    )
    def test_what_the_header_may_hold(self, header: str | None, seconds: float) -> None:
        assert seconds_of(header) == seconds

    def test_a_rest_ends(self) -> None:
        now = [0.0]
        rests = Rests(lambda: now[0])
        rests.begin("a", 5.0)
        assert (rests.left("a"), rests.left("b")) == (5.0, 0.0)
        now[0] = 5.0
        assert rests.left("a") == 0.0
