"""`cpc-engine help` and `cpc-engine version`: as --help and --version, for those who type words."""

from gettext import gettext as _
from typing import Annotated

import typer

from engine import __version__
from engine.cli.options import Json, say, say_json


def version(json: Json = False) -> None:
    """Print the version, and those of Python and of what computes."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    found = {"cpc-engine": __version__, "python": platform.python_version()}
    for name in ("numpy", "numba", "numba-cuda"):
        try:
            found[name] = installed(name)
        except PackageNotFoundError:
            continue
    if json:
        say_json(found)
    else:
        say("\n".join(f"{name} {number}" for name, number in found.items()))


def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help=_("Of this command."))
    ] = None,
) -> None:
    """Print the help of the program or of a command: `cpc-engine help keys add`."""
    root = context.find_root()
    root.command.main(
        args=[*(words or ()), "--help"], prog_name=root.info_name, standalone_mode=False
    )
