"""The seam between the pool and whatever its children are: processes here, or actors elsewhere.

A launcher starts a child for a device when it is told to. What the child says (`Heard`), and that it
ended (`Exited`), is read by the pool's thread, each with the generation that the child was spawned
with. A launcher whose devices come and go says so too (`DevicesEvent`).
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from engine.pool.messages import FromChild, Name, Number, Order, Plain, Text


class Heard(Plain, frozen=True):
    """A child said `message`."""

    device: Name
    generation: Number
    message: FromChild


class Exited(Plain, frozen=True):
    """A child's process ended."""

    device: Name
    generation: Number
    exitcode: Annotated[int, Meta(ge=-(2**32), le=2**32)] | None


class Joined(Plain, frozen=True):
    """A device came that was not there at the start."""

    device: Name


class Left(Plain, frozen=True):
    """A device is not there any more."""

    device: Name
    reason: Text


class Connected(Plain, frozen=True):
    """The launcher reached that through which it reaches its devices."""

    address: Name


class Unreachable(Plain, frozen=True):
    """It does not any more, and goes on trying; its devices left."""

    reason: Text


ChildEvent = Heard | Exited
DevicesEvent = Joined | Left | Connected | Unreachable
LauncherEvent = ChildEvent | DevicesEvent


class Launcher(Protocol):
    """Starts and ends children. Belongs to one thread; only `start` and `stop` may wait."""

    @property
    def may_find_more(self) -> bool:
        """Whether devices may still come that are not known yet."""

    @property
    def quiet_seconds(self) -> float:
        """A healthy child is heard of at least this often."""

    def start(self) -> None:
        """Once, before anything else. Raises SetupError where it cannot work at all."""

    def sources(self) -> Iterable[int]:
        """File descriptors: where one of them is readable, `read` has something to say."""

    def read(self, ready: Sequence[object]) -> list[LauncherEvent]:
        """What happened. `ready`: the sources that are readable. Called a few times a second."""

    def spawn(self, device: str, generation: int) -> int | None:
        """Start a child: return its process id, None where it has none on this machine.

        Does not raise: a child that cannot be started is one that ended.
        """

    def tell(self, device: str, generation: int, orders: Sequence[Order]) -> None:
        """Send orders, one or more, unless that child is gone already."""

    def kill(self, device: str, generation: int) -> None:
        """End that child, whatever it does; nothing happens where it is gone already."""

    def stop(self, patience: float) -> None:
        """End every child, those that do not end by themselves within `patience` seconds too."""
