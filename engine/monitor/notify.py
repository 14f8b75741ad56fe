"""Tells someone else what went wrong: a command of the operator's, or a webhook.

    with Notifier([Command("notify-send cpc"), Webhook.read(path, "slack")], report) as notifier:
        notifier(event)            # a reporter: returns at once

Told are warnings and errors, the end of a trouble, and a newer version; of each kind of event, one in
`PERIOD_SECONDS` at most, with the number of those left out. One thread does it, so a slow receiver
delays nothing but the next notice; what waits is bounded, and what fails is tried again `TRIES` times
and then told to the operator's log.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from gettext import gettext as _
from typing import Any, Protocol

from engine.monitor.events import AnyEvent
from engine.monitor.events.run import UpdateAvailable, Warned
from engine.monitor.events.trouble import TroubleEnded
from engine.runtime.closing import Closing

PERIOD_SECONDS = 60.0
TRIES = 3
FIRST_WAIT_SECONDS = 1.0
_MOST_WAITING = 100


class NotSent(Exception):
    """A notice was not taken; the text says why, without a secret."""


class Receiver(Protocol):
    """Where notices go."""

    def send(self, notice: dict[str, Any]) -> None:
        """Hand a notice over. Raises NotSent."""


class Notifier(Closing):
    """A reporter that passes notices on; `tell` is told what could not be passed on."""

    def __init__(self, receivers: Sequence[Receiver], tell: Callable[[AnyEvent], None]) -> None:
        self._receivers = receivers
        self._tell = tell
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)
        self._thread.start()

    def __call__(self, event: AnyEvent) -> None:
        """Take an event from any thread; never blocks, never raises."""
        if threading.current_thread() is self._thread:  # what it says itself
            return
        if event.severity() == "info" and not isinstance(event, TroubleEnded | UpdateAvailable):
            return
        now, name = time.monotonic(), _kind_of(event)
        if now - self._last.get(name, -PERIOD_SECONDS) < PERIOD_SECONDS:
            self._left_out[name] = self._left_out.get(name, 0) + 1
            return
        self._last[name] = now
        left_out = self._left_out.pop(name, 0)
        notice = {
            "event": event.event,
            "level": event.severity(),
            "time": round(time.time(), 3),
            "line": event.line(),
            "left_out": left_out,
            "fields": event.fields(),
        }
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._left_out[name] = left_out + 1

    def close(self) -> None:
        """Wait for what is on its way, two seconds at most; nothing is tried again."""
        self._ending.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(2.0)

    def _run(self) -> None:
        while (notice := self._waiting.get()) is not None:
            for receiver in self._receivers:
                if reason := self._deliver(receiver, notice):
                    found = _("the notice of {event} was not passed on: {reason}")
                    fix = _("Look at what --on-event or --webhook-file names.")
                    found = found.format(event=notice["event"], reason=reason)
                    self._tell(Warned("notices", found, fix))

    def _deliver(self, receiver: Receiver, notice: dict[str, Any]) -> str:
        """Return why it was not taken in the end, "" where it was."""
        wait = FIRST_WAIT_SECONDS
        for attempt in range(TRIES):
            try:
                receiver.send(notice)
            except NotSent as error:
                reason = str(error)
            else:
                return ""
            if attempt + 1 < TRIES and self._ending.wait(wait):
                break
            wait *= 4
        return reason


def _kind_of(event: AnyEvent) -> str:
    """Return what events are told apart by: a trouble's kind, a device, a validator."""
    fields = event.fields()
    own = (str(fields[name]) for name in ("kind", "subject", "device", "url") if name in fields)
    return " ".join((event.event, *own))
