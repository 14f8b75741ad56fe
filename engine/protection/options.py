"""What the machine is protected from, as the operator says it."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, ClassVar

from engine.protection.policy import CARD_THRESHOLDS, Thresholds
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from engine.protection.sensors import Protection

_SPAN = CARD_THRESHOLDS.pause_above - CARD_THRESHOLDS.resume_below


@dataclass(frozen=True, kw_only=True)
class ProtectionOptions:
    """Protection: heat, battery and quiet hours."""

    heading: ClassVar[str] = _("Protection")

    pause_above: float | None = setting(
        None,
        _("Pause a device above so many degrees Celsius. [{above:g}, GPUs only]").format(
            above=CARD_THRESHOLDS.pause_above
        ),
        least=20,
        most=120,
    )
    resume_below: float | None = setting(
        None,
        _("Resume below so many. [{span:g} less than --pause-above]").format(span=_SPAN),
        least=10,
        most=119,
    )
    pause_on_battery: bool = setting(False, _("Pause while on battery."), live=True)
    quiet_hours: str | None = setting(
        None,
        _("Pause between these times of day, local time: 22:00-07:00."),
        metavar="HH:MM-HH:MM",
        live=True,
    )

    def protection(self) -> "Protection":
        """Return it as the sensors need it. Raises BadInput."""
        from engine.protection.hysteresis import Hysteresis
        from engine.protection.quiet_hours import QuietHours
        from engine.protection.sensors import Protection

        thresholds = None
        if self.pause_above is not None or self.resume_below is not None:
            above = self.pause_above
            above = CARD_THRESHOLDS.pause_above if above is None else above
            below = above - _SPAN if self.resume_below is None else self.resume_below
            thresholds = Thresholds(above, below)
            Hysteresis(above, below)  # refuses what would flap
        hours = None if self.quiet_hours is None else QuietHours.parse(self.quiet_hours)
        return Protection(thresholds, self.pause_on_battery, hours)
