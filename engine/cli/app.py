"""Joins the commands into one program."""

from contextlib import suppress
from functools import cache
from gettext import gettext as _
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from engine import __version__
from engine.cli import (
    about,
    bench,
    compute,
    control,
    customer,
    devnet,
    doctor,
    fleet,
    history,
    init,
    keys,
    mine,
    models,
    query_stakes,
    receipt,
    stake,
    validator,
    verify,
    work,
)
from engine.cli.config import command as config
from engine.cli.config import command_tree as tree
from engine.cli.config import global_options
from engine.cli.config.groups import with_options
from engine.cli.config.usage_errors import print_usage_error
from engine.cli.failure import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    print_error,
    stop_printing,
)
from engine.cli.options import NodeOptions

app = typer.Typer(
    name="cpc-engine",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": tree.HELP_NAMES},
)
app.command("init")(init.init)
app.command("mine")(mine.mine)
app.command("work")(work.work)
app.command("status")(control.status)
app.command("fleet")(fleet.fleet)
app.command("history")(history.history)
app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("compute")(compute.compute)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)
app.add_typer(keys.app, name="keys")
app.add_typer(stake.app, name="tx")  # that of tx.py, with what stake.py adds to it
app.add_typer(query_stakes.app, name="query")  # that of query.py, likewise
app.command("devnet")(devnet.devnet)
app.command("doctor")(doctor.doctor)
app.add_typer(validator.app, name="validator")
app.add_typer(customer.app, name="tasks")
app.add_typer(receipt.app, name="receipt")
app.add_typer(models.app, name="models")
app.add_typer(config.app, name="config")
app.command("version")(about.version)
app.command("help")(about.help_)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cpc-engine {__version__}")
        raise typer.Exit


@app.callback(help=_("The Proof-of-Compute worker of ComputeChain: mines, computes, verifies."))
@with_options
def common(
    _node: NodeOptions,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help=_("Print the version.")
        ),
    ] = False,
) -> None:
    """Options before a command's name; `NodeOptions.urls` looks --node up there."""


@cache
def program() -> TyperGroup:
    """Return the whole program as a tree of commands."""
    return tree.build_tree(app, global_options.app)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return the exit code. No error leaves this as a traceback."""
    try:
        code = program().main(args=arguments, prog_name="cpc-engine", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except TyperException as error:
        with suppress(OSError):  # nobody can be told: the exit code says it
            print_usage_error(error)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        return _reader_closed()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer makes it exit code 1
            return _reader_closed()
        if end.code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
            return int(end.code)
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence instead of a traceback
        return print_error(error)
    return code if isinstance(code, int) else 0


def _reader_closed() -> int:
    """Stop writing: the reader, such as `head`, has closed the pipe, which is not an error."""
    stop_printing()
    return 0
