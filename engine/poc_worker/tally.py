"""What the sessions of a run did, counted: the lines about it are dropped where there are too many.

tally.taken += 1                              # from the event loop
tally.computed(device, cost, seconds)
for event in tally.changes(): report(event)   # from any other thread
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.monitor.events.poc import DeviceJobs, JobsCounted


@dataclass(slots=True)
class Tally:
    """Jobs of this run."""

    taken: int = 0
    accepted: int = 0
    rejected: int = 0
    declined: int = 0
    _devices: dict[str, DeviceJobs] = field(default_factory=dict)
    _told: list[JobsCounted | DeviceJobs] = field(default_factory=list)

    def computed(self, device: str, cost: int, seconds: float) -> None:
        """Count a checked result: multiply-adds, seconds."""
        so_far = self._devices.get(device, DeviceJobs(device, 0, 0, 0.0))
        self._devices[device] = DeviceJobs(
            device, so_far.jobs + 1, so_far.multiply_adds + cost, so_far.seconds + seconds
        )

    def changes(self) -> Iterator[JobsCounted | DeviceJobs]:
        """Give the events of what has changed since the last call."""
        devices = list(self._devices.values())
        counted = JobsCounted(
            self.taken,
            sum(device.jobs for device in devices),
            self.accepted,
            self.rejected,
            self.declined,
        )
        before, self._told = self._told, [counted, *devices]
        yield from (event for event in self._told if event not in before)
