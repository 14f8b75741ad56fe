"""Several requests on one connection without waiting for each answer (RFC 9112, section 9.3.2).

    line = Line("localhost", 8000, lambda: None, timeout=(3.05, 10.0))
    with Deadline(30.0) as deadline:
        for answer in line.ask(posts, deadline, most=65536): ...

The node gets the requests in the order of the list, and answers in that order: nonces stay in order,
which its mempool needs to take each into the next block, and no round trip is waited for. At most
`AHEAD` requests have no answer yet, which is also what stays open when the connection breaks.
"""

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import h11
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from node_client.deadline import Deadline, connect

AHEAD = 4
"""Requests without an answer: two keep both sides at work; a few more even out what one takes."""
MOST_BREAKS = 3
"""Groups in a row whose connection ended with requests open, until a node is asked one at a time."""
_PIECE = 64 * 2**10


class Post(NamedTuple):
    """A POST request: `target` as in the request line, all of its headers, and the body."""

    target: str
    headers: list[tuple[str, str]]
    body: bytes


class Answer(NamedTuple):
    """`closes`: whether nothing more comes on this connection. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    closes: bool


class PartOfAnswer(ConnectionError):
    """The node closed the connection within its answer."""


class Line:
    """A connection that is kept, and opened again where it has ended. For one thread at a time."""

    def __init__(
        self,
        host: str,
        port: int | None,
        tls: Callable[[], ssl.SSLContext | None],
        timeout: tuple[float, float],
    ) -> None:
        """`timeout`: seconds for a connection, and for each read."""
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout = timeout
        self._lock = threading.Lock()
        self._kept: HTTPConnection | None = None
        self._breaks = 0

    def close(self) -> None:
        """End the connection; the next request opens another one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def ask(self, posts: Sequence[Post], deadline: Deadline, *, most: int) -> Iterator[Answer]:
        """Yield the answers in the order of the requests; of a body `most` bytes and a little more.

        Where the connection ends with several open, those without an answer are sent once more, one at
        a time: a node that closes behind an answer may take it along. Raises OSError,
        h11.ProtocolError and urllib3's HTTPError.
        """
        done, broke = 0, False
        lost: ConnectionError | None = None
        with self._lock:
            ahead = AHEAD if self._breaks < MOST_BREAKS else 1
            while done < len(posts):
                fresh, before = self._open(deadline, lost), done
                try:
                    for answer in _ask(self._kept_socket(), posts[done:], ahead, most):
                        done += 1
                        if answer.closes:
                            self.close()
                            broke |= min(ahead, len(posts) - done + 1) > 1
                            ahead = 1
                        yield answer
                except (OSError, h11.ProtocolError) as error:
                    self.close()
                    several = min(ahead, len(posts) - done) > 1
                    if not isinstance(error, ConnectionError) or (fresh and not several):
                        raise
                    lost = error
                    broke |= several and (fresh or done > before)
                    ahead = 1
            if broke or (ahead > 1 and len(posts) > 1):
                self._breaks = self._breaks + 1 if broke else 0

    def _open(self, deadline: Deadline, lost: ConnectionError | None) -> bool:
        """Have a connection that the deadline cuts off; return whether it is a new one.

        `lost`: what ended one with requests open. Where none can be opened this is raised, without
        the other error: that one would say that nothing was sent.
        """
        if self._kept is not None and self._kept.is_connected:
            deadline.watch(self._kept_socket().fileno())
            return False
        self.close()
        try:
            self._kept = connect(self._host, self._port, self._timeout[0], self._tls())
        except (OSError, HTTPError):
            if lost is None:
                raise
        if self._kept is None and lost is not None:
            raise lost
        self._kept_socket().settimeout(self._timeout[1])
        return True

    def _kept_socket(self) -> socket.socket:
        if self._kept is None or self._kept.sock is None:
            raise ConnectionResetError
        return self._kept.sock


def _ask(line: socket.socket, posts: Sequence[Post], ahead: int, most: int) -> Iterator[Answer]:
    """Yield what one connection gives; a request is written when fewer than `ahead` are open."""
    open_: deque[h11.Connection] = deque()
    rest, coming = b"", iter(posts)
    while True:
        while len(open_) < ahead and (post := next(coming, None)) is not None:
            open_.append(_write(line, post))
        if not open_:
            return
        answer, rest = _read(line, open_.popleft(), rest, most)
        yield answer
        if answer.closes:
            return


def _write(line: socket.socket, post: Post) -> h11.Connection:
    """Send a request; return what knows how its answer ends."""
    state = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target=post.target, headers=post.headers)
    wire = [state.send(event) for event in (request, h11.Data(post.body), h11.EndOfMessage())]
    line.sendall(b"".join(piece for piece in wire if piece))
    return state


def _read(
    line: socket.socket, state: h11.Connection, rest: bytes, most: int
) -> tuple[Answer, bytes]:
    """Read one answer, whose beginning may be in `rest`; return it, and what came behind it."""
    if rest:
        state.receive_data(rest)
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = state.next_event()
        if event is h11.NEED_DATA:
            if not (piece := line.recv(_PIECE)):
                raise ConnectionResetError if head is None else PartOfAnswer
            state.receive_data(piece)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most and head is not None:
                return _answer(head, body, closes=True), b""
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            closes = state.their_state is not h11.DONE
            return _answer(head, body, closes=closes), state.trailing_data[0]
        elif not isinstance(event, h11.InformationalResponse):
            raise ConnectionResetError


def _answer(head: h11.Response, body: bytearray, *, closes: bool) -> Answer:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    return Answer(head.status_code, headers, bytes(body), closes)
