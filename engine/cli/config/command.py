"""`cpc-engine config`: what is set, and where it was set."""

from gettext import gettext as _
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from engine.cli.config import command_tree as tree
from engine.cli.config.effective import Setting, effective, plain_value
from engine.cli.config.global_options import settings_of
from engine.cli.config.settings import default_file
from engine.cli.options import Json, command_group, say, say_json
from engine.runtime.errors import BadInput

app = command_group(_("Show the configuration."))


@app.command(context_settings={"ignore_unknown_options": True})
def show(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help=_("The command, optionally with its options. [default: mine]"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show every setting of a command and where its value comes from.

    Order of precedence: command line, environment, file, default.
    """
    program = context.find_root().command
    assert isinstance(program, TyperGroup)
    path, found, rest = _find(program, command or ["mine"])
    shown = effective(context, path, found, rest)
    file = settings_of(context).path
    if json:
        say_json(
            {
                "command": " ".join(path),
                "file": None if file is None else str(file),
                "settings": {
                    one.key: {
                        "value": plain_value(one.value),
                        "source": one.source,
                        "place": one.place,
                    }
                    for one in shown
                },
            }
        )
        return
    if file is None:
        say(_("No configuration file; the default is {path}").format(path=default_file()))
    else:
        say(_("Configuration file: {path}").format(path=file))
    wide = max(len(one.key) for one in shown)
    values = {one.key: _text(plain_value(one.value)) for one in shown}
    wide_value = min(40, max(map(len, values.values())))
    for one in shown:
        say(f"  {one.key:<{wide}}  {values[one.key]:<{wide_value}}  {_origin(one)}")


def _find(program: TyperGroup, words: list[str]) -> tuple[tree.Path, TyperCommand, list[str]]:
    for path, command in tree.walk(program):
        if path == tuple(words[: len(path)]):
            return path, command, words[len(path) :]
    advice = _("cpc-engine --help lists the commands.")
    raise BadInput(_("there is no command {name}").format(name=" ".join(words)), advice=advice)


def _text(value: Any) -> str:
    match value:
        case None | []:
            return "-"
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(_text, value))
        case _:
            return str(value)


def _origin(setting: Setting) -> str:
    match setting.source:
        case "command line":
            return _("command line")
        case "environment":
            return _("environment: {name}").format(name=setting.place)
        case "file":
            return _("file")
        case _:
            return _("default")
