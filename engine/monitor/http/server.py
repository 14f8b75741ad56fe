"""Where a running engine is asked: a port, where the operator wants one, and a socket of the user's.

    with Door(listen_at("127.0.0.1:9180"), Guard(app, token)):
        mine()

The socket lies in a directory that only this user can enter, beside the ledgers: who can read the
keys can ask the engine, and nobody else. Each door is a thread of the parent.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from gettext import gettext as _
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput
from engine.runtime.paths import state_directory

START_SECONDS = 10.0
LEAST_TOKEN = 16
"""Characters of a token: fewer could be tried out."""
MOST_CONNECTIONS = 64
"""Each takes a file descriptor of the process that mines, also where it never asks for anything."""


def parse_address(text: str) -> tuple[str, int]:
    """Address and port of a text like 127.0.0.1:9180 or [::1]:9180. Raises BadInput."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise BadInput(
            _("{text!r} is no address with a port").format(text=text[:60]),
            advice=_("Write it as 127.0.0.1:9180."),
        )
    try:
        ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadInput(
            _("{host!r} is no IP address").format(host=host[:60]),
            advice=_("Write it as 127.0.0.1:9180, or 0.0.0.0:9180 for every network."),
        ) from None
    return host, int(port)


def is_of_this_machine(host: str) -> bool:
    """Whether only this machine reaches the address."""
    return host == "localhost" or ip_address(host).is_loopback


def check_token(host: str, token: str | None) -> None:
    """Raise BadInput where the address needs a token, or the token is a weak one."""
    if token is None and not is_of_this_machine(host):
        raise BadInput(
            _("{host} can be reached from elsewhere, and there is no token").format(host=host),
            advice=_("Put one in a file, --http-token-file FILE: openssl rand -hex 24 > FILE"),
        )
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii()):
        raise BadInput(
            _("the token is too short: at least {n} characters").format(n=LEAST_TOKEN),
            advice=_("Make one: openssl rand -hex 24"),
        )


def listen_at(host: str, port: int) -> socket.socket:
    """A listening socket. Raises BadInput where the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise BadInput(
            _("cannot listen at {host}:{port}: {error}").format(
                host=host, port=port, error=error.strerror
            ),
            advice=_("Another program may have the port: choose another with --http."),
        ) from error
    return listening


def sockets_directory() -> Path:
    """Where running engines have their sockets."""
    return state_directory() / "running"


@contextlib.contextmanager
def user_socket() -> Any:
    """A listening socket that only this user can reach, gone afterwards. Raises OSError."""
    directory = sockets_directory()
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    path = directory / f"{os.getpid()}.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        try:
            path.chmod(0o600)
            listening.listen(16)
            yield listening
        finally:
            path.unlink(missing_ok=True)


class Door(Closing):
    """Serves an ASGI application on a listening socket while it is open, in a thread."""

    def __init__(self, listening: socket.socket, make_app: Callable[[], Any], name: str) -> None:
        """`make_app` is called in the thread: what it imports holds up nobody."""
        self._listening = listening
        self._make_app = make_app
        self._server: Any = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._ended = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving, and close the socket."""
        self._ended = True
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(timeout=2.0)
        self._listening.close()

    def wait(self) -> None:
        """Until requests are answered, or START_SECONDS are over."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not (self._server and self._server.started):
            time.sleep(0.01)

    def _serve(self) -> None:
        import uvicorn

        from engine.monitor.http.connection_limit import at_most

        config = uvicorn.Config(
            self._make_app(),
            loop="asyncio",
            http=at_most(MOST_CONNECTIONS),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        if not self._ended:
            self._server.run(sockets=[self._listening])
