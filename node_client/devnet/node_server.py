"""One node of the devnet over HTTP, in a thread of this process.

with devnet.follower() as follower:
    requests.get(f"{follower.url}/status").json()

In a thread uvicorn installs no signal handlers, so a program that starts a node keeps its own.
"""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from node_client.devnet.app import create_app
from node_client.devnet.chain import Chain
from node_client.devnet.fault_routes import fault_router
from node_client.devnet.faults import Faults
from node_client.devnet.misbehaviour import Misbehaving
from node_client.devnet.node import Node
from node_client.errors import NodeError

START_TIMEOUT = 10.0


class NodeServer:
    """A node on a chain that others make. Once stopped it can be started again."""

    def __init__(
        self,
        chain: Chain,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        faults: Faults | None = None,
        fault_routes: bool = False,
    ) -> None:
        """Nothing runs before `start`. `port` 0 takes a free one; `faults`: this node's switches."""
        self.chain = chain
        self.faults = faults or Faults()
        self.faults.bind(chain)
        self.node = Node(chain, self.faults)
        self.host = host
        self.port = port
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: _AbruptServer | None = None
        app = create_app(self.node)
        if fault_routes:
            app.include_router(fault_router(self.faults))
        self._app = Misbehaving(app, self.faults, self._stopping)

    @property
    def url(self) -> str:
        """Where to ask, without a slash at the end; known once the server was started."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Self:
        """Serve in the background; returns when requests are answered.

        Raises NodeError where the port cannot be had. `port` is then the one in use.
        """
        if self._threads:
            raise NodeError("this devnet runs already")
        listening = self._listen()
        self.port = listening.getsockname()[1]
        self._stopping.clear()
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        server = self._server = _AbruptServer(config)
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in self._work(server, listening).items()
        ]
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not server.started:
            if not self._threads[0].is_alive() or time.monotonic() > deadline:
                self.stop()
                listening.close()
                raise NodeError(f"the devnet did not start on {self.url}")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """Stop at once: connections are cut as if the process had been killed. May be repeated.

        What such a process had in its memory alone is lost.
        """
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._server = None
        self.node.restart()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _work(
        self, server: uvicorn.Server, listening: socket.socket
    ) -> dict[str, Callable[[], None]]:
        """What the threads do, by their names; that which serves first."""
        return {"devnet-http": lambda: server.run([listening])}

    def _listen(self) -> socket.socket:
        # Bound here and not by uvicorn, which ends the process where it cannot.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            listening = socket.create_server((self.host, self.port), family=family, backlog=128)
        except (OSError, OverflowError) as error:
            raise NodeError(
                f"the devnet cannot listen on {self.host}:{self.port}: {error}",
                advice="Another program may use the port: choose another one with --port,"
                " or 0 for any that is free.",
            ) from None
        # Accepted sockets inherit it. asyncio does it for its own only, and without it an answer
        # waits 40 ms for the client's delayed ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening


class _AbruptServer(uvicorn.Server):
    """Cuts its connections when it stops, instead of waiting for its clients."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await super().shutdown(sockets)
