"""What an operator may do to a running engine, from any thread, without waiting."""

from typing import Protocol


class Control(Protocol):
    """A running engine, as the keys of its terminal and its HTTP routes see it."""

    def pause(self) -> None:
        """Assign no work to any device."""

    def resume(self) -> None:
        """End what `pause` began."""

    def stop(self) -> None:
        """Ask the engine to end."""
