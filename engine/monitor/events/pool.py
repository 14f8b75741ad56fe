"""Events of the pool: devices, their child processes, and a farm's machines."""

from gettext import gettext as _

from engine.monitor.events.base import Event, Level


class _OfDevice(Event):
    device: str


class _WithReason(_OfDevice):
    reason: str


class DeviceState(_OfDevice):
    """A device is in another state: starting, idle, busy, opening, checking, backoff or out."""

    event, template = "device", ""
    state: str
    reason: str


class DeviceCompiling(_OfDevice):
    """Of the kernels that this CPU needs, once, so many are compiled."""

    event = "compiling"
    template = _("{device}: compiling kernels for this CPU, once: {done} of {total}")
    done: int
    total: int


class DeviceReady(_OfDevice):
    event = "ready"
    template = _("{device} passed its known-answer test after {seconds:.1f} s and takes work")
    seconds: float


class ChildKilled(_WithReason):
    level = "warning"
    event, template = "child_killed", _("{device}: child replaced: {reason}")


class ChildEnded(_WithReason):
    level = "warning"
    event, template = "child_ended", _("{device}: child lost, a new one starts: {reason}")


class OutOfService(_WithReason):
    level = "error"
    event, template = "out_of_service", _("{device}: out of service: {reason}")


class GpuSkipped(_WithReason):
    """A GPU of this machine that computes nothing. `by_choice`: the operator left it out."""

    event, template = "gpu_skipped", _("{device} ({model}) is not used: {reason}. {fix}")
    model: str
    fix: str
    by_choice: bool

    def severity(self) -> Level:
        """Return warning, unless it was left out on purpose."""
        return "info" if self.by_choice else "warning"


class CheckerEnded(Event):
    level = "warning"
    event = "checker_ended"
    template = _("a process that checks results was lost, the engine checks meanwhile: {reason}")
    reason: str


class DeviceJoined(_OfDevice):
    event, template = "device_joined", "{device}: joined"


class DeviceLeft(_WithReason):
    level = "warning"
    event, template = "device_left", _("{device}: left, {reason}")


class FarmConnected(Event):
    event, template = "farm_connected", _("the Ray cluster at {address} answers")
    address: str


class FarmUnreachable(Event):
    level = "warning"
    event = "farm_unreachable"
    template = _("the Ray cluster does not answer: {reason}. Its results so far are kept")
    reason: str


PoolEvent = (
    DeviceState
    | DeviceCompiling
    | DeviceReady
    | ChildKilled
    | ChildEnded
    | OutOfService
    | GpuSkipped
    | DeviceJoined
    | DeviceLeft
    | CheckerEnded
    | FarmConnected
    | FarmUnreachable
)
