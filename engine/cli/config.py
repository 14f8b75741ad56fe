"""`cpc-engine config`: what is set, and where it was set."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from engine.cli import tree
from engine.cli.everywhere import settings_of
from engine.cli.options import Json, say, say_json
from engine.cli.settings import default_file
from engine.errors import BadInput

app = typer.Typer(help=_("Show the configuration."), no_args_is_help=True, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its origin. `source`: "command line", "environment", "file" or "default".

    `place` is the variable or the file.
    """

    key: str
    value: Any
    source: str
    place: str


@app.command(
    help=_(
        "Show every setting of a command and where its value comes from: the command line, the"
        " environment, the file or the default, in this order."
    ),
    context_settings={"ignore_unknown_options": True},
)
def show(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND...",
            help=_("The command, with options of its own if you like. [default: mine]"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the settings of a command."""
    program = context.find_root().command
    assert isinstance(program, TyperGroup)
    path, found, rest = _find(program, command or ["mine"])
    shown = _settings(context, path, found, rest)
    file = settings_of(context).path
    if json:
        say_json(
            {
                "command": " ".join(path),
                "file": None if file is None else str(file),
                "settings": {
                    one.key: {"value": one.value, "source": one.source, "place": one.place}
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
    values = {one.key: _text(one.value) for one in shown}
    wide_value = min(40, max(map(len, values.values())))
    for one in shown:
        say(f"  {one.key:<{wide}}  {values[one.key]:<{wide_value}}  {_origin(one)}")


def _find(program: TyperGroup, words: list[str]) -> tuple[tree.Path, TyperCommand, list[str]]:
    for path, command in tree.walk(program):
        if path == tuple(words[: len(path)]):
            return path, command, words[len(path) :]
    raise BadInput(
        _("there is no command {name}").format(name=" ".join(words)),
        advice=_("cpc-engine --help lists the commands."),
    )


def _settings(
    context: typer.Context, path: tree.Path, command: TyperCommand, arguments: list[str]
) -> list[Setting]:
    settings = settings_of(context)
    at = context.find_root()
    for name in path[:-1]:
        at = typer.Context(command, parent=at, info_name=name)
    made = command.make_context(
        path[-1],
        list(arguments),
        parent=at,
        default_map=settings.of(path),
        resilient_parsing=True,  # a wrong value is shown, not refused: whoever asks looks for it
    )
    shown = []
    for option in tree.options_of(command):
        source, place = "default", ""
        match made.get_parameter_source(option.name):
            case None:
                pass
            case origin if origin.name == "COMMANDLINE":
                source = "command line"
            case origin if origin.name == "ENVIRONMENT":
                source, place = "environment", tree.variable_of(path, option)
            case origin if origin.name == "DEFAULT_MAP":
                source, place = "file", str(settings.path)
        value = made.params.get(option.name)
        shown.append(Setting(tree.key_of(option), _plain(value), source, place))
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """A URL may carry a password; it is not for a screen."""
    scheme, colon, rest = text.partition("://")
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{colon}***@{host}" if colon and at and credentials else text


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
