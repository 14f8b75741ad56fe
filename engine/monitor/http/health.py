"""Whether a running engine does what it is for: what a container's or a load balancer's probe asks."""

from gettext import gettext as _

from pydantic import BaseModel, Field

from engine.monitor.snapshot import Snapshot

PULSE_SECONDS = 15.0
"""The mining loop shows life every second; a busy machine may hold it up."""


class Health(BaseModel):
    """Healthy where there are no reasons against it."""

    healthy: bool
    reasons: list[str] = Field(description="what is wrong, one sentence each")


def health(seen: Snapshot) -> Health:
    """The mining loop is alive, a device is in service (paused ones are), the node answers."""
    reasons = []
    since = seen.now - (seen.started_at if seen.pulse_at is None else seen.pulse_at)
    if since > PULSE_SECONDS:
        reasons.append(_("the mining loop has stood still for {n:.0f} s").format(n=since))
    if not seen.in_service:
        reasons.append(_("no device is in service"))
    if not seen.chain.node_answers:
        reasons.append(_("the node does not answer"))
    return Health(healthy=not reasons, reasons=reasons)
