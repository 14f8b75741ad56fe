"""Reports conditions that last, once each, from whichever thread notices them.

troubles = Troubles(report)
troubles.begin("node_behind", "the node is 12 blocks behind", "Wait, or name another with --node.")
troubles.end("node_behind")
"""

import threading

from engine.monitor.events.trouble import TroubleBegan, TroubleEnded, TroubleKind
from engine.monitor.reporter import Reporter


class Troubles:
    """What is wrong now. Thread-safe; one a run, so that each kind is told once."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._lasting: dict[TroubleKind, str] = {}

    def begin(
        self, kind: TroubleKind, message: str, advice: str = "", *, stops: bool = True
    ) -> None:
        """Report it, unless it lasts already. `stops`: it makes the engine unhealthy."""
        with self._lock:
            if kind in self._lasting:
                return
            self._lasting[kind] = message
        self._report(TroubleBegan(kind, message, advice, stops))

    def end(self, kind: TroubleKind) -> None:
        """Report that it is over, if it lasted."""
        with self._lock:
            message = self._lasting.pop(kind, None)
        if message is not None:
            self._report(TroubleEnded(kind, message))

    def messages(self) -> list[str]:
        """Return the messages of what lasts, the oldest first."""
        with self._lock:
            return list(self._lasting.values())

    def lasts(self, kind: TroubleKind) -> bool:
        """Whether it was begun and did not end."""
        with self._lock:
            return kind in self._lasting
