"""The devnet over HTTP, in threads of this process.

with DevnetServer(block_time=0.2) as devnet:
    requests.get(f"{devnet.url}/status").json()
    devnet.faucet                      # a PrivateKey with a billion CPC

Two threads: one serves, one makes blocks. Further nodes of the same chain, with faults of their own,
are its followers:

    with devnet.follower() as other:
        other.faults.unavailable(3.0)
"""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

import uvicorn

from node_client.devnet.chain import CHAIN_ID, Chain
from node_client.devnet.faults import Faults
from node_client.devnet.node_server import NodeServer
from node_client.devnet.state import AccountState
from node_client.errors import NodeError
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC

FAUCET_BALANCE = 10**9 * UNITS_PER_CPC
_LONGEST_NAP = 0.05  # so that a clock turned by hand, a hold or a roll-back is noticed soon


class DevnetServer(NodeServer):
    """The node that makes the blocks; where it stands still, so does the chain."""

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
        chain = Chain(
            {self.faucet.address: FAUCET_BALANCE, **(balances or {})},
            chain_id=chain_id,
            network=network,
            block_time=block_time,
            genesis_time=genesis_time,
            clock=clock,
        )
        super().__init__(chain, port=port, host=host, faults=faults, fault_routes=fault_routes)

    def follower(
        self, *, port: int = 0, faults: Faults | None = None, fault_routes: bool = False
    ) -> NodeServer:
        """Return another node of this chain, not started yet: its own URL, receipts and faults.

        Blocks and waiting transactions are everywhere at once (see `Node`); no block is made while
        this one is stopped.
        """
        return NodeServer(
            self.chain, port=port, host=self.host, faults=faults, fault_routes=fault_routes
        )

    def stop(self) -> None:
        """Stop at once, as a killed process: what waits in the mempool is lost. May be repeated."""
        super().stop()
        self.chain.forget()

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

    def _is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _work(
        self, server: uvicorn.Server, listening: socket.socket
    ) -> dict[str, Callable[[], None]]:
        return {**super()._work(server, listening), "devnet-blocks": self._make_blocks}

    def _make_blocks(self) -> None:
        while not self._stopping.is_set():
            if self.chain.produce_if_due() is None:
                wait = self.chain.due() - self.chain.clock()
                self._stopping.wait(min(max(wait, 0.0), _LONGEST_NAP))


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
