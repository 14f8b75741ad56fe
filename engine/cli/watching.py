"""Options of what is seen of a running engine."""

from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

Plain = Annotated[bool, typer.Option("--plain", help=_("Print lines in place of the live view."))]
Http = Annotated[
    str | None,
    typer.Option(
        "--http",
        metavar="ADDRESS:PORT",
        help=_("Show a page, /status and /metrics there: 127.0.0.1:9180. [off]"),
    ),
]
HttpTokenFile = Annotated[
    Path | None,
    typer.Option(
        "--http-token-file",
        help=_("File with the token that --http asks for; needed beyond this machine."),
    ),
]
