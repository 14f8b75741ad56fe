"""Connections of workers: who is at the other end, as far as it was shown, and which jobs it has."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.poc_protocol.frames import Capabilities

GUEST_CAPABILITIES = Capabilities(
    kinds=("synthetic",), devices=(), matrix_size=2048, iterations=4, product=2**33, jobs=1
)
"""What is asked of a worker that knows only the guide's two messages: one small job at a time."""


@dataclass(slots=True)
class Link:
    """One connection. `address`: the worker's, once it said hello.

    `guest`: it never did, and works without a name. `rests_until`: it said that it was busy.
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


class Links:
    """The open connections."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    def add(self, link: Link) -> None:
        """A new one."""
        self._links[link.id] = link

    def remove(self, link_id: int) -> Link | None:
        """It is gone."""
        return self._links.pop(link_id, None)

    def find(self, link_id: int) -> Link | None:
        """The connection of that number."""
        return self._links.get(link_id)

    def of_job(self, job_id: str) -> Link | None:
        """The connection that a job is at home on, if it is open."""
        return next((link for link in self._links.values() if job_id in link.jobs), None)

    def of_worker(self, address: str) -> Link | None:
        """A connection on which this worker has said hello, the newest."""
        found = [link for link in self._links.values() if link.address == address]
        return found[-1] if found else None

    def take_job(self, job_id: str) -> None:
        """The job is nobody's any more."""
        for link in self._links.values():
            link.jobs.discard(job_id)
