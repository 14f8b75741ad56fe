"""Notices that the program's files on disk are no longer those of the program that runs."""

from engine.monitor.troubles import Troubles
from engine.runtime.program_files import ProgramFiles, updated_words

LOOK_SECONDS = 10.0
"""Between two looks at the program's files."""


class ProgramWatch:
    """Tells it as a trouble. For one thread."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._files, self._look_at = ProgramFiles(), 0.0

    def look(self, now: float) -> None:
        """Look, unless that was done a moment ago; `now`: seconds of a steady clock."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        if self._files.updated():
            self._troubles.begin("program_updated", *updated_words(), stops=False)
        else:
            self._troubles.end("program_updated")
