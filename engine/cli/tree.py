"""The commands as a tree: what the configuration, the man page and the reference are made from.

program = grow(app, everywhere)
for path, command in walk(program):
    print(" ".join(path), [key_of(option) for option in options_of(command)])
"""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

type Path = tuple[str, ...]
"""The words that call a command: ("tx", "send")."""

ENVIRONMENT_PREFIX = "CPC"
_NO_SETTINGS = frozenset({"config", "yes"})
"""Parameters that say something about one call, which no file can say."""


def grow(app: typer.Typer, everywhere: typer.Typer) -> TyperGroup:
    """The tree of `app`; every command takes the options of `everywhere`'s only command, too."""
    root, shared = typer.main.get_command(app), typer.main.get_command(everywhere)
    assert isinstance(root, TyperGroup)
    own = [option for option in shared.params if isinstance(option, TyperOption)]
    own = [option for option in own if not option.name.endswith("completion")]
    for option in own:
        option.allow_from_autoenv = False
    for parameter in root.params:
        if isinstance(parameter, TyperOption):  # what is set is set at a command
            parameter.allow_from_autoenv = False
    root.params += own
    for _path, command in walk(root):
        settable = options_of(command)
        for parameter in command.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = parameter.envvar is not None  # the others' follow a rule
                parameter.allow_from_autoenv = parameter in settable
        declared = {option.name for option in command.params}
        command.params += [option for option in own if option.name not in declared]
    return root


def walk(group: TyperGroup, path: Path = ()) -> Iterator[tuple[Path, TyperCommand]]:
    """Every command that does something, with its path; groups only lead to them."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from walk(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield (*path, name), command


def options_of(command: TyperCommand) -> list[TyperOption]:
    """The options that can be set: no --help, and none that is for a single call."""
    found = [option for option in command.params if isinstance(option, TyperOption)]
    return [
        option
        for option in found
        if option.expose_value and not option.hidden and option.name not in _NO_SETTINGS
    ]


def key_of(option: TyperOption) -> str:
    """Name of the option in the configuration: its long form without hyphens in front."""
    return max(option.opts, key=len).lstrip("-")


def variable_of(path: Path, option: TyperOption) -> str:
    """The environment variable that sets the option of this command."""
    if option.envvar:
        return option.envvar if isinstance(option.envvar, str) else option.envvar[0]
    return "_".join((ENVIRONMENT_PREFIX, *path, option.name)).upper().replace("-", "_")
