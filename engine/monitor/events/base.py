"""What every event has in common: a frozen dataclass with a name for machines and a line for people."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Event:
    """Something that happened; a subclass is a frozen dataclass by itself.

    `event` is its name in JSON, an interface; `template` makes the line that people read, and is
    empty where nobody reads a line for each of them.
    """

    event: ClassVar[str]
    template: ClassVar[str]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def fields(self) -> dict[str, Any]:
        """Return the fields, as they are in JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def line(self, show: Callable[[Any], Any] = lambda value: value) -> str:
        """Return the line for people, each value as `show` gives it; empty for a quiet event."""
        shown = {name: show(value) for name, value in self.fields().items()}
        return self.template.format(**shown).rstrip()
