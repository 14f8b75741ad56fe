"""How a command's help looks: options under the heading of their group, examples at the end.

    set_layout(command, ("mine",))

Help is plain text of at most 80 columns; options of no group stand under "Options", last.
"""

import textwrap
from functools import partial
from gettext import gettext as _
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from engine.cli.config.examples import EXAMPLES

_VALUES = {"int": "N", "float": "NUMBER", "str": "TEXT"}


def set_layout(command: TyperCommand | TyperGroup, path: tuple[str, ...]) -> None:
    """Give the command, which is called by the words `path`, this help."""
    command.format_options = partial(_format_options, command)  # type: ignore[method-assign]
    command.format_epilog = partial(_format_examples, path)  # type: ignore[method-assign]
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            parameter.metavar = parameter.metavar or parameter.name.upper()
        elif isinstance(parameter, TyperOption) and parameter.metavar is None:
            parameter.metavar = _value_of(parameter)


def _value_of(option: TyperOption) -> str | None:
    """Return what the option's value is called; None where Typer names its choices, or takes none."""
    described = option.type_descriptor
    if option.is_flag or described.is_choice:
        return None
    if described.is_path:
        return "PATH"
    return _VALUES.get(option.bare_type().removeprefix("list[").removesuffix("]"), "TEXT")


def _format_options(command: TyperCommand | TyperGroup, context: Any, formatter: Any) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    unnamed = _("Options")
    rows: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if isinstance(parameter, TyperArgument):
            named = record[0].partition(" ")[0]  # without its type
            sections.setdefault(_("Arguments"), []).append((named, record[1]))
        elif isinstance(parameter, TyperOption) and parameter.rich_help_panel:
            sections.setdefault(parameter.rich_help_panel, []).append(record)
        else:
            rows.append(record)
    for heading, found in {**sections, unnamed: rows}.items():
        with formatter.section(heading):
            formatter.write_dl(found)
    if isinstance(command, TyperGroup):
        _format_commands(command, context, formatter)


def _format_commands(group: TyperGroup, context: Any, formatter: Any) -> None:
    """Write each command with the first sentence of its help, whole: on two lines where it is long."""
    named = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    with formatter.section(_("Commands")):
        formatter.write_dl(
            [
                (name, _first_sentence(one.help or ""))
                for name, one in named
                if one is not None and not one.hidden
            ]
        )


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".") + "."


def _format_examples(path: tuple[str, ...], _context: Any, formatter: Any) -> None:
    if path not in EXAMPLES:
        return
    with formatter.section(_("Examples")):
        for line in EXAMPLES[path]:
            formatter.write(textwrap.indent(line, " " * formatter.current_indent) + "\n")
