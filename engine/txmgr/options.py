"""How results are sent: what they may cost, where they are recorded, when they are final."""

from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import ClassVar

from engine.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class GasOptions:
    """What a transaction may cost."""

    heading: ClassVar[str] = _("Transactions")

    gas_price: int | None = setting(None, _("Units per gas. [the network's minimum]"))


@dataclass(frozen=True, kw_only=True)
class FinalityOptions:
    """When a transaction counts as final."""

    heading: ClassVar[str] = _("Transactions")

    depth: int = setting(6, _("Blocks on top until a transaction is final."), least=0, most=100)


@dataclass(frozen=True, kw_only=True)
class SendingOptions(FinalityOptions, GasOptions):
    """Sending: prices, finality and the ledger of what was sent."""

    max_gas_price: int | None = setting(
        None, _("Units per gas up to which a stuck transaction is raised. [it is not raised]")
    )
    confirmed_nonce: int | None = setting(
        None,
        _("Nonce below which all are spent, where no block shows it. [what blocks and nodes show]"),
        least=0,
        most=2**62,
    )
    ledger: Path | None = setting(None, _("Ledger file. [one per chain and account, in CPC_STATE]"))
