"""The devnet over HTTP, in threads of this process.

with DevnetServer(block_time=0.2) as devnet:
    requests.get(f"{devnet.url}/status").json()
    devnet.faucet                      # a PrivateKey with a billion CPC

Two threads: one serves, one makes blocks. In a thread uvicorn installs no signal handlers, so a
program that starts a devnet keeps its own.
"""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Self

import uvicorn

from node_client.devnet.app import create_app
from node_client.devnet.chain import CHAIN_ID, Chain
from node_client.devnet.fault_routes import fault_router
from node_client.devnet.faults import Faults
from node_client.devnet.misbehaviour import Misbehaving
from node_client.devnet.state import AccountState
from node_client.errors import NodeError
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC

FAUCET_BALANCE = 10**9 * UNITS_PER_CPC
START_TIMEOUT = 10.0
_LONGEST_NAP = 0.05  # so that a clock turned by hand, a hold or a roll-back is noticed soon


class DevnetServer:
    """A node on its own chain. Once stopped it can be started again, as a node that restarts."""

    def __init__(
        self,
        block_time: float = 5.0,
        port: int = 0,
        host: str = "127.0.0.1",
        faucet: PrivateKey | None = None,
        chain_id: str = CHAIN_ID,
        genesis_time: float | None = None,
        faults: Faults | None = None,
        *,
        network: str = "devnet",
        balances: Mapping[str, int | AccountState] | None = None,
        clock: Callable[[], float] = time.time,
        fault_routes: bool = False,
    ) -> None:
        """Make the chain; nothing runs before `start`.

        `port` 0 takes a free one. `faucet` holds FAUCET_BALANCE at genesis (a new key if None), and
        `balances` names further accounts; the other arguments are those of Chain, in seconds.
        Raises InvalidData.
        """
        self.faucet = faucet or PrivateKey.generate()
        self.chain = Chain(
            {self.faucet.address: FAUCET_BALANCE, **(balances or {})},
            chain_id=chain_id,
            network=network,
            block_time=block_time,
            genesis_time=genesis_time,
            clock=clock,
        )
        self.faults = faults or Faults()
        self.faults.bind(self.chain)
        self.host = host
        self.port = port
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server: _AbruptServer | None = None
        app = create_app(self.chain)
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
            timeout_graceful_shutdown=1,
        )
        server = self._server = _AbruptServer(config)
        self._threads = [
            threading.Thread(
                target=server.run, args=([listening],), name="devnet-http", daemon=True
            ),
            threading.Thread(target=self._make_blocks, name="devnet-blocks", daemon=True),
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
        """Stop at once: connections are cut as if the process had been killed. May be repeated."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._server = None

    def serve_forever(self) -> None:
        """Block until Ctrl-C or SIGTERM, then stop; starts first if need be."""
        if not self._threads:
            self.start()
        with _stop_on_sigterm(self._stopping), contextlib.suppress(KeyboardInterrupt):
            while not self._stopping.wait(0.2) and self._is_alive():
                pass
        died = not self._stopping.is_set() and not self._is_alive()
        self.stop()
        if died:
            raise NodeError("the devnet's server ended unexpectedly")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

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

    def _make_blocks(self) -> None:
        while not self._stopping.is_set():
            if self.chain.produce_if_due() is None:
                wait = self.chain.due() - self.chain.clock()
                self._stopping.wait(min(max(wait, 0.0), _LONGEST_NAP))


class _AbruptServer(uvicorn.Server):
    """Cuts its connections when it stops, instead of waiting for its clients."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await super().shutdown(sockets)


@contextlib.contextmanager
def _stop_on_sigterm(stopping: threading.Event) -> Iterator[None]:
    """Set `stopping` on SIGTERM; only the main thread can listen to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
