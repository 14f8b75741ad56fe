"""What every event has in common: a frozen dataclass with a name for machines and a line for people."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from string import Formatter
from typing import Any, ClassVar, Literal, dataclass_transform

from engine.runtime.printable import fit_to_show

Level = Literal["info", "warning", "error"]


@cache
def _has_words(template: str) -> bool:
    """Return whether a line by this template is never empty."""
    return any(text.strip() for text, *_field in Formatter().parse(template))


@dataclass_transform(frozen_default=True)
@dataclass(frozen=True)
class Event:
    """Something that happened; a subclass is a frozen dataclass by itself.

    `event` is its name in JSON, an interface; `template` makes the line that people read, and is
    empty where nobody reads a line for each of them. `level` says how much it matters.

    Texts may be a node's, a validator's or a customer's, and name URLs: no control character and no
    password is kept, so none reaches a terminal, a log, `/status` or the page.
    """

    event: ClassVar[str]
    template: ClassVar[str]
    level: ClassVar[Level] = "info"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str | list | tuple):
                object.__setattr__(self, name, fit_to_show(value))

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def severity(self) -> Level:
        """Return how much this one matters."""
        return self.level

    def fields(self) -> dict[str, Any]:
        """Return the fields, as they are in JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def is_quiet(self) -> bool:
        """Whether nobody reads a line of it: it is empty."""
        return not _has_words(self.template) and not self.line()

    def line(self, show: Callable[[Any], Any] = lambda value: value) -> str:
        """Return the line for people, each value as `show` gives it; empty for a quiet event."""
        shown = {name: show(value) for name, value in self.fields().items()}
        return self.template.format(**shown).rstrip()
