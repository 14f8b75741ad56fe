"""Where a running engine answers HTTP: on the user's own socket and, if asked for, on a port.

    with engine_servers(monitor, ("127.0.0.1", 9180), token) as attend:
        run_node(request, key, monitor, attend)

The socket lies beside the ledgers, in a directory that only this user can enter: whoever can read
the keys can control the engine, and nobody else. Each server is a thread of the parent.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from gettext import gettext as _
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from engine.monitor.control import Control
from engine.monitor.events.run import HttpListening, Warned
from engine.monitor.reporter import Reporter
from engine.monitor.state import Monitor
from engine.runtime.bounded_file import SMALL_BYTES, read_bounded
from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput, reason_of
from engine.runtime.paths import state_directory

if TYPE_CHECKING:
    import uvicorn

START_SECONDS = 10.0
_TICK_SECONDS = 1.0
LEAST_TOKEN = 16
"""Characters of a token: shorter ones could be guessed."""
MOST_CONNECTIONS = 64
"""Each takes a file descriptor of the mining process, even if it never sends a request."""


def parse_address(text: str) -> tuple[str, int]:
    """Return address and port of a text like 127.0.0.1:9180 or [::1]:9180. Raises BadInput."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        message = _("{text!r} is not an address with a port")
        raise BadInput(message.format(text=text[:60]), advice=_("Write it as 127.0.0.1:9180."))
    try:
        ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadInput(
            _("{host!r} is not an IP address").format(host=host[:60]),
            advice=_("Write it as 127.0.0.1:9180, or 0.0.0.0:9180 for every network."),
        ) from None
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    return host == "localhost" or ip_address(host).is_loopback


def check_token(host: str, token: str | None) -> None:
    """Raise BadInput if the address needs a token, or the token is weak."""
    if token is None and not is_loopback(host):
        raise BadInput(
            _("other machines can reach {host}, and there is no token").format(host=host),
            advice=_("Put one in a file, --http-token-file FILE: openssl rand -hex 24 > FILE"),
        )
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii()):
        message = _("the token is too short: at least {least} characters")
        raise BadInput(
            message.format(least=LEAST_TOKEN), advice=_("Make one: openssl rand -hex 24")
        )


def read_token(file: Path) -> str:
    """Return the token in a file, without the white space around it. Raises BadInput."""
    try:
        return read_bounded(file, SMALL_BYTES).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = _("the token file {file} cannot be read: {error}").format(
            file=file, error=reason_of(error)
        )
        raise BadInput(message, advice=_("Make one: openssl rand -hex 24 > FILE")) from error


def listen_at(host: str, port: int, option: str = "--http") -> socket.socket:
    """Return a listening TCP socket. Raises BadInput, whose advice names `option`."""
    # Bound here and not by uvicorn, which ends the process where it cannot.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=512, dualstack_ipv6=family == socket.AF_INET6
        )
    except (OSError, OverflowError) as error:
        raise BadInput(
            _("cannot listen at {host}:{port}: {error}").format(
                host=host, port=port, error=reason_of(error)
            ),
            advice=_("Another program may use the port: choose another one with {option}.").format(
                option=option
            ),
        ) from error
    # Accepted sockets inherit it; asyncio sets it only where the protocol number is given.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def new_server(app: Any, connections: int, **settings: Any) -> "uvicorn.Server":
    """Return a uvicorn server that logs nothing and leaves signals to the process.

    At most `connections` at the same time; `settings` are uvicorn's own.
    """
    import uvicorn

    from engine.monitor.http.connection_limit import at_most

    class Server(uvicorn.Server):
        """Looks for its end when it is told of it: uvicorn's looks ten times a second."""

        _told: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        _exits = False

        @property
        def should_exit(self) -> bool:
            return self._exits

        @should_exit.setter
        def should_exit(self, exits: bool) -> None:
            self._exits = exits
            if self._told is not None:
                loop, event = self._told
                with suppress(RuntimeError):  # it has ended meanwhile
                    loop.call_soon_threadsafe(event.set)

        async def main_loop(self) -> None:
            event = asyncio.Event()
            self._told = asyncio.get_running_loop(), event
            while not await self.on_tick(0):  # which brings the date in the headers up to date
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), _TICK_SECONDS)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=at_most(connections),
        log_config=None,
        access_log=False,
        server_header=False,
        **settings,
    )
    return Server(config)


def sockets_directory() -> Path:
    """Return the directory of the running engines' sockets."""
    return state_directory() / "running"


@contextmanager
def user_socket() -> Iterator[socket.socket]:
    """Listen on a socket that only this user can reach; remove it at the end. Raises OSError."""
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


class ServerThread(Closing):
    """Serves an ASGI application on a listening socket, in a thread, until it is closed."""

    def __init__(self, listening: socket.socket, make_app: Callable[[], Any], name: str) -> None:
        """`make_app` is called in the thread, so that its imports delay nothing else."""
        self._listening = listening
        self._make_app = make_app
        self._server: Any = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._ended = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def ask_to_end(self) -> None:
        """Take no more requests; `close` waits for those under way."""
        self._ended = True
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Stop serving, and close the socket."""
        self.ask_to_end()
        self._thread.join(timeout=2.0)
        self._listening.close()

    def wait(self) -> None:
        """Wait until requests are answered, or START_SECONDS have passed."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not (self._server and self._server.started):
            time.sleep(0.01)

    def _serve(self) -> None:
        self._server = new_server(
            self._make_app(),
            MOST_CONNECTIONS,
            ws="none",
            lifespan="off",
            log_level="critical",
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        if not self._ended:
            self._server.run(sockets=[self._listening])


@contextmanager
def engine_servers(
    monitor: Monitor,
    address: tuple[str, int] | None,
    token: str | None,
    *,
    reading: str | None = None,
    explorer: str = "",
) -> Iterator[Callable[[Control], AbstractContextManager[object]]]:
    """Give what serves a running engine's control, at `address` and on the user's socket.

    The port is taken at once, so that an error about it comes before anything else begins.
    `reading`: a token that may look only. Raises BadInput.
    """
    report: Reporter = monitor
    with ExitStack() as stack:
        listening = None
        if address is not None:
            check_token(address[0], token)
            listening = stack.enter_context(listen_at(*address))

        @contextmanager
        def attend(control: Control) -> Iterator[None]:
            def make_app() -> Any:
                from engine.monitor.http.routes import create_app

                return create_app(monitor, control, explorer)

            def make_guarded() -> Any:
                from engine.monitor.http.auth import AuthMiddleware

                return AuthMiddleware(make_app(), token, reading)

            servers: list[ServerThread] = []
            with ExitStack() as opened:
                try:
                    own = opened.enter_context(user_socket())
                except OSError as error:
                    report(_no_socket(error))
                else:
                    servers.append(opened.enter_context(ServerThread(own, make_app, "control")))
                if listening is not None:
                    servers.append(
                        opened.enter_context(ServerThread(listening, make_guarded, "http"))
                    )
                    host, port = listening.getsockname()[:2]
                    at = f"[{host}]" if ":" in host else host
                    report(HttpListening(f"http://{at}:{port}"))
                try:
                    yield
                finally:
                    for server in servers:  # each takes a tenth of a second: all of them at once
                        server.ask_to_end()

        yield attend


def _no_socket(error: OSError) -> Warned:
    return Warned(
        _("control"),
        _("pause, resume and status will not find this engine: {error}").format(error=error),
        _("Set CPC_STATE to a short path that this user can write to."),
    )
