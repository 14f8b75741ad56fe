"""Events of the program around its work: start, end, settings, a sandbox's money."""

from gettext import gettext as _
from typing import Any

from engine.monitor.events.base import Event


class Opened(Event):
    """Whose engine this is, and the first node that it asks: before anything is asked."""

    event, template = "opened", ""
    address: str
    node: str


class MiningStarted(Event):
    """`block_time` in seconds."""

    event = "start"
    template = _("mining for {address} on {chain_id} with {devices}; node {node}")
    address: str
    chain_id: str
    devices: str
    node: str
    network: str
    height: int
    block_time: float
    size: int
    iterations: int
    ledger: str


class WorkStarted(Event):
    event, template = "working", _("working for {validators} as {address} with {devices}")
    validators: str
    address: str
    devices: str


class Warned(Event):
    """Something is not as it should be, and the run goes on."""

    level = "warning"
    event, template = "warning", _("warning: {name}: {found}. {fix}")
    name: str
    found: str
    fix: str

    def fields(self) -> dict[str, Any]:
        """Return the fields; `mend` is the former name of `fix`, kept for one release."""
        return super().fields() | {"mend": self.fix}


class UpdateAvailable(Event):
    """The operator asked to be told of it: --update-url."""

    event = "update_available"
    template = _("cpc-engine {version} is out, this is {running}: see its changelog")
    version: str
    running: str


class UpdateUnknown(Event):
    event, template = "update_unknown", ""
    reason: str


class DevnetStarted(Event):
    event, template = "devnet", _("embedded devnet at {url}, a block every {block_time} s")
    url: str
    block_time: float


class AccountFunded(Event):
    event, template = "funded", _("made a key with address {address} and funded it with {cpc} CPC")
    address: str
    cpc: str


class HttpListening(Event):
    event, template = "http", _("watch it at {url}")
    url: str


class _Setting(Event):
    name: str
    value: object


class SettingChanged(_Setting):
    event, template = "setting_changed", _("setting {name}: {value} from now on")


class SettingWaits(_Setting):
    event, template = "setting_waits", _("setting {name}: {value} from the next start on")


class SettingsSame(Event):
    event, template = "settings_same", _("the configuration was read again and has not changed")


class SettingsRefused(Event):
    level = "warning"
    event = "settings_refused"
    template = _("the configuration was read again and is refused: {message}. {advice}")
    message: str
    advice: str


class Pulse(Event):
    """The main loop is alive: once a second."""

    event, template = "pulse", ""


class Stopping(Event):
    event, template = "stopping", _("stopping: everything is saved")


RunEvent = (
    Opened
    | MiningStarted
    | WorkStarted
    | Warned
    | UpdateAvailable
    | UpdateUnknown
    | DevnetStarted
    | AccountFunded
    | HttpListening
    | SettingChanged
    | SettingWaits
    | SettingsSame
    | SettingsRefused
    | Pulse
    | Stopping
)
