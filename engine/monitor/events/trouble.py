"""Events of conditions that last: told once when they begin, and once when they are over."""

from gettext import gettext as _
from typing import Literal

from engine.monitor.events.base import Event, Level

TroubleKind = Literal[
    "node_away",
    "tip_refused",
    "node_behind",
    "nodes_disagree",
    "chain_silent",
    "unreadable_blocks",
    "scan_stuck",
    "not_sent",
    "sending_stuck",
    "balance_low",
    "balance_short",
    "balance_unknown",
    "nonce_unproven",
    "gas_price",
    "key_shared",
    "thread_stuck",
    "sensors_silent",
    "farm_away",
    "validator_away",
    "validator_rests",
    "device_out",
    "log_unwritten",
    "database_busy",
    "program_updated",
]
"""What may last. Names are for machines, too: labels of a metric."""

MEANING: dict[TroubleKind, str] = {
    "node_away": _("the node does not answer"),
    "tip_refused": _("what the node says of its newest block is refused"),
    "node_behind": _("the node is behind"),
    "nodes_disagree": _("the nodes disagree"),
    "chain_silent": _("no new block was seen for long"),
    "unreadable_blocks": _("blocks cannot be read in full"),
    "scan_stuck": _("reading the blocks does not advance"),
    "not_sent": _("results are refused"),
    "sending_stuck": _("results wait, and none gets into a block"),
    "balance_low": _("the balance does not cover a result's fee"),
    "balance_short": _("the balance lasts for less than three days"),
    "balance_unknown": _("the balance is unknown"),
    "nonce_unproven": _("the account's nonce is not proven"),
    "gas_price": _("the least gas price is above the price of results"),
    "key_shared": _("another program sends with this key"),
    "thread_stuck": _("a part of the engine makes no progress"),
    "sensors_silent": _("no sensor is read"),
    "farm_away": _("the Ray cluster does not answer"),
    "validator_away": _("no validator is connected"),
    "validator_rests": _("a validator failed too often and gets no work for a while"),
    "device_out": _("a device is out of service"),
    "log_unwritten": _("the log cannot be written"),
    "database_busy": _("another program keeps the ledger locked"),
    "program_updated": _("the program was updated on disk while it runs"),
}
"""What `/healthz` says, which is open: no word of a node, no address, no number that changes."""


class TroubleBegan(Event):
    """Something is wrong from now on. `stops`: results are not sent, or blocks not seen, meanwhile.

    `subject`: the validator or device, where several may have the same trouble.
    """

    event, template = "trouble", _("{message}. {advice}")
    kind: TroubleKind
    message: str
    advice: str
    stops: bool
    subject: str = ""

    def severity(self) -> Level:
        """Return error where it stops the work."""
        return "error" if self.stops else "warning"


class TroubleEnded(Event):
    event, template = "trouble_over", _("over: {message}")
    kind: TroubleKind
    message: str
    subject: str = ""


TroubleEvent = TroubleBegan | TroubleEnded
