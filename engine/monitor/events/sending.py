"""Events of the sender: what becomes of results on the chain."""

from gettext import gettext as _
from typing import Any

from engine.monitor.events.base import Event


class ResultSigned(Event):
    """The result's transaction is in the ledger; it is sent after that."""

    event = "signed"
    template = _("task {task_id}: signed with nonce {nonce}, transaction {tx_hash}")
    task_id: str
    tx_hash: str
    nonce: int


class ResultRepriced(Event):
    """Another transaction at the same nonce is in the ledger."""

    event = "repriced"
    template = _("task {task_id}: signed again at {gas_price} units a gas, transaction {tx_hash}")
    task_id: str
    tx_hash: str
    gas_price: int


class ResultConfirmed(Event):
    """The block that holds the result is deep enough. `fee` in units."""

    event = "confirmed"
    template = _("task {task_id}: final, in block {included_height}, transaction {tx_hash}")
    task_id: str
    height: int
    tx_hash: str | None
    included_height: int | None
    fee: int


class ResultGivenUp(Event):
    level = "warning"
    event, template = "given_up", _("task {task_id}: given up, {reason}")
    task_id: str
    reason: str


class _Amount(Event):
    """`amount` in units."""

    amount: int

    @property
    def cpc(self) -> str:
        """The amount, in CPC."""
        from node_client.networks import format_cpc  # --help loads the events, and no node's client

        return format_cpc(self.amount)

    def fields(self) -> dict[str, Any]:
        """Return the fields, and the amount as people read it."""
        return super().fields() | {"cpc": self.cpc}


class PaymentReceived(_Amount):
    """A block holds a transfer of somebody else to the account."""

    event = "received"
    template = _("received {cpc} CPC from {sender}, in block {height}")
    height: int
    tx_hash: str
    sender: str


class BalanceRose(_Amount):
    """The account has more than a while ago, and no block was read that says whose it was."""

    event, template = "balance_rose", _("received {cpc} CPC")


class ChainRolledBack(Event):
    level = "warning"
    event, template = "rolled_back", _("the chain rolled back blocks {first} to {last}")
    first: int
    last: int


class BlockUnreadable(Event):
    """A block's transactions cannot be read, or are not what its roots cover; told as a trouble."""

    event, template = "unreadable", ""
    height: int
    fault: str


class BalanceChanged(Event):
    """The account has so many units."""

    event, template = "funds", ""
    balance: int


class BalanceLasts(Event):
    """For how many seconds the balance lasts at the fees of late."""

    event, template = "balance_lasts", ""
    seconds: float


SendingEvent = (
    ResultSigned
    | ResultRepriced
    | ResultConfirmed
    | ResultGivenUp
    | PaymentReceived
    | BalanceRose
    | ChainRolledBack
    | BlockUnreadable
    | BalanceChanged
    | BalanceLasts
)
