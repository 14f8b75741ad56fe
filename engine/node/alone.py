"""Work for validators without mining: `cpc-engine work`.

summary = work_on(WorkRequest(validators), key, PlainReporter())

The devices' children are in a thread of their own, the connections in another; this one waits for
the end, and tells what becomes of results that are sent to the chain.
"""

import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from engine.monitor.events.run import Stopping, Warned, WorkStarted
from engine.monitor.reporter import Reporter
from engine.node.node import pinned_client
from engine.node.preflight import check_balance, check_gas_price, demand, look_at_chain
from engine.poc_worker.config import ValidatorsRequest, open_workplace
from engine.poc_worker.context import Workplace
from engine.poc_worker.submission import Submission
from engine.poc_worker.worker import PocWorker
from engine.pool.limits import Limits
from engine.pool.messages import Setup
from engine.pool.pool import WorkshopThread
from engine.runtime.errors import Crashed, SetupError
from engine.runtime.paths import ledger_path
from engine.runtime.signals import stop_on_signals
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender, SenderSettings
from kernels.devices import chosen_devices
from node_client.keys import PrivateKey
from node_client.rpc import NodeClient

_TICK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class WorkRequest:
    """What the operator asked for. `urls`: L1 nodes, asked only where results are submitted."""

    validators: ValidatorsRequest
    urls: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    gas_price: int | None = None
    max_gas_price: int | None = None
    depth: int = 6
    ledger: Path | None = None
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class WorkSummary:
    """What the ledger has of this worker's jobs, of this run and all before."""

    taken: int
    computed: int
    accepted: int
    rejected: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def work_on(request: WorkRequest, key: PrivateKey, report: Reporter) -> WorkSummary:
    """Work until stopped by a signal. Raises NoDevice, the wings' errors, or what a thread died of."""
    request.validators.check()
    return _Run(request, key, report).run()


class _Run:
    def __init__(self, request: WorkRequest, key: PrivateKey, report: Reporter) -> None:
        self._request = request
        self._key = key
        self._report = report
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopping = False

    def run(self) -> WorkSummary:
        request, report = self._request, self._report
        devices = chosen_devices(request.devices)
        if len(set(devices)) < len(devices):
            raise SetupError(
                _("a device is named twice: each gets one child"), advice=_("Name it once.")
            )
        started = time.monotonic()
        with ExitStack() as stack:
            shop = WorkshopThread(
                devices, report, setup=Setup(request.threads), limits=request.limits
            )
            place = stack.enter_context(
                open_workplace(
                    request.validators,
                    self._key,
                    executor=shop.desk,
                    devices=devices,
                    report=report,
                )
            )
            if request.validators.submit_most:
                stack.enter_context(self._submitting(place))
            names = ", ".join(request.validators.validators)
            report(WorkStarted(names, self._key.address, ", ".join(devices)))
            stack.enter_context(shop)
            worker = PocWorker(request.validators.validators, place, self._failed)
            worker.start()
            stack.callback(worker.stop)
            with stop_on_signals(self._stop, shop.child_pids):
                self._wait(shop)
            report(Stopping())
            return WorkSummary(**place.ledger.counts(), seconds=time.monotonic() - started)

    def _stop(self) -> None:
        self._stopping = True

    def _wait(self, shop: WorkshopThread) -> None:
        while not self._stopping:
            if not shop.is_alive():
                raise shop.error or RuntimeError(_("the workshop ended without an error"))
            try:
                event = self._inbox.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            assert isinstance(event, Crashed)
            raise event.error

    def _failed(self, error: Exception) -> None:
        self._inbox.put(Crashed("poc", error))

    @contextmanager
    def _submitting(self, place: Workplace) -> Iterator[None]:
        """The chain, the ledger and the sender, as for mining."""
        request, key = self._request, self._key
        urls = list(request.urls)
        client = NodeClient(urls)
        chain = look_at_chain(client)
        network = chain.network
        price = network.min_gas_price if request.gas_price is None else request.gas_price
        for check in (
            check_gas_price(network, price),
            check_balance(client, key.address, price),
        ):
            if demand(check).state == "warn":
                self._report(Warned(check.name, check.found, check.fix))
        path = request.ledger or ledger_path(chain.chain_id, chain.genesis, key.address)
        with Ledger.open(
            path, chain_id=chain.chain_id, genesis=chain.genesis, address=key.address
        ) as ledger:
            settings = SenderSettings(network, price, request.depth, request.max_gas_price)
            sender = Sender(
                pinned_client(urls, chain), ledger, key, settings, self._report, self._failed
            )
            place.chain_id = chain.chain_id
            place.answered = Submission(
                ledger, sender.poke, self._report, most_an_hour=request.validators.submit_most
            )
            sender.start()
            try:
                yield
            finally:
                sender.stop()
                sender.join(timeout=0.5)
