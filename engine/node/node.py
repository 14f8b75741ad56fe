"""The composition root: one pool, and the sources that hand it work.

    summary = run_node(NodeRequest(urls=[url], mining=MiningConfig()), key, PlainReporter())

    blocks       head watcher -> mining loop --+
                                               +--> pool --> results --> ledger --> sender --> chain
    validators   connections --> sessions -----+

`mine` and `work` are this node with other sources. A block's tasks come before jobs of validators.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from engine.mining.config import Summary
from engine.mining.head_watcher import HeadWatcher
from engine.mining.loop import TICK_SECONDS, Inbox, MiningLoop, Woken
from engine.monitor.events import AnyEvent
from engine.monitor.events.pool import DeviceJoined, DeviceLeft
from engine.monitor.events.run import Opened, Warned, WorkStarted
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.node.account import Account, look_at_node, open_account
from engine.node.balance_watch import BalanceWatch
from engine.node.devices import devices_of
from engine.node.meter import Meter
from engine.node.preflight import check_cache, check_switches
from engine.node.request import JobSummary, LiveChange, NodeRequest, NodeSummary
from engine.node.upkeep import Upkeep
from engine.node.waiting import await_node
from engine.poc_worker.config import open_context
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.submission import Submission
from engine.poc_worker.worker import PocWorker
from engine.pool.messages import Setup
from engine.pool.pool import Launch, Pool
from engine.protection.controller import Controller
from engine.protection.sensors import Sensors
from engine.runtime.database import lock_beside_key
from engine.runtime.errors import Crashed
from engine.runtime.signals import stop_on_signals
from engine.runtime.systemd import Manager
from node_client.keys import PrivateKey

Attend = Callable[["Node"], AbstractContextManager[object]]
"""Makes what is open while the node runs."""


def run_node(
    request: NodeRequest,
    key: PrivateKey,
    report: Reporter,
    *attend: Attend,
    launch: Launch | None = None,
) -> NodeSummary:
    """Check everything, then run until done or stopped. Raises the wings' errors.

    `report` is called from several threads. Each `attend` makes what is open while the node runs, and
    while it waits for an L1 node: a server for `pause` and `resume`, say. `launch` starts the
    children: another one only in tests.
    """
    request.check()
    with ExitStack() as stack:
        node = Node(request, key, report, launch)
        for open_beside in attend:
            stack.enter_context(open_beside(node))
        stack.enter_context(stop_on_signals(node.stop, node.child_pids))
        return node.run()


class Node:
    """A running engine; `pause`, `resume`, `stop` and `change` are for any thread."""

    def __init__(
        self,
        request: NodeRequest,
        key: PrivateKey,
        report: Reporter,
        launch: Launch | None = None,
    ) -> None:
        """Put the parts together; none of them runs yet, and no L1 node is asked."""
        manager = Manager.from_environment()  # first: nothing that is started inherits its socket
        self._request = request
        self._key = key
        self._troubles = Troubles(report)
        self._report = self._meter = Meter(report, self._troubles)
        self._inbox: Inbox = queue.SimpleQueue()
        self._stopping = False
        self._account: Account | None = None
        self._balance: BalanceWatch | None = None
        for check in (check_cache(), *check_switches()):
            if check.state == "warn":
                report(Warned(check.name, check.found, check.fix))
        self._devices, usual = devices_of(request, report)
        self.pool = Pool(
            self._devices,
            self._tell,
            setup=Setup(request.threads, request.mining.typical_task if request.mining else None),
            limits=request.limits,
            launch=launch or usual,
            failed=self._failed,
        )
        self.controller = Controller(
            self._devices, self.pool, report, self._troubles, request.protection.thresholds
        )
        self._upkeep = Upkeep(manager, self._report, self._troubles, self.pool, self.controller)
        self._sensors = Sensors(
            self._devices, request.protection, self.controller.see, self._failed
        )
        self._watcher: HeadWatcher | None = None
        self._loop: MiningLoop | None = None
        self._jobs: PocWorker | None = None

    def run(self) -> NodeSummary:
        """Run every source until done or stopped.

        Raises NoDevice where every device is out of service, LedgerError where nothing can be
        written down any more, what a thread of this node ended of, and the wings' errors.
        """
        started, started_at = time.monotonic(), time.time()
        self._report(Opened(self._key.address, next(iter(self._request.urls), "")))
        with ExitStack() as stack:
            self._sensors.start()
            stack.callback(self._sensors.stop)
            if self._request.uses_chain and not self._open_account(stack):
                self._upkeep.stopping()
                return NodeSummary.of_nothing(self._request, time.monotonic() - started)
            self._tell_start()
            stack.enter_context(self.pool)
            context = self._open_jobs(stack)
            mined = self._run_sources(stack)
            self._upkeep.stopping()
            if context is None:
                return NodeSummary(mined)
            counts, seconds = context.ledger.counts(), time.monotonic() - started
            received = self._received(started_at)
            return NodeSummary(mined, JobSummary(**counts, seconds=seconds, received=received))

    def stop(self) -> None:
        """Ask for the end, which begins at once: also for a signal handler."""
        self._stopping = True
        if self._loop is not None:
            self._loop.stop()
        else:
            self._inbox.put(Woken())

    def pause(self) -> None:
        """Assign no work to any device until `resume`."""
        self.controller.ask(paused=True)

    def resume(self) -> None:
        """End what `pause` began."""
        self.controller.ask(paused=False)

    def change(self, live: LiveChange) -> None:
        """Go on with these options in place of those."""
        if live.mining is not None:
            self._inbox.put(live.mining)
        self._sensors.change(live.pause_on_battery, live.quiet_hours)

    def child_pids(self) -> dict[str, int | None]:
        """Return the process id of each device's child."""
        return self.pool.child_pids()

    def _open_account(self, stack: ExitStack) -> bool:
        """Wait for a node, then open the account. False where the end was asked for first."""
        request, key = self._request, self._key
        look = await_node(
            partial(look_at_node, request, key.address),
            self._troubles,
            self._on_waiting,
            waits=request.waits,
        )
        if look is None:
            return False
        self._account = stack.enter_context(
            open_account(
                request, key, look, self._report, self._troubles, self._failed, self._waits
            )
        )
        stack.enter_context(self._meter.keeping(self._account.ledger))
        sender = self._account.sender
        sender.start()  # what an earlier run signed is sent from here on
        stack.callback(sender.join, timeout=0.2)  # it may hang at the node
        stack.callback(sender.stop)
        return True

    def _on_waiting(self) -> bool:
        """Look after what runs while a node is waited for; return whether to go on."""
        self._upkeep.while_waiting()
        return not self._stopping

    def _run_sources(self, stack: ExitStack) -> Summary | None:
        """Mine, or wait for the end while jobs are done in other threads."""
        account, options = self._account, self._request.mining
        if account is None or options is None:
            self._wait()
            return None
        self._watcher = HeadWatcher(
            account.connect(),
            self._inbox,
            self._troubles,
            chain_id=account.chain.chain_id,
            block_time=account.chain.network.block_time,
            ready=self.pool.ready,
            way=self.pool.way,
        )
        self._loop = MiningLoop(
            options,
            self._key.address,
            account.ledger,
            self.pool,
            self._inbox,
            self._report,
            account.sender,
            self._on_turn,
        )
        if self._stopping:
            self._loop.stop()
        self._watcher.start()
        stack.callback(self._watcher.stopping.set)
        return self._loop.run()

    def _wait(self) -> None:
        while not self._stopping:
            try:
                event = self._inbox.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self._on_turn()
            else:
                if isinstance(event, Crashed):
                    raise event.error

    def _received(self, since: float) -> int | None:
        """Return the units that others sent since then (Unix time); None where no node was asked."""
        if self._account is not None:
            return self._account.ledger.received(since)
        return None if self._balance is None else self._balance.received

    def _open_jobs(self, stack: ExitStack) -> WorkerContext | None:
        """Connect to the validators, where some are asked for."""
        options, account = self._request.validators, self._account
        if options is None:
            return None
        chain_id = None if account is None else account.chain.chain_id
        stack.enter_context(lock_beside_key(self._request.keys, f"jobs-{self._key.address}"))
        context = stack.enter_context(
            open_context(
                options,
                self._key,
                executor=self.pool,
                way=self.pool.way,
                devices=self._devices,
                report=self._report,
                cards=self.controller.cards,
                chain_id=chain_id,
                path=self._request.job_ledger,
            )
        )
        if options.submitted_per_hour:
            assert account is not None
            most = options.submitted_per_hour
            context.answered = Submission(
                account.ledger, account.sender.poke, self._report, most_an_hour=most
            )
        self._jobs = PocWorker(
            options.validator,
            context,
            self._troubles,
            self._failed,
            alone=self._request.mining is None,
        )
        self._jobs.start()
        stack.callback(self._jobs.stop)
        if account is None:
            urls = list(self._request.urls)
            self._balance = BalanceWatch(urls, self._key.address, self._report, self._failed)
            self._balance.start()
            stack.callback(self._balance.stop)
        return context

    def _on_turn(self) -> None:
        """Look after everything beside the loop, once a second or more often."""
        seen = None if self._loop is None else self._loop.seen
        self._upkeep.turn(self._turned_at(), seen)

    def _turned_at(self) -> dict[str, float]:
        """Return when each thread beside this one last began a step."""
        sender = None if self._account is None else self._account.sender
        threads = {"pool": self.pool, "sender": sender, "watcher": self._watcher, "poc": self._jobs}
        return {name: thread.turned_at for name, thread in threads.items() if thread is not None}

    def _tell(self, event: AnyEvent) -> None:
        """Report what the pool reports; protection follows devices that come and go."""
        self._report(event)
        if isinstance(event, DeviceJoined | DeviceLeft):
            self.controller.follow(event)

    def _waits(self, locked: bool) -> bool:
        """Tell of a program that keeps the ledger locked; wait for it, unless the end is asked."""
        self._upkeep.ledger_locked(locked)
        return not self._stopping

    def _failed(self, error: Exception) -> None:
        """End with this error, of a thread of this node: from that thread."""
        self._inbox.put(Crashed(threading.current_thread().name, error))

    def _tell_start(self) -> None:
        request, account, devices = self._request, self._account, ", ".join(self._devices)
        if request.validators is not None and request.mining is None:
            names = ", ".join(request.validators.validator)
            self._report(WorkStarted(names, self._key.address, devices))
        if request.mining is None or account is None:
            return
        self._report(account.started(request, self._key.address, devices))
