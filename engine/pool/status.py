"""What other threads may know of a pool: an immutable snapshot, published after each change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.pool.job_queue import cost_and_kind
from kernels.task import Task
from kernels.work import DeviceWork


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device. `state`: starting, idle, busy, opening, checking, backoff or out.

    `reason`: of its child's last end, "" for none. `paused`: why it gets no work, "" where it does.
    `pace`: seconds a multiply-add by kind of job, as far as they are known.
    """

    state: str
    reason: str
    paused: str
    pid: int | None
    pace: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """`idle`: there is no job, waiting or at work, of those that the pool has taken up.

    `all_out`: no device is in service, and none may come.
    """

    devices: Mapping[str, DeviceStatus] = field(default_factory=dict)
    idle: bool = True
    all_out: bool = False

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused, and there is one."""
        in_service = [device for device in self.devices.values() if device.state != "out"]
        return bool(in_service) and all(device.paused for device in in_service)

    def capacity(self, work: Task | DeviceWork, seconds: float) -> int:
        """Return how many jobs like this one the devices in service are seen to finish in that time.

        A device whose pace is not known yet counts for one.
        """
        cost, kind = cost_and_kind(work)
        return sum(
            int(seconds / (cost * device.pace[kind])) if kind in device.pace else 1
            for device in self.devices.values()
            if device.state not in ("backoff", "out") and not device.paused
        )
