"""What was earned where nothing is sent to the chain, so that no ledger reads its blocks."""

import threading
from collections.abc import Callable
from functools import partial

from engine.monitor.events.sending import BalanceChanged, BalanceRose
from engine.monitor.reporter import Reporter
from node_client.errors import NodeClientError
from node_client.evidence import Evidence
from node_client.rpc import NodeClient
from node_client.wire import wire_of

EVERY_SECONDS = 15.0


class BalanceWatch:
    """Asks a node for the account's balance now and then. One that does not answer costs nothing.

    `received`: units by which the balance rose in this run; None while no node has answered.
    """

    def __init__(
        self,
        urls: list[str],
        address: str,
        report: Reporter,
        failed: Callable[[Exception], None],
        every: float = EVERY_SECONDS,
    ) -> None:
        self.received: int | None = None
        self._urls, self._address, self._report = urls, address, report
        self._failed, self._every = failed, every
        self._balance = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balance", daemon=True)

    def start(self) -> None:
        """Start to ask, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End; the thread may still hang at a node."""
        self._ending.set()
        self._thread.join(timeout=0.2)

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._look()
                self._ending.wait(self._every)
        except Exception as error:  # noqa: BLE001 - told by the main thread
            self._failed(error)

    def _look(self) -> None:
        client = NodeClient(self._urls, evidence=Evidence())
        try:
            balance = client.ask(partial(wire_of(client).account, address=self._address)).balance
        except NodeClientError:
            return
        finally:
            client.close()
        if self.received is not None and balance > self._balance:
            self.received += balance - self._balance
            self._report(BalanceRose(balance - self._balance))
        if self.received is None or balance != self._balance:
            self._report(BalanceChanged(balance))
        self.received = self.received or 0
        self._balance = balance
