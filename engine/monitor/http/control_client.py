"""Asks running engines of this user, over their sockets.

for engine in running_engines():
    print(engine.status().address)
    engine.order("pause")
"""

import http.client
import json
import socket
from gettext import gettext as _
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.monitor.http.server import sockets_directory
from engine.monitor.snapshot import Snapshot
from engine.runtime.errors import BadInput

TIMEOUT_SECONDS = 5.0


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the path in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class RunningEngine:
    """One engine, known by its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status(self) -> Snapshot:
        """Its state. Raises OSError where nobody listens, BadInput for an answer of another kind."""
        try:
            return Snapshot.model_validate(self._ask("GET", "/status"))
        except ValidationError as error:
            raise BadInput(
                _("the running engine is of another version than this program"),
                advice=_("Start it again, so that both are the same."),
            ) from error

    def order(self, word: str) -> None:
        """Ask it to "pause" or to "resume"."""
        self._ask("POST", f"/{word}")

    def _ask(self, method: str, path: str) -> Any:
        connection = _Connection(self.path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status >= 400:
                raise BadInput(
                    _("the running engine refuses: {status} {reason}").format(
                        status=answer.status, reason=answer.reason
                    )
                )
            return json.loads(body)
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


def running_engines() -> list[tuple[RunningEngine, Snapshot]]:
    """Every engine of this user that answers; sockets that a kill -9 left behind are removed."""
    found = []
    for path in sorted(sockets_directory().glob("*.sock")):
        engine = RunningEngine(path)
        try:
            found.append((engine, engine.status()))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            continue
    return found
