"""The seam between the supervisor and whatever its children are: processes here, or actors elsewhere.

A launcher starts a child for a device when it is told to, and puts into the inbox of the thread that
supervises what the child says (`Heard`) and that it ended (`Exited`), each with the generation that
it was spawned with. One whose devices come and go says so too (`DevicesEvent`).
"""

from dataclasses import dataclass
from typing import Protocol

from engine.pool.messages import FromChild, ToChild


@dataclass(frozen=True, slots=True)
class Heard:
    """A child said `message`."""

    device: str
    generation: int
    message: FromChild


@dataclass(frozen=True, slots=True)
class Exited:
    """A child's process ended."""

    device: str
    generation: int
    exitcode: int | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A device came that was not there at the start."""

    device: str


@dataclass(frozen=True, slots=True)
class Left:
    """A device is not there any more."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The launcher reached that through which it reaches its devices."""

    address: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """It does not any more, and goes on trying; its devices left."""

    reason: str


ChildEvent = Heard | Exited
DevicesEvent = Joined | Left | Connected | Unreachable


class Launcher(Protocol):
    """Starts and ends children. No method blocks on a child, whatever state that is in."""

    @property
    def may_find_more(self) -> bool:
        """Whether devices may still come that are not known yet."""

    @property
    def quiet_seconds(self) -> float:
        """A healthy child is heard of at least this often."""

    def start(self) -> None:
        """Once, before anything else. Raises SetupError where it cannot work at all."""

    def spawn(self, device: str, generation: int) -> None:
        """Start a child. Does not raise: a child that cannot be started is one that ended."""

    def tell(self, device: str, generation: int, message: ToChild) -> None:
        """Send a message, unless that child is gone already."""

    def kill(self, device: str, generation: int) -> None:
        """End that child, whatever it does; nothing happens where it is gone already."""

    def stop(self, patience: float) -> None:
        """End every child, those that do not end by themselves within `patience` seconds too."""

    def pids(self) -> dict[str, int | None]:
        """Process id of each device's child, None where it has none on this machine."""
