"""Two thresholds in place of one, so that a value that wavers around either does not flap.

>>> hot = Hysteresis(above=80, below=70)
>>> [hot.see(value) for value in (75, 81, 79, 71, 81, 69, 75, 80)]
[False, True, True, True, True, False, False, False]
"""

from gettext import gettext as _

from engine.runtime.errors import BadInput


class Hysteresis:
    """On when the value goes above the one threshold, off when it goes below the other.

    A reading that is missing (None) changes nothing: a sensor that is gone tells neither.
    """

    def __init__(self, above: float, below: float) -> None:
        """Raises BadInput where `below` is not the lower of the two."""
        if not below < above:
            raise BadInput(
                _(
                    "a pause above {above:g} that ends below {below:g} would switch all the time"
                ).format(above=above, below=below),
                advice=_("Resume at a temperature that is lower than the one to pause at."),
            )
        self._above = above
        self._below = below
        self.on = False

    def see(self, value: float | None) -> bool:
        """Take the newest reading; gives whether it is on."""
        if value is not None:
            self.on = value >= self._below if self.on else value > self._above
        return self.on
