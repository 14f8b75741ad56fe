"""`cpc-engine fleet`: several rigs in one table."""

import time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import Json, say, say_foreign_json

if TYPE_CHECKING:
    from rich.console import Group

    from engine.monitor.fleet import Fleet, Rig


def fleet(
    urls: Annotated[
        list[str], typer.Argument(metavar="URL...", help=_("Pages of engines: mine --http."))
    ],
    token_file: Annotated[
        Path | None, typer.Option(help=_("File with the token that the engines ask for."))
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help=_("Look again so often, until Ctrl-C.")),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT", help=_("Show them on a page there instead: 127.0.0.1:9181.")
        ),
    ] = None,
    http_token_file: Annotated[
        Path | None,
        typer.Option(
            help=_("File with the token that --http asks for; needed beyond this machine.")
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show several engines side by side: state, devices, rate, power, results, and what is wrong.

    The exit code is 1 where an engine does not answer or is not healthy.
    """
    from rich.console import Console
    from rich.live import Live

    from engine.monitor.fleet import Fleet
    from engine.monitor.http.server import read_token

    token = None if token_file is None else read_token(token_file)
    with Fleet(urls, token) as engines:
        if http is not None:
            _serve(engines, http, http_token_file, every or 5.0)
            return
        rigs = engines.look()
        if json:
            say_foreign_json([_row(rig) for rig in rigs])
        elif every is None:
            Console().print(_table(rigs))
        else:
            with Live(_table(rigs), auto_refresh=False) as view:
                while True:
                    time.sleep(every)
                    view.update(_table(engines.look()), refresh=True)
    if any(rig.trouble for rig in rigs):
        raise typer.Exit(1)


def _serve(engines: "Fleet", http: str, token_file: Path | None, every: float) -> None:
    """Serve the page until Ctrl-C or SIGTERM. Raises BadInput."""
    import threading

    from engine.monitor.http.auth import AuthMiddleware
    from engine.monitor.http.fleet_page import FleetWatch, create_fleet_app
    from engine.monitor.http.server import (
        ServerThread,
        check_token,
        listen_at,
        parse_address,
        read_token,
    )
    from engine.runtime.signals import stop_on_signals

    host, port = parse_address(http)
    token = None if token_file is None else read_token(token_file)
    check_token(host, token)
    ended = threading.Event()
    with listen_at(host, port) as listening, FleetWatch(engines, every) as watch:
        app = AuthMiddleware(create_fleet_app(watch), token)
        with ServerThread(listening, lambda: app, "fleet"), stop_on_signals(ended.set, dict):
            at = f"[{host}]" if ":" in host else host
            say(
                _("The rigs are shown at {url}").format(
                    url=f"http://{at}:{listening.getsockname()[1]}"
                )
            )
            ended.wait()


def _row(rig: "Rig") -> dict[str, Any]:
    status = None if rig.snapshot is None else rig.snapshot.model_dump(mode="json")
    return {"url": rig.url, "healthy": not rig.trouble, "trouble": rig.trouble, "status": status}


def _table(rigs: "list[Rig]") -> "Group":
    """A row a rig, and below it a line for each with something wrong."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    from engine.monitor import formatting as wording
    from engine.monitor.fleet import RigView
    from engine.runtime.printable import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = (_("devices"), _("rate"), _("W"), _("confirmed"), _("pending"))
    rows = []
    for rig in rigs:
        cells, row = [rig.url.removeprefix("http://"), rig.state], RigView.of(rig)
        if row.devices is None:
            cells += [wording.NOTHING] * len(numbers)
        else:
            cells += [
                f"{row.in_service}/{row.devices}",
                wording.rate(row.tops),
                wording.NOTHING if row.watts is None else f"{row.watts:.0f}",
                str(row.confirmed),
                str(row.pending),
            ]
        rows.append(cells)
    heads = (_("rig"), _("state"), *numbers)
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    # Where the terminal is narrow, a rig's URL is cut, and nothing else.
    left = Console().width - sum(widths[1:]) - 3 * len(heads)
    widths[0] = max(8, min(widths[0], left))
    for at, (name, width) in enumerate(zip(heads, widths, strict=True)):
        table.add_column(name, no_wrap=True, width=width, justify="right" if at >= 2 else "left")
    for rig, cells in zip(rigs, rows, strict=True):
        style = "yellow" if rig.trouble else ""
        table.add_row(*(Text(printable(one)) for one in cells), style=style)
    wrong = [Text(printable(f"{rig.url}: {rig.trouble}")) for rig in rigs if rig.trouble]
    return Group(table, *wrong)
