"""Many rigs at once: each engine's /status, asked side by side.

    fleet = Fleet(["http://rig1.lan:9180", "http://rig2.lan:9180"], token)
    for rig in fleet.look():
        print(rig.url, rig.state, rig.trouble)

A rig that does not answer is a row with the reason. What a rig says is a stranger's text as far as a
terminal is concerned: the answer is bounded, its fields are checked, and control characters are shown
escaped.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from gettext import gettext as _

from pydantic import BaseModel, Field, ValidationError

from engine.monitor.formatting import state_word
from engine.monitor.http.health import health
from engine.monitor.snapshot import Snapshot
from engine.runtime.closing import Closing
from node_client.errors import NodeError
from node_client.transport import HttpNode

MOST_BYTES = 2**20
TIMEOUT_SECONDS, TOTAL_SECONDS = 3.05, 8.0
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Rig:
    """One engine as it is now. `snapshot` is None where it did not answer; `trouble` says why."""

    url: str
    snapshot: Snapshot | None
    trouble: str

    @property
    def state(self) -> str:
        """The state in the user's language."""
        return _("no answer") if self.snapshot is None else state_word(self.snapshot.state)


class RigView(BaseModel):
    """What a row shows of a rig, in the table and on the page; null where it did not answer."""

    url: str
    state: str = Field(description="of its engine; lost: it does not answer")
    trouble: str = Field(description="what is wrong, empty where nothing is")
    devices: int | None = None
    in_service: int | None = None
    tops: float | None = None
    watts: float | None = Field(None, description="of all cards with a reading")
    confirmed: int | None = None
    pending: int | None = None

    @classmethod
    def of(cls, rig: Rig) -> "RigView":
        """Return the row of a rig."""
        if (seen := rig.snapshot) is None:
            return cls(url=rig.url, state="lost", trouble=rig.trouble)
        watts = [one.power for one in seen.devices if one.power is not None]
        return cls(
            url=rig.url,
            state=seen.state,
            trouble=rig.trouble,
            devices=len(seen.devices),
            in_service=len(seen.in_service),
            tops=seen.tops,
            watts=sum(watts) if watts else None,
            confirmed=seen.results.confirmed,
            pending=seen.results.pending,
        )


class Fleet(Closing):
    """Engines by their URLs, and the token that all of them ask for, if any."""

    def __init__(self, urls: Sequence[str], token: str | None = None) -> None:
        """Raises InvalidData for what is no http URL."""
        self._nodes = [
            HttpNode(
                url, timeout=(TIMEOUT_SECONDS, TIMEOUT_SECONDS), total=TOTAL_SECONDS, token=token
            )
            for url in urls
        ]
        self._threads = ThreadPoolExecutor(min(_AT_ONCE, max(1, len(urls))))

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(cancel_futures=True)
        for node in self._nodes:
            node.close()

    def look(self) -> list[Rig]:
        """Ask every engine, and return them in the order of the URLs."""
        return list(self._threads.map(_ask, self._nodes))


def _ask(node: HttpNode) -> Rig:
    try:
        answer = node.exchange("GET", "/status", limit=MOST_BYTES)
    except NodeError as error:
        return Rig(node.name, None, str(error).removeprefix(f"{node.name} "))
    if answer.status == 401:
        return Rig(node.name, None, _("it asks for a token: --token-file"))
    try:
        snapshot = Snapshot.model_validate_json(answer.body)
    except ValidationError:
        return Rig(node.name, None, _("it is no cpc-engine of this version"))
    return Rig(node.name, snapshot, "; ".join(health(snapshot).reasons))
