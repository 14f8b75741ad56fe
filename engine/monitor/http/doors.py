"""The doors of a mining engine, opened while it runs.

with doors(board, ("127.0.0.1", 9180), token) as attend:
    mine_on(request, key, board, attend)

The port is taken at once, so that one that cannot be had is told before anything else begins.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.monitor.events.run import HttpListening, Warned
from engine.monitor.http.server import Door, check_token, listen_at, user_socket
from engine.monitor.reporter import Reporter
from engine.monitor.state import Monitor
from engine.runtime.errors import BadInput

if TYPE_CHECKING:
    from engine.monitor.http.routes import Control


def read_token(file: Path) -> str:
    """The token in a file, without the white space around it. Raises BadInput."""
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            _("the token file {file} cannot be read: {error}").format(file=file, error=error),
            advice=_("Make one: openssl rand -hex 24 > FILE"),
        ) from error


@contextmanager
def doors(
    board: Monitor, address: tuple[str, int] | None, token: str | None
) -> Iterator[Callable[["Control"], AbstractContextManager[object]]]:
    """Gives what opens the doors for a control, a Miner say. Raises BadInput."""
    report: Reporter = board
    with ExitStack() as stack:
        listening = None
        if address is not None:
            check_token(address[0], token)
            listening = stack.enter_context(listen_at(*address))

        @contextmanager
        def attend(control: "Control") -> Iterator[None]:
            def make_app() -> Any:
                from engine.monitor.http.routes import create_app

                return create_app(board, control)

            def make_guarded() -> Any:
                from engine.monitor.http.auth import Guard

                return Guard(make_app(), token)

            with ExitStack() as opened:
                try:
                    own = opened.enter_context(user_socket())
                except OSError as error:
                    report(_no_socket(error))
                else:
                    opened.enter_context(Door(own, make_app, "control"))
                if listening is not None:
                    opened.enter_context(Door(listening, make_guarded, "http"))
                    host, port = listening.getsockname()[:2]
                    at = f"[{host}]" if ":" in host else host
                    report(HttpListening(f"http://{at}:{port}"))
                yield

        yield attend


def _no_socket(error: OSError) -> Warned:
    return Warned(
        _("control"),
        _("pause, resume and status will not find this engine: {error}").format(error=error),
        _("Set CPC_STATE to a short path that this user can write to."),
    )
