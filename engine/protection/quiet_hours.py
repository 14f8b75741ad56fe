"""Quiet hours: a part of the day, in local time, in which nothing is computed.

>>> from datetime import time
>>> night = QuietHours.parse("22:00-07:00")
>>> night.cover(time(23, 30)), night.cover(time(7, 0))
(True, False)

What counts is what a clock on the wall shows, which is what the neighbours sleep by: on the night
when clocks are set, quiet hours are an hour shorter or longer, and begin and end on time.
"""

import re
from dataclasses import dataclass
from datetime import time
from gettext import gettext as _
from typing import Self

from engine.runtime.errors import BadInput

_FORM = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin`, included, to `end`, left out; over midnight where `end` is the earlier."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "22:00-07:00". Raises BadInput."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            message = _("quiet hours {text!r} are not two times of day").format(text=text[:40])
            raise BadInput(message, advice=_("Write them as 22:00-07:00, in local time."))
        first, second, third, fourth = map(int, match.groups())
        begin, end = time(first, second), time(third, fourth)
        if begin == end:
            raise BadInput(
                _("quiet hours {text!r} begin when they end").format(text=text[:40]),
                advice=_("Leave them out to mine all day; to mine never, do not start."),
            )
        return cls(begin, end)

    def cover(self, moment: time) -> bool:
        """Whether this time of day is within them."""
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end
