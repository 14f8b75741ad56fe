"""Health of a running engine, for the probes of containers and load balancers."""

from gettext import gettext as _

from pydantic import BaseModel, Field

from engine.monitor.events.trouble import MEANING
from engine.monitor.snapshot import Snapshot

PULSE_SECONDS = 15.0
"""The mining loop reports a pulse every second; a busy machine may delay it."""


class Health(BaseModel):
    """Healthy if there are no reasons against it."""

    healthy: bool
    reasons: list[str] = Field(description="what is wrong, a sentence each")
    warnings: list[str] = Field(description="what is wrong and does not stop the work")


def health(seen: Snapshot) -> Health:
    """Check that the loop is alive, a device is in service, and nothing lasts that stops it.

    A trouble's reason is what its kind means, and not its message: that may quote a node.
    """
    reasons = engine_reasons(seen)
    told: dict[bool, list[str]] = {
        stops: list(dict.fromkeys(MEANING[one.kind] for one in seen.troubles if one.stops == stops))
        for stops in (True, False)
    }
    reasons += told[True]
    return Health(healthy=not reasons, reasons=reasons, warnings=told[False])


def engine_reasons(seen: Snapshot) -> list[str]:
    """Return what is wrong with the engine itself, besides what it tells as troubles."""
    reasons = []
    since = seen.now - (seen.started_at if seen.pulse_at is None else seen.pulse_at)
    if since > PULSE_SECONDS:
        reasons.append(_("the mining loop has made no progress for {n:.0f} s").format(n=since))
    if not seen.in_service and seen.state != "waiting":  # when no device is started yet
        reasons.append(_("no device is in service"))
    return reasons
