"""What a node looks after beside its loop: silent children, stuck threads, the service manager."""

import threading
import time
from collections.abc import Mapping
from gettext import gettext as _
from gettext import ngettext

from engine.monitor.events.run import Pulse, Stopping
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.node.program_watch import ProgramWatch
from engine.node.thread_watch import ThreadWatch
from engine.pool.pool import Pool
from engine.protection.controller import Controller
from engine.runtime.systemd import Manager

PULSE_SECONDS = 1.0


class Upkeep:
    """One node's. For its main thread, whose turns feed the service manager's watchdog."""

    def __init__(
        self,
        manager: Manager,
        report: Reporter,
        troubles: Troubles,
        pool: Pool,
        controller: Controller,
    ) -> None:
        self._report = report
        self._troubles = troubles
        self._pool = pool
        self._controller = controller
        self._manager = manager
        self._threads = ThreadWatch(troubles)
        self._program = ProgramWatch(troubles)
        self._pulse_at = 0.0
        self._told_ready = False

    def while_waiting(self) -> None:
        """Take a turn while a node is waited for: that is told, and then counts as ready."""
        self._pulse(time.monotonic())
        if self._troubles.lasts("node_away") and not self._told_ready:
            self._told_ready = self._manager.ready()
        self._manager.alive("; ".join(self._troubles.lines()))

    def turn(self, turned_at: Mapping[str, float], seen: int | None) -> None:
        """Take a turn, once a second or more often.

        `turned_at`: when each thread beside this one last began a step, by `time.monotonic`; `seen`:
        the blocks so far, None where none are mined.
        """
        now = time.monotonic()
        self._pulse(now)
        if self._pool.ready.is_set() and not self._told_ready:
            self._told_ready = self._manager.ready()
        if self._threads.look(turned_at, now):
            self._manager.alive(self._status(seen))

    def ledger_locked(self, locked: bool) -> None:
        """Tell of a program that keeps the ledger locked, or no longer: from any thread."""
        if not locked:
            self._troubles.end("database_busy")
            return
        message = _("another program keeps the ledger locked")
        advice = _("Close it there, as in a database browser; the engine goes on by itself.")
        self._troubles.begin("database_busy", message, advice)
        if threading.current_thread() is threading.main_thread():  # its turns feed the watchdog
            self._manager.alive(message)

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._manager.stopping()
        self._report(Stopping())

    def _pulse(self, now: float) -> None:
        if now - self._pulse_at >= PULSE_SECONDS:
            self._pulse_at = now
            self._report(Pulse())
            self._program.look(now)
        self._controller.check_silence()

    def _status(self, seen: int | None) -> str:
        """Return one line for the service manager: what is wrong first."""
        parts = self._troubles.lines()
        if seen is not None:
            parts.append(
                ngettext("{seen} block seen", "{seen} blocks seen", seen).format(seen=seen)
            )
        states = self._pool.status.devices.items()
        parts.append(", ".join(f"{name} {device.state}" for name, device in states))
        return "; ".join(parts)
