"""Options that every command takes, before or after its name: --config and --lang.

`command_tree.build_tree` adds them. Here engine.toml becomes a command's defaults.
"""

from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperGroup

from engine.cli.config.settings import BEFORE, VARIABLE, Settings, find_file, read_settings
from engine.runtime.errors import BadInput

app = typer.Typer()

_SETTINGS = "cpc-engine.settings"
_ERROR = "cpc-engine.settings-error"
_RUN_WITH_A_BROKEN_FILE = {"doctor"}
"""These report what is wrong with it."""


def _configure(context: typer.Context, given: Path | None) -> Path | None:
    if context.resilient_parsing:
        return given
    root = context.find_root()
    if context is root:
        context.meta[BEFORE] = given
        return given
    program = root.command
    assert isinstance(program, TyperGroup)
    if given is None and _SETTINGS in context.meta:  # read for a command that looks at this one
        context.default_map = settings_of(context).of(path_of(context))
        return given
    try:
        settings = read_settings(find_file(given or context.meta[BEFORE]), program)
    except BadInput as error:
        if context.info_name not in _RUN_WITH_A_BROKEN_FILE:
            raise
        context.meta[_ERROR] = error
        settings = Settings()
    context.meta[_SETTINGS] = settings
    context.default_map = settings.of(path_of(context))
    return given


@app.command()
def global_options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            is_eager=True,
            expose_value=False,
            callback=_configure,
            help=_("Configuration file. Also {variable}. [~/.computechain/engine.toml]").format(
                variable=VARIABLE
            ),
        ),
    ] = None,
    lang: Annotated[
        Literal["en", "ru"] | None,
        typer.Option(
            "--lang",
            is_eager=True,
            expose_value=False,
            help=_("Language of the messages. Also CPC_LANG. [the locale's]"),
        ),
    ] = None,
) -> None:
    """Declare the options; this is never called."""


def settings_of(context: typer.Context) -> Settings:
    """Return the configuration of this command line."""
    found = context.meta.get(_SETTINGS, Settings())
    assert isinstance(found, Settings)
    return found


def settings_error(context: typer.Context) -> BadInput | None:
    """Return what is wrong with the configuration, for the commands that run regardless."""
    found = context.meta.get(_ERROR)
    return found if isinstance(found, BadInput) else None


def path_of(context: typer.Context) -> tuple[str, ...]:
    """Return the words that called this command, without the program's name."""
    names: list[str] = []
    at: typer.Context | None = context
    while at is not None and at.parent is not None:
        names.insert(0, at.info_name or "")
        at = at.parent  # type: ignore[assignment]  # typer types it as its parent class
    return tuple(names)
