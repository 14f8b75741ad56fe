"""A setting is declared once: as a field of a frozen dataclass, with its default, help and limits.

    @dataclass(frozen=True, kw_only=True)
    class SendingOptions:
        depth: int = setting(6, _("Blocks on top until a result is final."), least=0, most=100)

`engine.cli.config.groups` makes the command line's options, the keys of engine.toml and the variables
of the environment of it; packaging/reference.py makes docs/configuration.md. The dataclasses lie in
the `options.py` of the package that they configure. They are read by `--help`, so they import nothing
heavy, and their texts are in the user's language, which is chosen before they are imported.
"""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """What a field says beside its name, type and default.

    `variable`: the environment variable, if it is not CPC_COMMAND_OPTION. `least` and `most`: the
    range of a number. `live`: whether SIGHUP changes it in a running engine. `letter`: its short form.
    """

    help: str
    metavar: str | None = None
    variable: str | None = None
    least: float | None = None
    most: float | None = None
    live: bool = False
    letter: str | None = None


def setting(default: Any, help: str, **more: Any) -> Any:  # noqa: A002 - typer's name for it
    """Return the dataclass field of a setting: a str, int, float, bool, Path, or a tuple of these.

    `more`: the fields of `Setting`.
    """
    return field(default=default, metadata={"setting": Setting(help, **more)})


def declared(group: Any) -> Iterator[tuple[Field[Any], Setting]]:
    """Yield the settings among the fields of a dataclass or of an instance, in their order."""
    for one in fields(group):
        if "setting" in one.metadata:
            yield one, one.metadata["setting"]
