"""Client of this user's running engines, over their sockets.

found, silent = running_engines()
for engine, seen in found:
    print(seen.address)
    engine.order("pause")
"""

import http.client
import json
import socket
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.monitor.http.server import sockets_directory
from engine.monitor.snapshot import Snapshot
from engine.runtime.errors import BadInput, reason_of

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
    """One engine, identified by its socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status(self) -> Snapshot:
        """Return its state. Raises OSError if nothing listens, BadInput for another version."""
        try:
            return Snapshot.model_validate(self._ask("GET", "/status"))
        except ValidationError as error:
            raise BadInput(
                _("the running engine has another version than this program"),
                advice=_("Restart it, so that both have the same version."),
            ) from error

    def order(self, word: str) -> None:
        """Ask it to "pause" or to "resume". Raises OSError, BadInput."""
        self._ask("POST", f"/{word}")

    def _ask(self, method: str, path: str) -> Any:
        connection = _Connection(self.path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status >= 400:
                message = _("the running engine refused: {status} {reason}")
                raise BadInput(message.format(status=answer.status, reason=answer.reason))
            return json.loads(body)
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class SilentEngine:
    """An engine that runs and cannot be asked: stopped, stuck, or of another version."""

    pid: str
    reason: str
    advice: str


def running_engines() -> tuple[list[tuple[RunningEngine, Snapshot]], list[SilentEngine]]:
    """Return this user's engines that answer, and those that do not.

    Sockets that a kill -9 left behind are removed.
    """
    found, silent = [], []
    for path in sorted(sockets_directory().glob("*.sock")):
        engine = RunningEngine(path)
        try:
            found.append((engine, engine.status()))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # it has just ended
        except OSError as error:
            advice = _("It is stopped or hangs. See what it printed; kill -CONT {pid} goes on.")
            advice = advice.format(pid=path.stem)
            silent.append(SilentEngine(path.stem, reason_of(error), advice))
        except BadInput as error:
            silent.append(SilentEngine(path.stem, str(error), error.advice))
    return found, silent
