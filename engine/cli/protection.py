"""Options that protect the machine, and what is made of them."""

from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.protection.sensors import Protection

PauseAbove = Annotated[
    float | None,
    typer.Option(
        min=20,
        max=120,
        help=_("Pause a device above so many degrees Celsius. [88, for GPUs alone]"),
    ),
]
ResumeBelow = Annotated[
    float | None,
    typer.Option(min=10, max=119, help=_("Go on below so many. [13 less than --pause-above]")),
]
PauseOnBattery = Annotated[
    bool, typer.Option("--pause-on-battery", help=_("Pause while nothing is plugged in."))
]
QuietHoursOption = Annotated[
    str | None,
    typer.Option(
        "--quiet-hours",
        metavar="HH:MM-HH:MM",
        help=_("Pause between these times of day, local time: 22:00-07:00."),
    ),
]


def protection_of(
    pause_above: float | None,
    resume_below: float | None,
    pause_on_battery: bool,
    quiet_hours: str | None,
) -> "Protection":
    """What the options say. Raises BadInput."""
    from engine.protection.hysteresis import Hysteresis
    from engine.protection.policy import CARD_THRESHOLDS, Thresholds
    from engine.protection.quiet_hours import QuietHours
    from engine.protection.sensors import Protection

    thresholds = None
    if pause_above is not None or resume_below is not None:
        above = CARD_THRESHOLDS.pause_above if pause_above is None else pause_above
        span = CARD_THRESHOLDS.pause_above - CARD_THRESHOLDS.resume_below
        thresholds = Thresholds(above, above - span if resume_below is None else resume_below)
        Hysteresis(thresholds.pause_above, thresholds.resume_below)  # refuses what would flap
    hours = None if quiet_hours is None else QuietHours.parse(quiet_hours)
    return Protection(thresholds, pause_on_battery, hours)
