"""Reports conditions that last, once each, from whichever thread notices them.

troubles = Troubles(report)
troubles.begin("node_behind", "the node is 12 blocks behind", "Wait, or name another with --node.")
troubles.end("node_behind")
"""

import threading
import time
from gettext import gettext as _

from engine.monitor.events.trouble import TroubleBegan, TroubleEnded, TroubleKind
from engine.monitor.formatting import clock_time
from engine.monitor.reporter import Reporter


class Troubles:
    """What is wrong now. Thread-safe; one a run, so that each kind is told once."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._lasting: dict[tuple[TroubleKind, str], tuple[str, float]] = {}

    def begin(
        self,
        kind: TroubleKind,
        message: str,
        advice: str = "",
        *,
        stops: bool = True,
        subject: str = "",
    ) -> None:
        """Report it, unless it lasts already. `stops`: it makes the engine unhealthy.

        `subject`: the one that has it, of several that may.
        """
        with self._lock:
            if (kind, subject) in self._lasting:
                return
            self._lasting[kind, subject] = message, time.time()
        self._report(TroubleBegan(kind, message, advice, stops, subject))

    def end(self, kind: TroubleKind, subject: str = "") -> None:
        """Report that it is over, if it lasted."""
        with self._lock:
            began = self._lasting.pop((kind, subject), None)
        if began is not None:
            self._report(TroubleEnded(kind, began[0], subject))

    def lines(self) -> list[str]:
        """Return of what lasts since when, and what it is, the oldest first."""
        with self._lock:
            lasting = list(self._lasting.values())
        line = _("since {time}: {message}")
        return [line.format(time=clock_time(since), message=message) for message, since in lasting]

    def lasts(self, kind: TroubleKind) -> bool:
        """Whether it was begun and did not end."""
        with self._lock:
            return any(kind == one for one, _subject in self._lasting)
