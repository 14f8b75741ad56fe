"""Events of conditions that last: told once when they begin, and once when they are over."""

from gettext import gettext as _
from typing import Literal

from engine.monitor.events.base import Event

TroubleKind = Literal[
    "scan_stuck",
    "sending_stuck",
    "node_behind",
    "chain_silent",
    "balance_unknown",
    "nonce_unproven",
    "nodes_disagree",
    "key_shared",
    "gas_price",
    "unreadable_blocks",
]
"""What may last. Names are for machines, too: labels of a metric."""


class TroubleBegan(Event):
    """Something is wrong from now on. `stops`: results are not sent, or blocks not seen, meanwhile."""

    event, template = "trouble", _("{message}. {advice}")
    kind: TroubleKind
    message: str
    advice: str
    stops: bool


class TroubleEnded(Event):
    event, template = "trouble_over", _("over: {message}")
    kind: TroubleKind
    message: str


TroubleEvent = TroubleBegan | TroubleEnded
