"""Connections of workers: who is at the other end, as far as proven, and which jobs it has."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.poc_protocol.frames import Capabilities
from engine.validator.store.requirements import Requirements

GUEST_CAPABILITIES = Capabilities(
    kinds=("synthetic",), devices=(), matrix_size=2048, iterations=4, product=2**33, jobs=1
)
"""For a worker that knows only the guide's two messages: one small job at a time."""

PACE_SECONDS = 1.0
"""Of a worker's time, after which what it did counts half in its speed."""


@dataclass(slots=True)
class Connection:
    """One connection. `address`: the worker's, once it signed a hello.

    `guest`: it never did, and works without a proven address. `rests_until`: it said that it was busy.
    `result_at`: of its last result. `models`: SHA-256 of those that its worker holds.
    """

    id: int
    nonce: str
    since: float
    address: str | None = None
    public_key: str = ""
    guest: bool = False
    capabilities: Capabilities | None = None
    jobs: set[str] = field(default_factory=set)
    rests_until: float = 0.0
    result_at: float = 0.0
    seconds: float = 0.0
    work: float = 0.0
    models: set[str] = field(default_factory=set)

    def took(self, job: Requirements, sent_at: float, now: float) -> None:
        """Take note that the result of a job came; its worker holds the model now.

        The worker was at it since it was sent, or since the result before: of results that come
        together the first took the time of all. So times and costs are added up, the older fading.
        """
        seconds = max(0.0, now - max(sent_at, self.result_at))
        kept = 0.5 ** (seconds / PACE_SECONDS)
        self.seconds, self.work = kept * self.seconds + seconds, kept * self.work + job.cost
        self.result_at = now
        if job.model:
            self.models.add(job.model)

    @property
    def pace(self) -> float | None:
        """Seconds a multiply-add, as far as known."""
        return self.seconds / self.work if self.work else None


class Connections:
    """The open connections.

    `changed`: since tasks were offered last, a worker may have come to take one, or a task to wait.
    """

    def __init__(self) -> None:
        self._connections: dict[int, Connection] = {}
        self.changed = True

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections.values()))

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Add a new one."""
        self.changed = True
        self._connections[connection.id] = connection

    def remove(self, connection_id: int) -> Connection | None:
        """Remove it, and return it if it was there."""
        return self._connections.pop(connection_id, None)

    def clear(self) -> None:
        """Remove all."""
        self._connections.clear()

    def find(self, connection_id: int) -> Connection | None:
        """Return the connection with this id."""
        return self._connections.get(connection_id)

    def of_job(self, job_id: str) -> Connection | None:
        """Return the open connection that a job was sent on."""
        return next((one for one in self if job_id in one.jobs), None)

    def of_worker(self, address: str) -> Connection | None:
        """Return the newest connection on which this worker signed a hello."""
        found = [one for one in self if one.address == address]
        return found[-1] if found else None

    def take_job(self, job_id: str) -> None:
        """Remove an ended job from its connection."""
        self.changed = True
        for connection in self:
            connection.jobs.discard(job_id)
