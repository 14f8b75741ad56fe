"""The settings that a command would use, each with the origin of its value.

for setting in effective(context, ("mine",), command):
    print(setting.key, setting.value, setting.source)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from engine.cli.config import command_tree as tree
from engine.cli.config.global_options import settings_of


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its origin. `source`: "command line", "environment", "file" or "default".

    `place` is the variable or the file.
    """

    key: str
    value: Any
    source: str
    place: str


def effective(
    context: typer.Context,
    path: tree.Path,
    command: TyperCommand,
    arguments: Sequence[str] = (),
    *,
    lenient: bool = True,
) -> list[Setting]:
    """Return every setting of `command` as if it were called with these arguments.

    A value that the command would refuse is returned as it is, since the caller may be looking for
    it; unless `lenient`, it is refused as the command does.
    """
    settings = settings_of(context)
    at = context.find_root()
    for name in path[:-1]:
        at = typer.Context(command, parent=at, info_name=name)
    made = command.make_context(
        path[-1],
        list(arguments),
        parent=at,
        default_map=settings.of(path),
        resilient_parsing=lenient,
    )
    found = []
    for option in tree.options_of(command):
        origin = made.get_parameter_source(option.name)
        source, place = "default", ""
        match origin.name if origin else "":
            case "COMMANDLINE":
                source = "command line"
            case "ENVIRONMENT":
                source, place = "environment", tree.variable_of(option)
            case "DEFAULT_MAP":
                source, place = "file", str(settings.path)
        found.append(Setting(tree.key_of(option), made.params.get(option.name), source, place))
    return found


def settings_for(context: typer.Context, name: str) -> dict[str, Any]:
    """Return the values that the command of this name would use, by key. Raises its usage errors."""
    program = context.find_root().command
    assert isinstance(program, TyperGroup)
    command = program.commands[name]
    assert isinstance(command, TyperCommand)
    return {
        setting.key: setting.value
        for setting in effective(context, (name,), command, lenient=False)
    }


def plain_value(value: Any) -> Any:
    """Return the value as JSON has it; of a URL not the password."""
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """Return the URL without the password that it may contain."""
    scheme, colon, rest = text.partition("://")
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{colon}***@{host}" if colon and at and credentials else text
