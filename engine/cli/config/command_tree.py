"""The commands as a tree: configuration, man page and reference are made from it.

program = build_tree(app, global_options.app)
for path, command in walk(program):
    print(" ".join(path), [key_of(option) for option in options_of(command)])
"""

import re
from collections.abc import Iterator
from functools import partial
from gettext import gettext as _
from os import PathLike
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from engine.cli.config.help_layout import set_layout
from engine.cli.config.usage_errors import name_of
from engine.runtime.paths import expanded

type Path = tuple[str, ...]
"""The words that call a command: ("tx", "send")."""

ENVIRONMENT_PREFIX = "CPC"
HELP_NAMES = ["-h", "--help"]
_NO_SETTINGS = frozenset({"config", "yes"})
"""Parameters of a single call, which no file can set."""

_TYPERS_OWN = {
    "Show this message and exit.": _("Show this message and exit."),
    "Install completion for the current shell.": _("Install completion for the current shell."),
    "Show completion for the current shell, to copy it or customize the installation.": _(
        "Show completion for the current shell, to copy it or customize the installation."
    ),
}
"""Help texts that Typer has in English only."""


class _Context(typer.Context):
    """Translates the help's first line, which Typer has in English only."""

    def make_formatter(self) -> Any:
        formatter = super().make_formatter()
        formatter.write_usage = partial(formatter.write_usage, prefix=_("Usage: "))  # type: ignore[method-assign]
        return formatter


def _translate(command: TyperCommand | TyperGroup) -> None:
    """Translate what Typer itself adds to a command's help."""
    command.context_class = _Context
    command.options_metavar = _("[OPTIONS]")
    if isinstance(command, TyperGroup):
        command.subcommand_metavar = _("COMMAND [ARGS]...")
    help_option = command.get_help_option(_Context(command, help_option_names=HELP_NAMES))
    for option in (*command.params, help_option):
        if isinstance(option, TyperOption) and option.help in _TYPERS_OWN:
            option.help = _TYPERS_OWN[option.help]


def build_tree(app: typer.Typer, global_app: typer.Typer) -> TyperGroup:
    """Return the tree of `app`; every command also takes the options of `global_app`'s only command.

    Each setting gets its environment variable: the declared one, else CPC_COMMAND_OPTION. A command's
    docstring becomes its help in the user's language.
    """
    root, shared = typer.main.get_command(app), typer.main.get_command(global_app)
    assert isinstance(root, TyperGroup)
    own = [option for option in shared.params if isinstance(option, TyperOption)]
    own = [option for option in own if not option.name.endswith("completion")]
    root.params += own
    for group in groups(root):
        group.help = translated(group.help)
        _translate(group)
        set_layout(group, ())
    for path, command in walk(root):
        for parameter in command.params:
            parameter.callback = parameter.callback or _expanded  # type: ignore[assignment]
        command.help = translated(command.help)
        for option in options_of(command):
            if option.envvar is None:
                option.envvar = _variable(path, option)
                option.show_envvar = False  # the documentation has the rule
        _translate(command)
        declared = {option.name for option in command.params}
        command.params += [option for option in own if option.name not in declared]
        set_layout(command, path)
    return root


def _expanded(_context: typer.Context, parameter: Any, value: Any) -> Any:
    """Return a path with the home directory for its `~`: no shell has seen a file's or a variable's.

    Raise BadInput for text of bytes that are not UTF-8, which only a file's name can have.
    """
    for one in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(one, str) and not _is_text(one):
            from engine.runtime.errors import BadInput

            raise BadInput(_("{name} is not UTF-8 text").format(name=name_of(parameter)))
    return expanded(value) if isinstance(value, PathLike) else value


def _is_text(value: str) -> bool:
    """Return whether no byte of it was kept as a surrogate (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def walk(group: TyperGroup, path: Path = ()) -> Iterator[tuple[Path, TyperCommand]]:
    """Yield every command with its path; groups only lead to commands."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from walk(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield (*path, name), command


def groups(root: TyperGroup) -> Iterator[TyperGroup]:
    """Yield the group and every group below it."""
    yield root
    for command in root.commands.values():
        if isinstance(command, TyperGroup):
            yield from groups(command)


def paragraphs(text: str | None) -> list[str]:
    """Return a help text's paragraphs, one line each: the keys of the message catalogue."""
    return [
        " ".join(one.split()) for one in re.split(r"\n\s*\n", (text or "").strip()) if one.strip()
    ]


def translated(text: str | None) -> str:
    """Return the help text in the user's language."""
    return "\n\n".join(_(paragraph) for paragraph in paragraphs(text))


def options_of(command: TyperCommand) -> list[TyperOption]:
    """Return the options that can be set: not --help, and none that is for a single call."""
    found = [option for option in command.params if isinstance(option, TyperOption)]
    return [
        option
        for option in found
        if option.expose_value and not option.hidden and option.name not in _NO_SETTINGS
    ]


def key_of(option: TyperOption) -> str:
    """Return the option's key in engine.toml: its long form without leading hyphens."""
    return max(option.opts, key=len).lstrip("-")


def variable_of(option: TyperOption) -> str:
    """Return the environment variable that sets the option."""
    return option.envvar if isinstance(option.envvar, str) else ""


def _variable(path: Path, option: TyperOption) -> str:
    return "_".join((ENVIRONMENT_PREFIX, *path, key_of(option))).upper().replace("-", "_")
